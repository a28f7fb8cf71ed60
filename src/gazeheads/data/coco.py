"""Pictures and boxes of COCO val2017, or of any set in its format, from a local folder.

COCO's boxes count from the corner of the picture as it is stored: its tools ignore EXIF. A picture
that EXIF turns is shown upright here, and its boxes are turned with it. The size in the
annotations tells if they were made on the upright picture instead (where both have one size, it
cannot tell, and COCO's way is taken); a picture of another size is left out. So is one that is
missing or cannot be read, and a box that is none or lies mostly outside; what sticks out of the
others is cut off. All of that is counted, and the run goes on.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gazeheads.boxes import ROUNDING, Box
from gazeheads.data.objects import SMALLEST_AREA, LeftOut, NaturalPicture, ObjectPictures, Thing
from gazeheads.data.pictures import ImageError, Picture, read_picture
from gazeheads.errors import GazeheadsError

Entry = Mapping[str, Any]
INSIDE = 0.5
"""Least share of a box that has to lie in the picture; the rest is cut off."""
_CROWD = "of a crowd"
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


class LeftOutTally:
    """Counts what is left out, by kind and reason."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], list[str]] = {}

    def add(self, what: str, reason: str, which: str) -> None:
        """One more."""
        self._counts.setdefault((what, reason), []).append(which)

    def left_out(self) -> tuple[LeftOut, ...]:
        """Pictures first, the most frequent reasons first."""
        ordered = sorted(self._counts.items(), key=lambda e: (e[0][0] != "picture", -len(e[1])))
        return tuple(LeftOut(*key, len(which), which[0]) for key, which in ordered)


class LeftOutError(Exception):
    """Why a picture or box is left out; ends in the tally."""


def coco_annotations(folder: Path) -> Path:
    """The annotations in a folder of COCO val2017.

    Raises:
        GazeheadsError: there are none.
    """
    annotations = folder / "annotations" / "instances_val2017.json"
    if not annotations.is_file():
        raise GazeheadsError(
            f"no {annotations}: name the folder that holds annotations/ and val2017/"
        )
    return annotations


def coco_pictures(folder: Path, count: int, seed: int) -> ObjectPictures:
    """Pictures of COCO val2017 drawn at random, those that cannot be used replaced by others.

    Args:
        folder: holds `annotations/instances_val2017.json` and `val2017/`.
        count: at most so many.
        seed: of the draw.

    Raises:
        GazeheadsError: pycocotools is not installed, the annotations are missing or damaged, or
            no picture can be used.
    """
    annotations = coco_annotations(folder)
    images, boxes, names = _read(annotations)
    tally = LeftOutTally()
    candidates = []
    for entry in images:
        if _may_hold_objects(boxes[entry["id"]]):
            candidates.append(entry)
        elif any(_is_defective(annotation) for annotation in boxes[entry["id"]]):
            tally.add("picture", "without a usable box", _name(entry))
    pictures = folder / "val2017"
    found = drawn_at_random(
        candidates,
        lambda entry: picture_of(pictures, entry, boxes[entry["id"]], names, tally),
        count,
        seed,
        tally,
    )
    left_out = tally.left_out()
    if not found:
        why = "".join(f"; {each.count} {each.reason} ({each.first})" for each in left_out)
        raise GazeheadsError(
            f"cannot read a picture with a box of at least {SMALLEST_AREA} px from "
            f"{annotations}{why}"
        )
    return ObjectPictures(found, left_out)


def drawn_at_random(
    candidates: Sequence[Entry],
    read: Callable[[Entry], NaturalPicture],
    count: int,
    seed: int,
    tally: LeftOutTally,
) -> tuple[NaturalPicture, ...]:
    """Pictures drawn at random, in their order; those that cannot be used replaced by others.

    Args:
        candidates: COCO's entries of the pictures.
        read: a picture of its entry; raises LeftOutError.
        count: at most so many.
        seed: of the draw.
        tally: gets those that cannot be used.
    """
    found: dict[int, NaturalPicture] = {}
    for place in np.random.default_rng(seed).permutation(len(candidates)).tolist():
        if len(found) == count:
            break
        try:
            found[place] = read(candidates[place])
        except LeftOutError as error:
            tally.add("picture", str(error), _name(candidates[place]))
    return tuple(found[place] for place in sorted(found))


def _read(annotations: Path) -> tuple[list[Entry], Mapping[int, Sequence[Entry]], dict[int, str]]:
    """Images in the order of their ids, the annotations of each, and the categories' names."""
    try:
        from pycocotools.coco import COCO  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise GazeheadsError(
            "reading COCO needs pycocotools: pip install 'gazeheads[data]'"
        ) from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            coco = COCO(str(annotations))
        names = {entry["id"]: str(entry["name"]) for entry in coco.loadCats(coco.getCatIds())}
        images = sorted(coco.loadImgs(coco.getImgIds()), key=lambda entry: entry["id"])
        boxes = {entry["id"]: list(coco.imgToAnns[entry["id"]]) for entry in images}
    except Exception as error:  # it raises whatever it stumbles over
        raise GazeheadsError(f"{annotations} is damaged: {error!r}") from error
    return images, boxes, names


