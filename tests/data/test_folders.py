from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import read_strips, write_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning


def save(path: Path, colour: str = "red", size: tuple[int, int] = (20, 20)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two comics of a user's own, of three panels each."""
    for comic in ("comic1", "comic2"):
        for k in (1, 2, 3):
            save(tmp_path / "own" / comic / f"p{k}.png")
    return tmp_path / "own"


@pytest.mark.parametrize("options", [{}, {"columns": 2, "labels": "ABCD"}], ids=["row", "grid"])
def test_what_is_written_is_read_again(tmp_path: Path, options: dict) -> None:
    strips = draw_strips(2, 3, panels=4, size=48, **options)

    folder = write_strips(tmp_path / "new" / "strips", strips)

    assert read_strips(folder) == strips
    assert np.array_equal(read_strips(folder)[1].image, strips[1].image)
    assert sorted(path.name for path in folder.iterdir()) == ["captions.jsonl", "comic1", "comic2"]
    assert [path.name for path in folder.parent.iterdir()] == ["strips"]


def test_strips_without_truths_come_back_without(tmp_path: Path) -> None:
    panels = tuple(Image.new("RGB", (30, 20), colour) for colour in ("red", "blue"))
    strip = Strip("scans", panels, panel_height=128)

    (again,) = read_strips(write_strips(tmp_path / "out", [strip]))

    assert again == strip
    assert again.truths is None


def test_captions_file_holds_words_and_wordings(tmp_path: Path) -> None:
    (strip,) = draw_strips(1, 3, panels=2, size=48)
    assert strip.truths is not None

    folder = write_strips(tmp_path / "out", [strip])

    note = json.loads((folder / "captions.jsonl").read_text(encoding="utf-8"))
    assert note["id"] == "drawn-3-0000"
    for panel, truth in zip(note["panels"], strip.truths, strict=True):
        assert panel["truth"] == truth.attributes()
        assert len(set(panel["captions"])) >= 3


def test_captions_are_written_for_truths_without_any(tmp_path: Path) -> None:
    (drawn,) = draw_strips(1, 3, panels=2, size=48)
    bare = Strip(drawn.id, drawn.panels, drawn.truths)

    assert read_strips(write_strips(tmp_path / "out", [bare])) == [drawn]


def test_comics_and_panels_are_sorted_by_number(own: Path) -> None:
    for k in range(1, 12):
        save(own / "comic10" / f"p{k}.png", "blue" if k == 10 else "green")

    strips = read_strips(own)

    assert [strip.id for strip in strips] == ["comic1", "comic2", "comic10"]
    assert [strips[2].panels[k].getpixel((0, 0)) for k in (8, 9)] == [(0, 128, 0), (0, 0, 255)]


def test_transparent_panels_become_white(own: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(own / "comic1" / "p2.png")

    assert read_strips(own)[0].panels[1].getpixel((5, 5)) == (255, 255, 255)


def test_gaps_are_named(own: Path) -> None:
    (own / "comic2" / "p2.png").unlink()
    save(own / "comic2" / "p5.png")

    with pytest.raises(GazeheadsError, match=r"comic2: p2\.png, p4\.png is missing"):
        read_strips(own)


def test_corrupt_image_is_named(own: Path) -> None:
    (own / "comic1" / "p3.png").write_bytes(b"not an image")
    with pytest.raises(GazeheadsError, match=r"p3\.png is not a readable image"):
        read_strips(own)


def test_truncated_image_is_named(own: Path) -> None:
    path = own / "comic1" / "p3.png"
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(GazeheadsError, match=r"p3\.png is not a readable image"):
        read_strips(own)


def test_one_panel_is_not_a_strip(own: Path, tmp_path: Path) -> None:
    save(own / "comic3" / "p1.png")
    with pytest.raises(GazeheadsError, match=r"comic3 has only one panel"):
        read_strips(own)
    with pytest.raises(GazeheadsError, match=r"lone has only one panel"):
        write_strips(tmp_path / "out", [Strip("lone", (Image.new("RGB", (9, 9)),))])


def test_two_files_for_one_panel_and_panel_zero_are_refused(own: Path) -> None:
    save(own / "comic1" / "p2.jpg")
    with pytest.raises(GazeheadsError, match=r"p2\.jpg and p2\.png"):
        read_strips(own)
    (own / "comic1" / "p2.jpg").rename(own / "comic1" / "p0.jpg")
    with pytest.raises(GazeheadsError, match="numbered from 1"):
        read_strips(own)


def test_missing_and_empty_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(GazeheadsError, match="no folder"):
        read_strips(tmp_path / "nowhere")
    with pytest.raises(GazeheadsError, match="no comics in"):
        read_strips(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(GazeheadsError, match="is no folder"):
        read_strips(tmp_path / "file")


@pytest.mark.parametrize(
    "line",
    [
        "{broken",
        '["comic1"]',
        '{"comic": "comic1"}',
        '{"comic": "comic1", "id": "x", "panels": [{"truth": {"hero": "cat"}}]}',
        '{"comic": "comic1", "id": "x", "panels": [3, 4, 5]}',
    ],
)
def test_damaged_captions_are_refused(own: Path, line: str) -> None:
    (own / "captions.jsonl").write_text(line)
    with pytest.raises(GazeheadsError, match=r"captions\.jsonl.* damaged"):
        read_strips(own)


def test_captions_for_other_panels_are_refused(own: Path) -> None:
    note = {"comic": "comic1", "id": "x", "panels": [{"captions": ["one"]}] * 2}
    (own / "captions.jsonl").write_text(json.dumps(note))
    with pytest.raises(GazeheadsError, match="3 panels but 2 captions"):
        read_strips(own)


def test_taken_target_is_left_alone(own: Path, tmp_path: Path) -> None:
    strips = draw_strips(1, 0, panels=2, size=48)
    for taken in (own, own / "comic1" / "p1.png"):
        with pytest.raises(GazeheadsError, match="not an empty folder"):
            write_strips(taken, strips)
    assert [strip.id for strip in read_strips(own)] == ["comic1", "comic2"]
    (tmp_path / "empty").mkdir()
    assert len(read_strips(write_strips(tmp_path / "empty", strips))) == 1


def test_target_that_cannot_be_made_is_named(own: Path) -> None:
    strips = draw_strips(1, 0, panels=2, size=48)
    with pytest.raises(GazeheadsError, match="cannot write"):
        write_strips(own / "comic1" / "p1.png" / "inside", strips)
    with pytest.raises(GazeheadsError, match="no strips"):
        write_strips(own / "new", [])


def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = draw_strips(2, 0, panels=2, size=48)
    save_panel = Image.Image.save

    def run_full(self: Image.Image, path: Path, **options: Any) -> None:
        if path.parent.name == "comic2":
            raise OSError(28, "No space left on device")
        save_panel(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", run_full)
    with pytest.raises(GazeheadsError, match="No space left"):
        write_strips(tmp_path / "out", strips)
    assert list(tmp_path.iterdir()) == []


def test_panels_of_any_format_are_read_in_capitals_too(tmp_path: Path) -> None:
    endings = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "PNG", "Jpg")
    for k, ending in enumerate(endings, 1):
        save(tmp_path / "comic1" / f"p{k}.{ending}", "white")
    assert len(read_strips(tmp_path)[0]) == len(endings)


@pytest.mark.parametrize("name", ["p2.heic", "p4.svg", "p4.pdf"])
def test_a_panel_in_a_format_that_is_not_read_is_named(own: Path, name: str) -> None:
    (own / "comic1" / "p2.png").rename(own / "comic1" / name)
    save(own / "comic1" / "p3.png")
    with pytest.raises(GazeheadsError, match=rf"{name} is in a format that is not read"):
        read_strips(own)


def test_files_beside_a_panel_are_left_alone(own: Path) -> None:
    for name in ("p1.txt", "p2.json", "cover.png", "._p3.png", "notes.md"):
        (own / "comic1" / name).write_text("x")
    assert len(read_strips(own)[0]) == 3


@pytest.mark.parametrize("name", ["²", "comic²", "comic1²", "comic１", "一", "comic٣", "①"])  # noqa: RUF001
def test_a_comic_named_with_other_digits_is_read(own: Path, name: str) -> None:
    (own / "comic1").rename(own / name)
    assert sorted(strip.id for strip in read_strips(own)) == sorted([name, "comic2"])


@pytest.mark.parametrize("sign", ["²", "①", "½", "Ⅳ"])
def test_a_panel_numbered_in_other_signs_is_told(own: Path, sign: str) -> None:
    save(own / "comic1" / f"p{sign}.png")
    with pytest.raises(GazeheadsError, match=rf"p{sign}\.png: number panels with the digits"):
        read_strips(own)


def test_other_decimal_digits_count(own: Path) -> None:
    save(own / "comic1" / "p４.png", "blue")  # noqa: RUF001
    assert read_strips(own)[0].panels[3].getpixel((0, 0)) == (0, 0, 255)
    save(own / "comic1" / "p4.png")
    with pytest.raises(GazeheadsError, match="are the same"):
        read_strips(own)


def test_a_number_far_off_is_told_at_once(own: Path) -> None:
    save(own / "comic1" / "p20240101123456789.png")
    with pytest.raises(GazeheadsError, match=r"p4\.png, p5\.png.* and more is missing"):
        read_strips(own)


def test_names_that_count_alike_keep_one_order(tmp_path: Path) -> None:
    for name in ("comic1", "comic01", "comic001"):
        for k in (1, 2):
            save(tmp_path / name / f"p{k}.png")
    assert [strip.id for strip in read_strips(tmp_path)] == ["comic001", "comic01", "comic1"]


@pytest.mark.parametrize("name", ["captions.json", "captions.txt", "Caption.jsonl"])
def test_captions_under_another_name_are_told(own: Path, name: str) -> None:
    (own / name).write_text("{}")
    (own / "readme.txt").write_text("x")
    with pytest.warns(GazeheadsWarning, match=f"{name} is not read") as told:
        assert len(read_strips(own)) == 2
    assert len(told) == 1
    (own / "captions.jsonl").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_strips(own)


def test_a_folder_of_pictures_that_is_no_comic_is_told(own: Path) -> None:
    for k in (1, 2):
        save(own / "comic3" / f"page {k}.png")
    (own / "empty").mkdir()
    with pytest.warns(GazeheadsWarning, match=r"comic3 is left out.* like p1\.png") as told:
        assert len(read_strips(own)) == 2
    assert len(told) == 1


def test_strips_of_one_id_are_not_written(tmp_path: Path) -> None:
    (strip,) = draw_strips(1, 3, panels=2, size=48)
    with pytest.raises(GazeheadsError, match="two strips have the same id 'drawn-3-0000'"):
        write_strips(tmp_path / "out", [strip, strip])
    assert list(tmp_path.iterdir()) == []
