"""Composites of cut-outs: boxes are where the objects are, and the COCO reader reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from PIL import Image, ImageDraw

from gazeheads.data.coco import coco_pictures
from gazeheads.data.composites import composite, read_stamps, write_composites
from gazeheads.errors import GazeheadsError

COLOURS = {"cat": (200, 0, 0), "dog": (0, 130, 0), "boat": (0, 0, 200), "tree": (0, 0, 0)}


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    folder = tmp_path / "stamps" / "things"
    folder.mkdir(parents=True)
    for name, colour in COLOURS.items():
        image = Image.new("RGBA", (90, 60))
        ImageDraw.Draw(image).rectangle((20, 10, 69, 49), fill=(*colour, 255))
        image.save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(f"A small {name}.\nde.utf8=x\n", encoding="utf-8")
    for left_out in ("Two flowers.", "A cat in a hat on a mat.", ""):
        name = f"other{len(left_out)}"
        Image.new("RGBA", (9, 9)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(left_out)
    return tmp_path / "stamps"


def test_objects_lie_in_their_boxes_and_nowhere_else(stamps: Path) -> None:
    found = read_stamps(stamps)
    assert {stamp.name for stamp in found} == set(COLOURS)
    for number in range(8):
        image, placed = composite(found, 3, number)
        pixels = np.asarray(image).astype(int)
        assert 2 <= len(placed) <= 4 and len({each.stamp.name for each in placed}) == len(placed)
        for each in placed:
            near = np.abs(pixels - COLOURS[each.stamp.name]).sum(-1) < 40
            rows, columns = np.nonzero(near)
            own = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.abs(np.subtract(own, each.box)).max() <= 2


def test_the_set_is_read_like_coco_and_is_the_same_for_a_seed(stamps: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    found = read_stamps(stamps)
    one = write_composites(found, tmp_path / "one", 3, 5)
    two = write_composites(found, tmp_path / "two", 3, 5)
    for path in sorted(one.rglob("*.*")):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()
    pictures = coco_pictures(one, 3, 0)
    lines = [json.loads(line) for line in (one / "captions.jsonl").read_text().splitlines()]
    assert len(pictures) == 3 and pictures.left_out == ()
    for picture, line in zip(pictures, lines, strict=True):
        known = {(each["name"], tuple(map(float, each["box"]))) for each in line["objects"]}
        assert {(thing.name, thing.box) for thing in picture.things} == known
        assert all(each["name"] in line["caption"].lower() for each in line["objects"])


def test_what_is_missing_or_taken_is_one_line(
    command: Command, stamps: Path, tmp_path: Path
) -> None:
    code, out, err = command("composites", tmp_path / "none", tmp_path / "out")
    assert (code, out) == (2, "") and "tuxpaint-stamps-default" in err
    (tmp_path / "empty").mkdir()
    code, _, err = command("composites", tmp_path / "empty", tmp_path / "out")
    assert code == 2 and "tuxpaint-stamps-default" in err and not (tmp_path / "out").exists()
    code, out, err = command("composites", stamps, tmp_path / "out", "--count", 2)
    assert code == 0 and len(list((tmp_path / "out" / "val2017").iterdir())) == 2, err
    with pytest.raises(GazeheadsError, match="not an empty folder"):
        write_composites(read_stamps(stamps), tmp_path / "out", 1, 0)
