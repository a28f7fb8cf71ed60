"""One picture looks the same whichever way it comes in."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gazeheads.data.coco import coco_pictures
from gazeheads.data.comics import ComicsCorpus
from gazeheads.data.folders import read_strips
from gazeheads.data.hub import dataset_strips
from gazeheads.data.pictures import open_image
from gazeheads.live.uploads import PictureLimits, open_upload
from gazeheads.services.chat import _jpeg
from gazeheads.services.images import _as_png

SIZE = (64, 48)


def _noise(channels: int) -> np.ndarray:
    shape = (SIZE[1], SIZE[0], channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


FILES: dict[str, tuple[str, bytes]] = {
    "turned photo": ("jpg", _file(Image.fromarray(_noise(3)), "JPEG", exif=_turned(6))),
    "mirrored": ("png", _file(Image.fromarray(_noise(3)), "PNG", exif=_turned(2))),
    "16-bit grey": ("png", _file(Image.fromarray(_noise(1)[..., 0] * np.uint16(257)), "PNG")),
    "alpha": ("png", _file(Image.fromarray(_noise(4)), "PNG")),
    "grey with alpha": ("png", _file(Image.fromarray(_noise(4)).convert("LA"), "PNG")),
    "transparent palette": (
        "png", _file(Image.fromarray(_noise(1)[..., 0]).convert("P"), "PNG", transparency=3)
    ),
    "cmyk": ("jpg", _file(Image.fromarray(_noise(3)).convert("CMYK"), "JPEG")),
    "1 bit": ("png", _file(Image.fromarray(_noise(1)[..., 0] > 99), "PNG")),
    "profile": ("webp", _file(Image.fromarray(_noise(3)), "WEBP", icc_profile=_profile())),
}  # fmt: skip


def _strip(folder: Path, name: str, data: bytes) -> Image.Image:
    (folder / "comic1").mkdir()
    for number in (1, 2):
        (folder / "comic1" / f"p{number}.{name}").write_bytes(data)
    return read_strips(folder)[0].panels[0]


def _parquet(folder: Path, name: str, data: bytes) -> Image.Image:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    cell = {"bytes": data, "path": None}
    table = pa.table({"comic_id": ["a"], "panel_1": [cell], "panel_2": [cell]})
    parquet.write_table(table, folder / "set.parquet")
    (strip,) = dataset_strips(str(folder / "set.parquet"), height=None)
    return strip.panels[0]


def _coco(folder: Path, name: str, data: bytes) -> Image.Image:
    pytest.importorskip("pycocotools")
    (folder / "annotations").mkdir()
    (folder / "val2017").mkdir()
    (folder / "val2017" / f"a.{name}").write_bytes(data)
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 40, 40]}
    about = {
        "images": [{"id": 1, "file_name": f"a.{name}"}],
        "annotations": [box],
        "categories": [{"id": 1, "name": "dog"}],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(about))
    return coco_pictures(folder, 1, 0)[0].image


def _comic(folder: Path, name: str, data: bytes) -> Image.Image:
    (folder / "0").mkdir()
    for number in range(2):
        (folder / "0" / f"0_{number}.jpg").write_bytes(data)
    corpus = ComicsCorpus(folder)
    (window,) = corpus.sample(1, seed=0, panels=2)
    return corpus.strip(window).panels[0]


def _judged(folder: Path, name: str, data: bytes) -> Image.Image:
    """What a judge is shown; a JPEG, so it is read from the picture before."""
    sent = Image.open(io.BytesIO(base64.b64decode(_jpeg(Image.open(io.BytesIO(data))))))
    plain = Image.open(io.BytesIO(base64.b64decode(_jpeg(open_image(data)))))
    assert sent.tobytes() == plain.tobytes()
    return open_image(data)


def _painted(data: bytes) -> Image.Image:
    return open_image(_as_png(base64.b64encode(data).decode()))


WAYS: dict[str, Callable[[Path, str, bytes], Image.Image]] = {
    "strips folder": _strip,
    "parquet": _parquet,
    "coco": _coco,
    "comics": _comic,
    "judge": _judged,
    "upload": lambda folder, name, data: open_upload(data, PictureLimits()),
    "image service": lambda folder, name, data: _painted(data),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
def test_a_picture_looks_the_same_whichever_way_it_comes(
    kind: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache", raising=False)
    name, data = FILES[kind]
    got, wanted = WAYS[way](tmp_path, name, data), open_image(data)
    assert (got.mode, got.size) == ("RGB", wanted.size)
    assert got.tobytes() == wanted.tobytes()
