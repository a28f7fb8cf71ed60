"""A folder in COCO's format: turned files, damaged files and boxes that are none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.coco import coco_pictures
from gazeheads.errors import GazeheadsError

pytest.importorskip("pycocotools")

SIZE = (300, 200)
BOX = (40, 30, 130, 80)
"""Of the stored picture: left, top, width, height."""


def write(
    folder: Path, boxes: Sequence[Any], images: Sequence[dict[str, Any]] | None = None, **more: Any
) -> Path:
    """A set whose first picture has annotations with these boxes; the rest have one good box."""
    images = images or [{"id": 1, "file_name": "1.png"}]
    made = [
        {"id": i, "image_id": 1, "category_id": 3, "bbox": box, "iscrowd": 0, **more}
        for i, box in enumerate(boxes, 1)
    ]
    made += [
        {"id": 100 + image["id"], "image_id": image["id"], "category_id": 3, "bbox": list(BOX)}
        for image in images[1:]
    ]
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").mkdir()
    about = {"images": images, "annotations": made, "categories": [{"id": 3, "name": "dog"}]}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(about))
    return folder


def painted(orientation: int, path: Path) -> None:
    """A black picture whose stored pixels under `BOX` are white."""
    pixels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    x, y, width, height = BOX
    pixels[y : y + height, x : x + width] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


def shows(image: Image.Image, box: Sequence[float]) -> bool:
    """Whether exactly this box of the picture is white."""
    x0, y0, x1, y1 = (round(value) for value in box)
    white = np.asarray(image)[..., 0] > 128
    return bool(white[y0:y1, x0:x1].all()) and white.sum() == (x1 - x0) * (y1 - y0)


@pytest.mark.parametrize(
    ("orientation", "told"),
    [(turn, told) for turn in range(1, 9) for told in ("not", "stored")]
    + [(turn, "upright") for turn in range(5, 9)],  # only these tell the two frames apart
)
def test_the_box_of_a_picture_that_exif_turns_is_where_the_object_is(
    orientation: int, told: str, tmp_path: Path
) -> None:
    image: dict[str, Any] = {"id": 1, "file_name": "1.png"}
    across = orientation >= 5
    box = list(BOX)
    if told == "upright":
        upright = SIZE[::-1]
        image |= {"width": upright[0], "height": upright[1]}
    elif told == "stored":
        image |= {"width": SIZE[0], "height": SIZE[1]}
    folder = write(tmp_path / "coco", [box], [image])
    painted(orientation, folder / "val2017" / "1.png")
    (picture,) = coco_pictures(folder, 1, 0)
    assert picture.image.size == (SIZE[::-1] if across else SIZE)
    (thing,) = picture.things
    if told == "upright":
        assert thing.box == (BOX[0], BOX[1], BOX[0] + BOX[2], BOX[1] + BOX[3])
    else:
        assert shows(picture.image, thing.box)


def test_a_picture_of_another_size_than_annotated_is_left_out(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "1.png", "width": 640, "height": 427},
        {"id": 2, "file_name": "2.png", "width": SIZE[0], "height": SIZE[1]},
    ]
    folder = write(tmp_path / "coco", [BOX], images)
    for number in (1, 2):
        painted(1, folder / "val2017" / f"{number}.png")
    pictures = coco_pictures(folder, 2, 0)
    assert [picture.id for picture in pictures] == ["2"]
    (left_out,) = pictures.left_out
    assert (left_out.what, left_out.count, left_out.first) == ("picture", 1, "1.png")
    assert "another size" in left_out.reason


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([100, 100, -50, -50], "without width or height"),
        ([100, 100, 0, 80], "without width or height"),
        ([400, 10, 90, 90], "outside"),
        ([-80, 10, 90, 90], "outside"),
        ([None, 1, 2, 3], "four numbers"),
        ([1, 2, 3], "four numbers"),
        ("x", "four numbers"),
        (None, "four numbers"),
        ([float("nan"), 1, 50, 50], "four numbers"),
        ([5, 5, 20, 20], "smaller"),
    ],
)
def test_a_box_that_is_none_is_left_out_and_counted(bad: Any, reason: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "coco", [bad, list(BOX)])
    painted(1, folder / "val2017" / "1.png")
    pictures = coco_pictures(folder, 1, 0)
    assert len(pictures[0].things) == 1 and shows(pictures[0].image, pictures[0].things[0].box)
    (left_out,) = pictures.left_out
    assert reason in left_out.reason and left_out.first == "1.png, annotation 1"


def test_crowds_and_unknown_categories_are_left_out_and_counted(tmp_path: Path) -> None:
    for name, more, reason in (
        ("crowd", {"iscrowd": 1}, "crowd"), ("category", {"category_id": 9}, "category"),
    ):  # fmt: skip
        images = [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}]
        folder = write(tmp_path / name, [BOX], images, **more)
        about = json.loads((folder / "annotations" / "instances_val2017.json").read_text())
        about["annotations"].append({**about["annotations"][0], "id": 50, "image_id": 2})
        (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(about))
        for number in (1, 2):
            painted(1, folder / "val2017" / f"{number}.png")
        pictures = coco_pictures(folder, 2, 0)
        assert [len(picture.things) for picture in pictures] == [1]
        assert any(each.what == "box" and reason in each.reason for each in pictures.left_out)


@given(st.floats(-20, 290), st.floats(-20, 190), st.floats(1, 400), st.floats(1, 300))
def test_a_box_that_sticks_out_is_cut_off_or_left_out(
    x: float, y: float, width: float, height: float
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = write(Path(place) / "coco", [[x, y, width, height], BOX])
        painted(1, folder / "val2017" / "1.png")
        (picture,) = pictures = coco_pictures(folder, 1, 0)
        inside = max(0, min(x + width, 300) - max(x, 0)) * max(0, min(y + height, 200) - max(y, 0))
        assert all(
            0 <= x0 < x1 <= 300 and 0 <= y0 < y1 <= 200
            for x0, y0, x1, y1 in (thing.box for thing in picture.things)
        )
        used = len(picture.things) == 2
        if used:
            assert picture.things[0].area == pytest.approx(inside)
            assert picture.things[0].area >= max(750, width * height / 2 - 1e-6)
            cut = max(-x, -y, x + width - 300, y + height - 200)
            if abs(cut - 1) > 1e-6:
                assert bool(pictures.left_out) == (cut > 1)
        else:
            assert inside < max(750, width * height / 2) + 1e-6
            assert sum(each.count for each in pictures.left_out) == 1


def test_pictures_that_cannot_be_used_are_replaced_by_others_and_counted(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(1, 7)]
    folder = write(tmp_path / "coco", [BOX], images)
    for number in (2, 3, 5):
        painted(1, folder / "val2017" / f"{number}.png")
    (folder / "val2017" / "4.png").write_bytes(b"no picture")
    pictures = coco_pictures(folder, 6, 0)
    assert [picture.id for picture in pictures] == ["2", "3", "5"]
    assert {each.reason: each.count for each in pictures.left_out} == {
        "missing": 2, "that cannot be read": 1
    }  # fmt: skip
    assert len(coco_pictures(folder, 3, 1)) == 3
    for number in (2, 3, 5):
        (folder / "val2017" / f"{number}.png").unlink()
    with pytest.raises(GazeheadsError, match=r"5 missing.*1 that cannot be read \(4.png\)"):
        coco_pictures(folder, 6, 0)


def test_damaged_annotations_are_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "coco", [BOX])
    annotations = folder / "annotations" / "instances_val2017.json"
    for text in ("{", "[]", '{"images": [{}], "annotations": [], "categories": []}'):
        annotations.write_text(text)
        with pytest.raises(GazeheadsError, match=r"instances_val2017\.json is damaged") as caught:
            coco_pictures(folder, 1, 0)
        assert "\n" not in str(caught.value)


def test_the_names_of_before_are_still_found_beside_the_objects() -> None:
    from gazeheads.data import objects

    assert objects.coco_pictures is coco_pictures
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = objects.nothing
