"""Referring expressions of RefCOCO, RefCOCO+ and RefCOCOg, from the files their authors give out.

A folder of them holds `instances.json` and `refs(unc).p` (of RefCOCOg: `refs(umd).p` or
`refs(google).p`), the pictures are COCO's train2014. The `.p` file is a pickle: only plain values
are read from it, and one that asks for code is refused.
"""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gazeheads.data.coco import LeftOutTally, drawn_at_random, picture_of
from gazeheads.data.objects import ObjectPictures
from gazeheads.errors import GazeheadsError
from gazeheads.files import read_text

INSTANCES = "instances.json"
PICTURES = ("train2014", "../train2014", "../images/mscoco/images/train2014", "images/train2014")
"""Where the pictures lie, seen from the folder of expressions."""


def refcoco_files(folder: Path) -> tuple[Path, Path, Path]:
    """The expressions, the boxes and the folder of pictures.

    Raises:
        GazeheadsError: one of them is missing, or there are several files of expressions.
    """
    refs = sorted([*folder.glob("refs*.p"), *folder.glob("refs*.json")])
    if len(refs) != 1 or not (folder / INSTANCES).is_file():
        found = ", ".join(each.name for each in refs) or "none"
        raise GazeheadsError(
            f"{folder} must hold {INSTANCES} and one file refs(...).p, such as refs(unc).p; "
            f"expressions found: {found}"
        )
    for place in PICTURES:
        if (folder / place).is_dir():
            return refs[0], folder / INSTANCES, folder / place
    raise GazeheadsError(
        f"no pictures of COCO's train2014 for {folder}: put them into {folder / PICTURES[0]}"
    )


def refcoco_pictures(folder: Path, split: str, count: int, seed: int) -> ObjectPictures:
    """Pictures drawn at random from a split; their things are called by their expressions.

    Args:
        folder: see `refcoco_files`.
        split: as the file has it: "val", "testA", "testB", "test", "train".
        count: at most so many pictures.
        seed: of the draw.

    Raises:
        GazeheadsError: a file is missing or damaged, the split does not exist, or no picture can be
            used.
    """
    refs_file, instances, pictures = refcoco_files(folder)
    refs = _refs(refs_file)
    splits = sorted({str(ref["split"]) for ref in refs})
    if split not in splits:
        raise GazeheadsError(f"{refs_file} has no split {split!r}: it has {', '.join(splits)}")
    try:
        data = json.loads(read_text(instances))
        entries = {entry["id"]: entry for entry in data["images"]}
        boxes = {each["id"]: each for each in data["annotations"]}
        named = _expressions([ref for ref in refs if ref["split"] == split], boxes)
    except (KeyError, TypeError, ValueError) as error:
        raise GazeheadsError(f"{instances} or {refs_file} is damaged: {error!r}") from error
    tally = LeftOutTally()
    found = drawn_at_random(
        [entries.get(number, {"id": number}) for number in sorted(named)],
        lambda entry: picture_of(pictures, entry, *named[entry["id"]], tally, least=1),
        count,
        seed,
        tally,
    )
    if not found:
        raise GazeheadsError(f"no picture of the split {split!r} can be read from {pictures}")
    return ObjectPictures(found, tally.left_out())


def _expressions(
    refs: Sequence[Mapping[str, Any]], boxes: Mapping[int, Mapping[str, Any]]
) -> dict[int, tuple[list[dict[str, Any]], dict[int, str]]]:
    """Per picture: one annotation per expression, and the expressions by their numbers."""
    found: dict[int, tuple[list[dict[str, Any]], dict[int, str]]]
    found = defaultdict(lambda: ([], {}))
    for ref in refs:
        annotations, names = found[ref["image_id"]]
        for sentence in ref["sentences"]:
            number = sentence["sent_id"]
            annotations.append({**boxes[ref["ann_id"]], "category_id": number, "id": number})
            names[number] = str(sentence["sent"])
    return dict(found)


class _PlainValues(pickle.Unpickler):
    """Reads lists, dicts, numbers and texts; whatever would run code is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain value")


def _refs(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".json":
            refs = json.loads(read_text(path))
        else:
            with path.open("rb") as file:
                refs = _PlainValues(file, encoding="latin1").load()
        complete = [{"split", "image_id", "ann_id", "sentences"} <= set(ref) for ref in refs]
    except GazeheadsError:
        raise
    except Exception as error:  # a damaged pickle raises whatever it stumbles over
        raise GazeheadsError(f"{path} cannot be read: {error}") from error
    if not complete or not all(complete):
        raise GazeheadsError(f"{path} holds no expressions with split, picture, box and sentences")
    return list(refs)
