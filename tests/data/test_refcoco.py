"""Referring expressions: read from the authors' files, nothing run that stands in them."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gazeheads.data.refcoco import refcoco_files, refcoco_pictures
from gazeheads.errors import GazeheadsError


def ref(picture: int, annotation: int, split: str, *sentences: str) -> dict[str, Any]:
    return {
        "image_id": picture, "ann_id": annotation, "split": split,
        "sentences": [
            {"sent": text, "sent_id": 10 * annotation + i} for i, text in enumerate(sentences)
        ],
    }  # fmt: skip


REFS = [
    ref(7, 1, "val", "red car", "the car on the left"),
    ref(7, 2, "val", "small dog"),
    ref(8, 3, "testA", "a man"),
    ref(9, 4, "val", "gone"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "refcoco"
    (folder / "train2014").mkdir(parents=True)
    for name in ("7.jpg", "8.jpg"):
        Image.new("RGB", (200, 100), "red").save(folder / "train2014" / name)
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in (7, 8, 9)]
    boxes = {1: [0, 0, 120, 100], 2: [120, 20, 10, 10], 3: [5, 5, 50, 90], 4: [0, 0, 9, 9]}
    annotations = [{"id": n, "bbox": box, "iscrowd": 0} for n, box in boxes.items()]
    (folder / "instances.json").write_text(
        json.dumps({"images": images, "annotations": annotations})
    )
    (folder / "refs(unc).p").write_bytes(pickle.dumps(REFS, protocol=2))
    return folder


def test_every_expression_of_a_split_is_read_with_its_box(folder: Path) -> None:
    found = refcoco_pictures(folder, "val", 5, 0)
    (picture,) = found.pictures
    assert [(thing.name, thing.box) for thing in picture.things] == [
        ("red car", (0, 0, 120, 100)),
        ("the car on the left", (0, 0, 120, 100)),
        ("small dog", (120, 20, 130, 30)),
    ]
    assert [(each.reason, each.count) for each in found.left_out] == [("missing", 1)]
    (other,) = refcoco_pictures(folder, "testA", 5, 0).pictures
    assert other.things[0].name == "a man"


def test_json_serves_as_well(folder: Path) -> None:
    (folder / "refs(unc).p").unlink()
    (folder / "refs(unc).json").write_text(json.dumps(REFS))
    assert len(refcoco_pictures(folder, "val", 1, 0)) == 1


class _Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "refs(unc).p").write_bytes(pickle.dumps([_Evil()]))
    with pytest.raises(GazeheadsError, match=r"cannot be read: it asks for \w+\.mkdir, which"):
        refcoco_pictures(folder, "val", 1, 0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps([]), pickle.dumps([{"a": 1}])])
def test_damaged_files_are_told(folder: Path, content: bytes) -> None:
    (folder / "refs(unc).p").write_bytes(content)
    with pytest.raises(GazeheadsError, match=r"refs\(unc\)\.p (cannot be read|holds no expres)"):
        refcoco_pictures(folder, "val", 1, 0)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GazeheadsError, match="has no split 'testB': it has testA, val"):
        refcoco_pictures(folder, "testB", 1, 0)
    (folder / "refs(google).p").write_bytes(b"")
    with pytest.raises(GazeheadsError, match=r"expressions found: refs\(google\).p, refs\(unc\).p"):
        refcoco_files(folder)
    (folder / "refs(google).p").unlink()
    (folder / "train2014").rename(tmp_path / "elsewhere")
    with pytest.raises(GazeheadsError, match=r"no pictures of COCO's train2014"):
        refcoco_files(folder)
    (folder / "instances.json").unlink()
    with pytest.raises(GazeheadsError, match=r"must hold instances\.json"):
        refcoco_files(folder)
