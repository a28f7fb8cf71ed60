"""Data sets of the study's layout, as small parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads.data.folders import read_strips, write_strips
from gazeheads.data.hub import dataset_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError

datasets = pytest.importorskip("datasets")
PANELS = 6


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def noise(seed: int, size: int = 64) -> Image.Image:
    drawn = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(drawn)


def parquet(path: Path, strips: int = 3, **changes: Any) -> Path:
    """Columns of the study's set; a change replaces a column or drops it."""
    columns: dict[str, Any] = {"comic_id": [7 + i for i in range(strips)]}
    features: dict[str, Any] = {"comic_id": datasets.Value("int64")}
    for k in range(1, PANELS + 1):
        columns[f"panel_{k}"] = [noise(10 * i + k) for i in range(strips)]
        features[f"panel_{k}"] = datasets.Image()
    for k in range(1, PANELS + 1):
        columns[f"caption_{k}"] = [f"strip {i}, panel {k}" for i in range(strips)]
        features[f"caption_{k}"] = datasets.Value("string")
    columns |= {"style": ["ink"] * strips}
    features |= {"style": datasets.Value("string")}
    for name, values in changes.items():
        if values is None:
            del columns[name], features[name]
        else:
            columns[name] = values
    data = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    data.to_parquet(str(path))
    return path


def test_strips_come_with_their_panels_and_captions(tmp_path: Path) -> None:
    found = list(dataset_strips(str(parquet(tmp_path / "a.parquet")), height=None))
    assert [strip.id for strip in found] == ["7", "8", "9"]
    assert np.array_equal(found[1].panels[2], noise(13))
    assert found[1].captions == tuple((f"strip 1, panel {k}",) for k in range(1, PANELS + 1))
    assert [strip.id for strip in dataset_strips(str(tmp_path / "a.parquet"), limit=2)] == [
        "7",
        "8",
    ]


def test_the_default_height_leaves_the_strips_image_as_full_size_panels_give_it(
    tmp_path: Path,
) -> None:
    pictures = {f"panel_{k}": [noise(k, 512)] for k in range(1, PANELS + 1)}
    source = str(parquet(tmp_path / "a.parquet", strips=1, **pictures))
    (small,), (full,) = dataset_strips(source), dataset_strips(source, height=None)
    assert small.panels[0].size == (256, 256) and full.panels[0].size == (512, 512)
    assert np.array_equal(small.image, full.image)


def test_an_export_is_read_again_with_captions(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet")
    strips = list(dataset_strips(str(source)))
    folder = write_strips(tmp_path / "out", dataset_strips(str(source)), {"source": "a"})
    assert read_strips(folder) == strips
    assert json.loads((folder / "source.json").read_text()) == {
        "kind": "strips-source", "source": "a",
    }  # fmt: skip


def test_several_files_are_one_set_and_captions_may_be_missing(tmp_path: Path) -> None:
    bare = {f"caption_{k}": None for k in range(1, PANELS + 1)}
    (tmp_path / "set").mkdir()
    parquet(tmp_path / "set" / "a.parquet", **bare)
    parquet(tmp_path / "set" / "b.parquet", strips=1, comic_id=[99], **bare)
    found = list(dataset_strips(str(tmp_path / "set")))
    assert [strip.id for strip in found] == ["7", "8", "9", "99"]
    assert all(strip.captions is None for strip in found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"comic_id": None}, "needs the columns"),
        ({"panel_3": None}, "needs the columns"),
        ({"caption_6": None}, "needs the columns"),
        ({"caption_2": ["a", "", "b"]}, "comic 8 has an empty caption_2"),
        ({"panel_2": [noise(1), None, noise(2)]}, "comic 8 has an empty panel_2"),
        ({"comic_id": [1, 2, 1]}, "'1' twice"),
    ],
)
def test_other_sets_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    source = parquet(tmp_path / "a.parquet", **changes)
    with pytest.raises(GazeheadsError, match=told):
        write_strips(tmp_path / "out", dataset_strips(str(source)))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    for source, told in (
        (tmp_path / "empty", "no parquet files"),
        (tmp_path / "broken.parquet", "cannot read the data set"),
        ("no-such-org/no-such-set", "cannot read the data set no-such-org"),
    ):
        with pytest.raises(GazeheadsError, match=told):
            list(dataset_strips(str(source)))


def test_a_strip_too_short_is_found_while_writing_and_leaves_nothing(tmp_path: Path) -> None:
    strips = iter([Strip("a", (noise(1), noise(2))), Strip("b", (noise(1),))])
    with pytest.raises(GazeheadsError, match="b has only one panel"):
        write_strips(tmp_path / "out", strips)
    assert list(tmp_path.iterdir()) in ([], [tmp_path / "cache"])
