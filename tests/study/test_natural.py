"""Objects in boxes: classes, names, a COCO folder, and boxes too small to point at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from gazeheads.data.coco import coco_pictures
from gazeheads.data.objects import (
    LeftOut,
    NaturalPicture,
    ObjectPictures,
    Thing,
    drawn_pictures,
)
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.study.experiments import natural
from gazeheads.study.report.blocks import TableBlock
from gazeheads.study.report.natural import natural_section
from gazeheads.study.runs import RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM


def test_size_classes_are_cocos() -> None:
    assert Thing("cat", (0, 0, 97, 97)).size == "large"
    assert Thing("cat", (0, 0, 96, 96)).size == "medium"
    assert Thing("cat", (0, 0, 32, 32)).size == "small"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Two cats.", True),
        ("A Cat!", True),
        ("a category", False),
        ("", False),
    ],
)
def test_a_category_is_named_as_a_whole_word(text: str, named: bool) -> None:
    assert Thing("cat", (0, 0, 9, 9)).is_named(text) is named


def test_synonyms_name_a_category() -> None:
    assert Thing("person", (0, 0, 9, 9)).is_named("A man on a sofa")
    assert Thing("couch", (0, 0, 9, 9)).is_named("A man on a sofa")
    assert not Thing("person", (0, 0, 9, 9)).is_named("a mantle")


def test_drawn_pictures_come_from_the_seed_and_have_all_sizes() -> None:
    pictures = drawn_pictures(12, 3)
    again = drawn_pictures(12, 3)
    assert [p.things for p in pictures] == [p.things for p in again]
    assert pictures[0].image.tobytes() == again[0].image.tobytes()
    assert {thing.size for p in pictures for thing in p.things} == {"large", "medium", "small"}


def coco_folder(folder: Path) -> Path:
    (folder / "annotations").mkdir(parents=True)
    (folder / "val2017").mkdir()
    Image.new("RGB", (200, 100), "red").save(folder / "val2017" / "7.jpg")
    annotations = [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 120, 100], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 20, 20], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 5, "bbox": [0, 0, 90, 90], "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 5, "bbox": [120, 20, 40, 40], "iscrowd": 0},
    ]
    data = {
        "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "8.jpg"}],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "dog"}],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(data))
    return folder


def test_a_coco_folder_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    (picture,) = coco_pictures(coco_folder(tmp_path / "coco"), 5, 0)
    assert picture.id == "7" and picture.image.size == (200, 100)
    assert [(thing.name, thing.box) for thing in picture.things] == [
        ("car", (0, 0, 120, 100)),
        ("dog", (120, 20, 160, 60)),
    ]
    with pytest.raises(GazeheadsError, match=r"annotations/ and val2017/"):
        coco_pictures(tmp_path, 5, 0)
    (tmp_path / "coco" / "val2017" / "7.jpg").unlink()
    with pytest.raises(GazeheadsError, match=r"cannot read.*1 missing \(7.jpg\)"):
        coco_pictures(tmp_path / "coco", 5, 0)


def test_a_box_between_token_centres_counts_as_missed(gqa: VLM, tmp_path: Path) -> None:
    # tokens are 32 px wide with centres at 16, 48, ...
    things = (Thing("cat", (0, 0, 64, 64)), Thing("dog", (18, 0, 46, 64)))
    picture = NaturalPicture("one", Image.new("RGB", (96, 64), "blue"), things)
    sets = {"gaze": HeadSet.of([(1, 0)])}
    settings = natural.NaturalSettings("test", max_new_tokens=3)
    run = natural.run(gqa, [picture], sets, settings, RunOptions(tmp_path))
    cat, dog = run.records["one"]["things"]
    assert cat["covered"] and not dog["covered"]
    assert dog["answers"] == {"gaze": ""} and dog["named"]["gaze"] is False
    overall = run.summary["results"]["classes"][-1]
    assert (overall["boxes"], overall["without_tokens"]) == (2, 1)
    assert overall["accuracy"]["gaze"]["total"] == 2


def test_a_class_without_boxes_has_no_accuracy_and_what_was_left_out_is_told(
    gqa: VLM, tmp_path: Path
) -> None:
    thing = Thing("cat", (0, 0, 100, 100))
    outside = Thing("dog", (500, 0, 600, 100))
    picture = NaturalPicture("one", Image.new("RGB", (128, 128), "blue"), (thing, outside))
    pictures = ObjectPictures((picture,), (LeftOut("picture", "missing", 2, "7.jpg"),))
    settings = natural.NaturalSettings("test", max_new_tokens=2)
    sets = {"gaze": HeadSet.of([(1, 0)])}
    run = natural.run(gqa, pictures, sets, settings, RunOptions(tmp_path))
    classes = {each["name"]: each for each in run.summary["results"]["classes"]}
    assert classes["large"]["boxes"] == classes["overall"]["boxes"] == 1
    assert classes["small"]["accuracy"] == {"unsteered": None, "gaze": None}
    assert [each["count"] for each in run.summary["results"]["left_out"]] == [2, 1]
    section = natural_section({natural.EXPERIMENT: run})
    table, left_out = (block for block in section.blocks if isinstance(block, TableBlock))
    small = next(row for row in table.rows if row[0] == "small")
    assert small.count("no boxes") == 2 and not any("0.0%" in cell for cell in small)
    assert left_out.rows == (
        ("picture missing", "2", "7.jpg"), ("box outside the picture", "1", "one")
    )  # fmt: skip


def test_records_of_before_are_still_summed_up(gqa: VLM, tmp_path: Path) -> None:
    things = (Thing("cat", (0, 0, 64, 64)), Thing("dog", (18, 0, 46, 64)))
    picture = NaturalPicture("one", Image.new("RGB", (96, 64), "blue"), things)
    settings = natural.NaturalSettings("test", max_new_tokens=2)
    sets = {"gaze": HeadSet.of([(1, 0)])}
    run = natural.run(gqa, [picture], sets, settings, RunOptions(tmp_path))
    for thing in run.records["one"]["things"]:
        del thing["why_not"]
    overall = natural.results(run)["classes"][-1]
    assert (overall["boxes"], overall["without_tokens"], overall["cropped"]) == (2, 1, 0)
