"""The one reader of pictures: every mode, depth, orientation and source looks the same."""

from __future__ import annotations

import io
import logging
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from gazeheads.data.pictures import ImageError, is_plain, open_image, read_picture
from gazeheads.data.strip import Strip

SIZES = st.tuples(st.integers(1, 24), st.integers(1, 24))
TURNS = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip
"""Orientation -> what a viewer does with the stored pixels."""


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def noise(size: tuple[int, int], seed: int, channels: int = 3) -> np.ndarray:
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def stored(array: np.ndarray, mode: str) -> tuple[Image.Image, np.ndarray]:
    """An image of a mode with the content of an RGBA array, and the RGB it should be shown as."""
    colours, grey, alpha = array[..., :3], array[..., 0], array[..., 3]
    wide = grey.astype(np.uint16) * 257
    as_grey = np.repeat(grey[..., None], 3, 2).astype(int)
    shown = colours.astype(int) if mode.startswith("RGB") else as_grey
    if mode.endswith("A"):
        opaque = alpha[..., None].astype(int)
        shown = (shown * opaque + 255 * (255 - opaque)) / 255
    if mode == "1":
        shown = (shown > 127) * 255
    made = {
        "RGB": lambda: Image.fromarray(colours),
        "RGBA": lambda: Image.fromarray(array),
        "L": lambda: Image.fromarray(grey),
        "LA": lambda: Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]),
        "1": lambda: Image.fromarray(grey > 127),
        "P": lambda: Image.fromarray(grey).convert("P"),
        "I;16": lambda: Image.fromarray(wide),
        "I": lambda: Image.fromarray(wide.astype(np.int32)),
        "F": lambda: Image.fromarray(grey.astype(np.float32) / 255),
    }[mode]()
    return made, shown


FORMATS = {
    "RGB": ("PNG", "TIFF", "WEBP"), "RGBA": ("PNG", "TIFF", "WEBP"), "L": ("PNG", "TIFF"),
    "LA": ("PNG", "TIFF"), "1": ("PNG", "TIFF"), "P": ("PNG", "TIFF"), "I;16": ("PNG", "TIFF"),
    "I": ("TIFF",), "F": ("TIFF",),
}  # fmt: skip


def sources(data: bytes, folder: Path) -> list[Any]:
    path = folder / "picture"
    path.write_bytes(data)
    return [data, bytearray(data), memoryview(data), io.BytesIO(data), path, str(path),
            Image.open(io.BytesIO(data))]  # fmt: skip