def _may_hold_objects(annotations: Iterable[Entry]) -> bool:
    """Whether any of them is a box that may be used, before its picture is opened."""
    for entry in annotations:
        with contextlib.suppress(LeftOutError):
            x0, y0, x1, y1 = _box(entry)
            if (x1 - x0) * (y1 - y0) >= SMALLEST_AREA:
                return True
    return False


def _is_defective(annotation: Entry) -> bool:
    """Whether an annotation that stands for one object has no box."""
    try:
        _box(annotation)
    except LeftOutError as error:
        return str(error) != _CROWD
    return False


def _name(entry: Entry) -> str:
    return str(entry.get("file_name") or f"id {entry['id']}")


def _box(entry: Entry) -> Box:
    """Corners of an annotation's box, in the picture as it is stored."""
    if entry.get("iscrowd") not in (None, 0, False, "0"):
        raise LeftOutError(_CROWD)
    try:
        x, y, width, height = (float(value) for value in entry["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise LeftOutError("without four numbers") from error
    if not all(map(math.isfinite, (x, y, width, height))):
        raise LeftOutError("without four numbers")
    if width <= 0 or height <= 0:
        raise LeftOutError("without width or height")
    return (x, y, x + width, y + height)


def picture_of(
    folder: Path,
    entry: Entry,
    annotations: Iterable[Entry],
    names: Mapping[int, str],
    tally: LeftOutTally,
    least: int = SMALLEST_AREA,
) -> NaturalPicture:
    """A picture with its boxes; what is to be said of them goes into the tally if it is used.

    Args:
        folder: of the pictures.
        entry, annotations: as COCO has them.
        names: of the categories.
        tally: see above.
        least: area of a box in square pixels that is used.

    Raises:
        LeftOutError: why it is left out.
    """
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        raise LeftOutError("without a file name")
    try:
        read = read_picture(folder / name)
    except ImageError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        raise LeftOutError("missing" if missing else "that cannot be read") from error
    stored = _boxes_are_of_stored(read, entry)
    things: list[Thing] = []
    notes: list[tuple[str, str]] = []
    for annotation in annotations:
        which = f"{name}, annotation {annotation.get('id')}"
        try:
            box = _box(annotation)
            if stored:
                box = turned(box, read.stored_size, read.orientation)
            cut = _cut(box, read.image.size, least)
            things.append(Thing(_category(annotation, names), cut))
            if max(abs(a - b) for a, b in zip(box, cut, strict=True)) > ROUNDING:
                notes.append(("that sticks out, cut off at the picture's edge", which))
        except LeftOutError as error:
            notes.append((str(error), which))
    if not things:
        raise LeftOutError("without a usable box")
    for reason, which in notes:
        tally.add("box", reason, which)
    return NaturalPicture(str(entry["id"]), read.image, tuple(things))


def _category(annotation: Entry, names: Mapping[int, str]) -> str:
    name = names.get(annotation.get("category_id", -1))
    if name is None:
        raise LeftOutError("of an unknown category")
    return name


def _boxes_are_of_stored(read: Picture, entry: Entry) -> bool:
    """Whether the annotations were made on the picture as it is stored, as COCO's tools do."""
    size = (entry.get("width"), entry.get("height"))
    if None in size or size == read.stored_size:
        return True
    if size == read.image.size:
        return False
    raise LeftOutError("of another size than its annotations say")


def turned(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """A box of the stored picture in the upright one.

    Args:
        box: (x0, y0, x1, y1).
        size: (width, height) of the stored picture.
        orientation: EXIF's number.
    """
    width, height = size
    x0, y0, x1, y1 = box
    if orientation in (2, 3, 7, 8):  # the upright picture's left or top is the stored right
        x0, x1 = width - x1, width - x0
    if orientation in (3, 4, 6, 7):
        y0, y1 = height - y1, height - y0
    return (y0, x0, y1, x1) if orientation in _TURNED else (x0, y0, x1, y1)


def _cut(box: Box, size: tuple[int, int], least: int) -> Box:
    """The part of a box inside a picture, if that is most of it and large enough."""
    x0, y0, x1, y1 = box
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(size[0])), min(y1, float(size[1])))
    width, height = inside[2] - inside[0], inside[3] - inside[1]
    if width <= 0 or height <= 0 or width * height < INSIDE * (x1 - x0) * (y1 - y0):
        raise LeftOutError("outside the picture")
    if width * height < least:
        raise LeftOutError(f"smaller than {least} px")
    return inside
