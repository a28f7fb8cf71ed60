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


PICTURES = [noise(1), noise(2), noise(3)]


def written(path: Path, columns: dict[str, Any], features: dict[str, Any]) -> str:
    chosen = datasets.Features({"comic_id": datasets.Value("string"), **features})
    data = datasets.Dataset.from_dict({"comic_id": ["a"], **columns}, features=chosen)
    data.to_parquet(str(path))
    return str(path)


@pytest.mark.parametrize(
    "names",
    [
        ("panel_01", "panel_02", "panel_10"), ("panel1", "panel2", "panel10"),
        ("Panel 1", "Panel 2", "Panel 10"), ("panel_1", "panel_02", "PANEL-10"),
    ],
)  # fmt: skip
def test_numbered_columns_are_read_however_they_are_written(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    between = [f"panel_{k}" for k in range(3, 10)]
    columns = [names[2], *between, names[1], names[0]]  # order by number, not as they stand
    colours = {name: Image.new("RGB", (8, 8), (20 * k, 0, 0)) for k, name in enumerate(columns)}
    source = written(
        tmp_path / "a.parquet",
        {name: [colour] for name, colour in colours.items()},
        {name: datasets.Image() for name in columns},
    )
    (strip,) = dataset_strips(source, height=None)
    reds = [panel.getpixel((0, 0)) for panel in strip.panels]
    ordered = [names[0], names[1], *between, names[2]]
    assert reds == [colours[name].getpixel((0, 0)) for name in ordered]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("panel_1", "panel_3"), "number 2 is missing, found panel_1, panel_3"),
        (("panel_0", "panel_1"), "number 2 is missing, found panel_0, panel_1"),
        (("panel_1", "panel_01"), "panel_1 and panel_01 are the same column"),
        (("panel_a", "panel_b"), "needs the columns comic_id, .*found comic_id, panel_a, panel_b"),
        (("panels", "panel_1"), "both panels and panel_1"),
    ],
)
def test_columns_with_gaps_or_twice_are_refused(
    tmp_path: Path, names: tuple[str, ...], told: str
) -> None:
    cells = {name: [PICTURES if name == "panels" else noise(1)] for name in names}
    kinds = {
        name: datasets.List(datasets.Image()) if name == "panels" else datasets.Image()
        for name in names
    }
    source = written(tmp_path / "a.parquet", cells, kinds)
    with pytest.raises(GazeheadsError, match=told):
        list(dataset_strips(source))


@pytest.mark.parametrize(
    ("captions", "kind", "read"),
    [
        (["A", "B", "C"], datasets.Value("string"), (("A",), ("B",), ("C",))),
        (
            [["A", "a"], ["B"], ["C"]], datasets.List(datasets.Value("string")),
            (("A", "a"), ("B",), ("C",)),
        ),
    ],
)  # fmt: skip
def test_lists_of_panels_and_captions_are_read_as_lists(
    tmp_path: Path, captions: list[Any], kind: Any, read: Any
) -> None:
    source = written(
        tmp_path / "a.parquet",
        {"panels": [PICTURES], "captions": [captions]},
        {"panels": datasets.List(datasets.Image()), "captions": datasets.List(kind)},
    )
    (strip,) = dataset_strips(source, height=None)
    assert strip.captions == read and np.array_equal(strip.panels[1], PICTURES[1])


def test_a_caption_column_may_hold_lists_of_wordings(tmp_path: Path) -> None:
    names = [f"panel_{k}" for k in (1, 2)]
    cells = {name: [noise(1)] for name in names} | {
        f"caption_0{k}": [[f"A {k}", f"B {k}"]] for k in (1, 2)
    }
    kinds = {name: datasets.Image() for name in names} | {
        f"caption_0{k}": datasets.List(datasets.Value("string")) for k in (1, 2)
    }
    (strip,) = dataset_strips(written(tmp_path / "a.parquet", cells, kinds))
    assert strip.captions == (("A 1", "B 1"), ("A 2", "B 2"))


def test_captions_that_are_no_texts_or_too_few_are_refused(tmp_path: Path) -> None:
    numbers = {f"caption_{k}": [k, k, k] for k in range(1, PANELS + 1)}
    columns = {f"panel_{k}": [noise(k)] for k in (1, 2)}
    kinds = {name: datasets.Image() for name in columns}
    few = written(
        tmp_path / "few.parquet",
        {**columns, "captions": [["A"]]},
        {**kinds, "captions": datasets.List(datasets.Value("string"))},
    )
    with pytest.raises(GazeheadsError, match="comic a has 2 panels but 1 captions"):
        list(dataset_strips(few))
    wrong = written(
        tmp_path / "wrong.parquet",
        {**columns, "caption_1": [1], "caption_2": [2]},
        {**kinds, **{name: datasets.Value("int64") for name in list(numbers)[:2]}},
    )
    with pytest.raises(GazeheadsError, match="caption_1: a caption must be a text, not 1"):
        list(dataset_strips(wrong))


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