@given(st.data(), SIZES, st.integers(0, 99), st.sampled_from(sorted(FORMATS)))
def test_every_mode_orientation_size_and_source_looks_as_in_a_viewer(
    data: Any, size: tuple[int, int], seed: int, mode: str
) -> None:
    orientation = data.draw(st.sampled_from(sorted(TURNS)))
    kind = data.draw(st.sampled_from(FORMATS[mode]))
    image, shown = stored(noise(size, seed, 4), mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    image.save(file, kind, exif=exif, **options)
    want = TURNS[orientation](shown)
    with tempfile.TemporaryDirectory() as folder:
        source = data.draw(st.sampled_from(sources(file.getvalue(), Path(folder))))
        got = open_image(source)
    assert got.mode == "RGB" and is_plain(got)
    assert pixels(got).shape == want.shape
    assert np.abs(pixels(got) - want).max() <= 1
    assert open_image(got).tobytes() == got.tobytes(), "reading twice changes nothing"


@given(SIZES, st.integers(0, 99), st.data())
def test_arrays_and_tensors_of_every_layout_and_type_are_the_same_picture(
    size: tuple[int, int], seed: int, data: Any
) -> None:
    torch = pytest.importorskip("torch")
    channels = data.draw(st.sampled_from([1, 3, 4]))
    base = noise(size, seed, 4)
    base[0, 0, 0] = 200  # so that no type is ambiguous
    base[..., 3] |= 0 if channels == 4 else 255
    want = pixels(open_image(Image.fromarray(base if channels == 4 else base[..., :3])))
    array = base[..., :channels]
    if channels == 1:
        want = np.repeat(array, 3, 2).astype(int)
    kind = data.draw(st.sampled_from(["uint8", "uint16", "unit", "float255", "int64", "half"]))
    made = {
        "uint8": array, "uint16": array.astype(np.uint16) * 257, "int64": array.astype(np.int64),
        "unit": array.astype(np.float32) / 255, "float255": array.astype(np.float64),
        "half": array.astype(np.float16) / 255,
    }[kind]  # fmt: skip
    first = data.draw(st.booleans())
    tensor = data.draw(st.booleans()) if kind != "uint16" else False
    # where both axes could be the channels, the library's custom decides
    last_too = size[0] in (1, 3, 4)
    first_too = size[1] in (1, 3, 4)
    if tensor and not first and first_too:
        first = True
    if not tensor and first and last_too:
        first = False
    if first:
        made = made.transpose(2, 0, 1)
    if channels == 1 and data.draw(st.booleans()):
        made = made[0] if first else made[..., 0]
    source: Any = torch.tensor(np.ascontiguousarray(made)) if tensor else made
    assert np.abs(pixels(open_image(source)) - want).max() <= 1


def test_tensors_with_gradients_and_of_half_precision_are_read() -> None:
    torch = pytest.importorskip("torch")
    array = torch.full((3, 8, 9), 0.5, requires_grad=True)
    assert open_image(array).getpixel((0, 0)) == (128, 128, 128)
    assert open_image(array.bfloat16()).size == (9, 8)


def test_a_bool_array_is_black_and_white() -> None:
    assert pixels(open_image(np.eye(3, dtype=bool)))[..., 0].tolist() == (np.eye(3) * 255).tolist()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((2, 3, 4, 3), np.uint8), "one by one"),
        (np.zeros((5, 6, 2), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
        (np.float32(3), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.full((4, 4, 3), np.nan), "finite"),
        (np.linspace(-2.1, 2.6, 48).reshape(4, 4, 3), "normalisation"),
        (np.full((4, 4), 2.5), "0 to 255"),
        (np.full((4, 4), 70_000), "16 bits"),
        (np.full((4, 4), -3), "-3"),
        (np.full((4, 4), "x"), "numbers"),
        (np.full((4, 4), 1 + 2j), "numbers"),
        ([[1, 2], [3, 4]], "from a list"),
        (None, "NoneType"),
        (7, "from a int"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(array: Any, told: str) -> None:
    with pytest.raises(ImageError, match=told) as caught:
        open_image(array)
    assert "\n" not in str(caught.value)


def test_pixels_that_would_show_black_are_said(caplog: pytest.LogCaptureFixture) -> None:
    for array in (np.eye(4, dtype=np.uint8), np.full((4, 4), 200, np.uint16)):
        caplog.clear()
        open_image(array)
        assert "black" in caplog.text
    caplog.clear()
    open_image(Image.fromarray(np.full((4, 4), 4000, np.uint16)))
    assert "4000 of 65535" in caplog.text


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize(
    ("depth", "colour", "row", "key", "shown"),
    [
        (1, 0, bytes([0b01000000]), struct.pack(">H", 0), [255, 255]),
        (1, 0, bytes([0b01000000]), struct.pack(">H", 1), [0, 255]),
        (2, 0, bytes([0b00110000]), struct.pack(">H", 0), [255, 255]),
        (2, 0, bytes([0b01100000]), struct.pack(">H", 2), [85, 255]),
        (4, 0, bytes([0x1F]), struct.pack(">H", 1), [255, 255]),
        (8, 0, bytes([7, 9]), struct.pack(">H", 9), [7, 255]),
        (16, 0, struct.pack(">HH", 1000, 40000), struct.pack(">H", 40000), [4, 255]),
        (8, 2, bytes([0, 0, 0, 9, 9, 9]), struct.pack(">HHH", 9, 9, 9), [0, 255]),
        (16, 2, struct.pack(">6H", 0, 0, 0, 4000, 1, 2), struct.pack(">3H", 4000, 1, 2), [0, 255]),
    ],
)
def test_one_colour_of_a_png_may_be_transparent_at_every_depth(
    depth: int, colour: int, row: bytes, key: bytes, shown: list[int]
) -> None:
    head = struct.pack(">IIBBBBB", 2, 1, depth, colour, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*each)
        for each in ((b"IHDR", head), (b"tRNS", key), (b"IDAT", zlib.compress(b"\0" + row)),
                     (b"IEND", b""))
    )  # fmt: skip
    assert pixels(open_image(png))[0, :, 0].tolist() == shown


def test_a_transparent_palette_and_multiplied_colours_are_on_white() -> None:
    palette = Image.new("P", (2, 1), 1)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.putpixel((0, 0), 0)
    for transparency in (0, b"\0\xff"):
        file = io.BytesIO()
        palette.save(file, "PNG", transparency=transparency)
        assert pixels(open_image(file.getvalue())).tolist() == [[[255] * 3, [200, 0, 0]]]
    half = Image.new("RGBA", (2, 2), (0, 0, 0, 128))
    assert open_image(half.convert("RGBa")).getpixel((0, 0)) == (127, 127, 127)
    assert open_image(Image.new("PA", (2, 2))).getpixel((0, 0)) == (255, 255, 255)


def test_white_may_be_zero_in_a_16_bit_tiff() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((3, 3), 65535, np.uint16)).save(file, "TIFF", tiffinfo={262: 0})
    assert open_image(file.getvalue()).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("values", "shown", "told"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255], ""),
        ([-0.02, 0.5, 1.03], [0, 128, 255], ""),
        ([0.0, 100.0, 255.0], [0, 100, 255], ""),
        ([-3.0, 1.0, 5.0], [0, 128, 255], "brought to black and white"),
        ([0.0, 500.0, 1000.0], [0, 128, 255], "brought to black and white"),
    ],
)
def test_float_grey_is_scaled_and_never_cut_to_white(
    values: list[float], shown: list[int], told: str
) -> None:
    read = read_picture(Image.fromarray(np.array([values], np.float32)))
    assert pixels(read.image)[0, :, 0].tolist() == shown
    assert told in " ".join(read.notes) and bool(told) == bool(read.notes)


def test_whole_grey_numbers_of_32_bits_are_scaled() -> None:
    def shown(*values: int) -> list[int]:
        return pixels(open_image(Image.fromarray(np.array([values], np.int32))))[0, :, 0].tolist()

    assert shown(0, 100, 255) == [0, 100, 255]
    assert shown(0, 25700, 65535) == [0, 100, 255]
    assert shown(-100, 0, 100) == [0, 128, 255]
    with pytest.raises(ImageError, match="no range"):
        shown(70_000)


def swapped_profile() -> bytes:
    """sRGB with the red and blue primaries exchanged, so that its effect cannot be missed."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    kept = data[red + 4 : red + 12]
    data[red + 4 : red + 12] = data[blue + 4 : blue + 12]
    data[blue + 4 : blue + 12] = kept
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_colour_profile_is_converted_to_srgb(kind: str) -> None:
    image = Image.new("RGB", (16, 16), (250, 20, 30))
    file = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    image.save(file, kind, icc_profile=swapped_profile(), **options)
    got = open_image(file.getvalue())
    red, green, blue = pixels(got)[8, 8]
    assert blue > 200 and red < 60 and green < 60
    assert "icc_profile" not in got.info
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    palette.info["icc_profile"] = swapped_profile()
    assert pixels(open_image(palette))[8, 8, 2] > 200
    clear = Image.new("RGBA", (4, 4), (250, 20, 30, 0))
    clear.info["icc_profile"] = swapped_profile()
    assert open_image(clear).getpixel((0, 0)) == (255, 255, 255)


def test_an_srgb_profile_changes_no_pixel() -> None:
    array = noise((20, 20), 1)
    image = Image.fromarray(array)
    image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (pixels(open_image(image)) == array).all()


def test_profiles_that_do_not_fit_are_left_out_and_said() -> None:
    for mode, profile, told in (
        ("RGB", b"damaged", "damaged"),
        ("CMYK", swapped_profile(), "not CMYK"),
    ):
        image = Image.new(mode, (4, 4))
        image.info["icc_profile"] = profile
        (note,) = read_picture(image).notes
        assert told in note


def test_cmyk_hsv_and_lab_are_shown_in_their_colours() -> None:
    array = np.zeros((8, 8, 3), np.uint8)
    array[:, 4:] = (200, 30, 40)
    image = Image.fromarray(array)
    file = io.BytesIO()
    image.convert("CMYK").save(file, "JPEG", quality=98)  # Pillow writes Adobe's inverted form
    for shown in (
        file.getvalue(),
        image.convert("CMYK"),
        image.convert("HSV"),
        image.convert("YCbCr"),
    ):
        assert np.abs(pixels(open_image(shown)) - array).max() <= 6
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(image, to_lab)
    assert lab is not None and np.abs(pixels(open_image(lab)) - array).max() <= 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_several_is_taken_and_said(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"moving.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    read = read_picture(path)
    assert read.frames == 3 and read.image.getpixel((3, 3))[0] > 200
    with caplog.at_level(logging.WARNING, "gazeheads"):
        open_image(path)
    assert len(caplog.records) == 1 and "first of 3" in caplog.text and path.name in caplog.text
    with Image.open(path) as chosen:
        chosen.seek(2)
        read = read_picture(chosen)
    assert read.frames == 1 and read.image.getpixel((3, 3))[2] > 200 and not read.notes


def test_a_phone_photo_of_two_versions_is_no_animation() -> None:
    file = io.BytesIO()
    photo = Image.new("RGB", (16, 16), "red")
    photo.save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16), "blue")])
    read = read_picture(file.getvalue())
    assert read.image.getpixel((3, 3))[0] > 200 and not read.notes


def test_the_orientation_in_the_file_is_told() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (40, 20)).save(file, "JPEG", exif=exif)
    read = read_picture(file.getvalue())
    assert (read.stored_size, read.orientation, read.image.size) == ((40, 20), 6, (20, 40))
    kept = Image.open(io.BytesIO(file.getvalue())).convert("L")  # its EXIF comes along
    assert open_image(kept).size == (20, 40)
    for wrong in (0, 9):
        exif[0x0112] = wrong
        photo = io.BytesIO()
        Image.new("RGB", (40, 20)).save(photo, "JPEG", exif=exif)
        assert open_image(photo.getvalue()).size == (40, 20)


@pytest.mark.parametrize(
    "address",
    ["https://example.org/a.png", "http:/a.png", Path("https://example.org/a.png"),
     "data:image/png;base64," + "A" * 5000, "s3://bucket/a.png"],
)  # fmt: skip
def test_an_address_is_a_clear_no(address: Any) -> None:
    with pytest.raises(ImageError, match="download it first") as caught:
        open_image(address)
    assert len(str(caught.value)) < 300


def test_what_is_missing_empty_or_of_another_kind_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "page.png").write_text("<!DOCTYPE html><html>not found</html>")
    (tmp_path / "photo.png").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 40)
    (tmp_path / "text.png").write_text("no image")
    cases = {
        "none.png": "not found", ".": "folder", "empty.png": "empty", "page.png": "web page",
        "photo.png": "HEIC", "text.png": "unknown format",
    }  # fmt: skip
    for name, told in cases.items():
        with pytest.raises(ImageError, match=told) as caught:
            open_image(tmp_path / name)
        assert "\n" not in str(caught.value) and "0x" not in str(caught.value)
    for source, told in (
        (b"", "empty"), ("", "empty"), (b"junk", "unknown format"), (io.BytesIO(), "empty"),
        (io.StringIO("x"), "binary mode"), ("a\0b", "cannot read"), ("x" * 5000, "cannot read"),
        ("/dev/null", "no regular file"),
    ):  # fmt: skip
        with pytest.raises(ImageError, match=told) as caught:
            open_image(source)
        assert len(str(caught.value)) < 300
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(ImageError, match="closed"):
        open_image(closed)


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (5, 6)).save(tmp_path / "a.png")
    assert open_image("~/a.png").size == (5, 6)


def test_a_huge_picture_is_refused_before_it_is_decoded() -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))
    with pytest.raises(ImageError, match="too large"):
        open_image(png)


@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(kind: str, data: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(noise((30, 20), 3)).save(file, kind)
    whole = file.getvalue()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
    for damaged in (cut, flipped):
        try:
            assert open_image(damaged).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


def test_a_file_may_stand_anywhere_and_a_stream_need_not_seek() -> None:
    file = io.BytesIO()
    Image.new("RGB", (5, 6)).save(file, "PNG")
    assert open_image(file).size == (5, 6)

    class Stream:
        def read(self) -> bytes:
            return file.getvalue()

    assert open_image(Stream()).size == (5, 6)  # type: ignore[arg-type]


def test_a_strip_of_any_pictures_shows_them_as_the_reader_does() -> None:
    turned = Image.new("RGB", (40, 20))
    turned.getexif()[0x0112] = 6
    clear = Image.new("RGBA", (20, 40), (0, 0, 0, 0))
    wide = Image.fromarray(np.full((40, 20), 65535, np.uint16))
    strip = Strip("any", (turned, clear, wide))
    assert [panel.size for panel in strip.panels] == [(20, 40)] * 3
    assert pixels(strip.panels[1]).min() == pixels(strip.panels[2]).min() == 255
