"""Pictures with objects in known boxes: COCO val2017 from a local folder, or drawn scenes."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.errors import GazeheadsError
from gazeheads.regions import Region

SMALLEST_AREA = 750
SMALL, MEDIUM, LARGE = "small", "medium", "large"
CLASSES = (LARGE, MEDIUM, SMALL)
SCENE_SIZES = (512, 256, 112)
"""Edges of drawn scenes in turn, so that objects of every size class occur."""

SYNONYMS = {
    "person": (
        "man", "woman", "boy", "girl", "child", "people", "player", "lady", "guy", "baby",
        "rider", "surfer", "skier", "men", "women", "children",
    ),
    "bicycle": ("bike",), "motorcycle": ("motorbike",), "airplane": ("plane", "jet"),
    "couch": ("sofa",), "tv": ("television", "screen", "monitor"), "cell phone": ("phone",),
    "dining table": ("table",), "potted plant": ("plant",), "sports ball": ("ball",),
    "wine glass": ("glass",), "teddy bear": ("teddy", "stuffed animal"), "donut": ("doughnut",),
    "hair drier": ("hair dryer",), "refrigerator": ("fridge",), "cow": ("cattle",),
    "sheep": ("lamb",), "laptop": ("computer",), "boat": ("ship",), "mouse": ("computer mouse",),
    "baseball bat": ("bat",), "baseball glove": ("glove", "mitt"), "tennis racket": ("racket",),
    "handbag": ("bag", "purse"), "suitcase": ("luggage",), "traffic light": ("stoplight",),
}  # fmt: skip
"""COCO category -> other words that name it."""


@dataclass(frozen=True)
class Thing:
    """One object in a picture.

    Attributes:
        name: of its category.
        box: (x0, y0, x1, y1) in pixels.
    """

    name: str
    box: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """Of the box, in square pixels."""
        x0, y0, x1, y1 = self.box
        return (x1 - x0) * (y1 - y0)

    @property
    def size(self) -> str:
        """COCO's size class: small up to 32^2 px, large above 96^2 px."""
        if self.area > 96**2:
            return LARGE
        return MEDIUM if self.area > 32**2 else SMALL

    @property
    def region(self) -> Region:
        """The box as a region."""
        return Region((self.box,), name=self.name)

    def is_named(self, text: str) -> bool:
        """Whether a text names the category, in the singular or plural, or by a synonym."""
        words = "|".join(re.escape(word) for word in (self.name, *SYNONYMS.get(self.name, ())))
        return re.search(rf"\b(?:{words})(?:s|es)?\b", text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class NaturalPicture:
    """A picture with its objects."""

    id: str
    image: Image.Image
    things: tuple[Thing, ...]


def drawn_pictures(count: int, seed: int) -> list[NaturalPicture]:
    """Drawn scenes; picture i depends on (seed, i) only."""
    pictures = []
    for i in range(count):
        edge = SCENE_SIZES[i % len(SCENE_SIZES)]
        scene = draw_scene(np.random.default_rng((seed, i)), (edge, edge))
        things = tuple(Thing(each.name, each.box) for each in scene.objects)
        kept = tuple(thing for thing in things if thing.area >= SMALLEST_AREA)
        pictures.append(NaturalPicture(f"scene-{seed}-{i:04}", scene.image, kept))
    return [picture for picture in pictures if picture.things]


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


def coco_pictures(folder: Path, count: int, seed: int) -> list[NaturalPicture]:
    """Pictures of COCO val2017 drawn at random.

    Args:
        folder: holds `annotations/instances_val2017.json` and `val2017/`.
        count: at most so many.
        seed: of the draw.

    Raises:
        GazeheadsError: pycocotools is not installed, or a file is missing or damaged.
    """
    try:
        from pycocotools.coco import COCO  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise GazeheadsError(
            "reading COCO needs pycocotools: pip install 'gazeheads[data]'"
        ) from error
    annotations = coco_annotations(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
            coco = COCO(str(annotations))
        names = {entry["id"]: entry["name"] for entry in coco.loadCats(coco.getCatIds())}
        found = [
            (entry, _things(coco.imgToAnns[entry["id"]], names))
            for entry in sorted(coco.loadImgs(coco.getImgIds()), key=lambda entry: entry["id"])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GazeheadsError(f"{annotations} is damaged: {error!r}") from error
    usable = [(entry, things) for entry, things in found if things]
    if not usable:
        raise GazeheadsError(f"{annotations} has no box of at least {SMALLEST_AREA} px")
    order = np.random.default_rng(seed).permutation(len(usable))[:count]
    return [_read(folder / "val2017", *usable[int(i)]) for i in sorted(order)]


def _things(annotations: Sequence[dict], names: dict[int, str]) -> tuple[Thing, ...]:
    things = []
    for entry in annotations:
        x, y, width, height = entry["bbox"]
        thing = Thing(names[entry["category_id"]], (x, y, x + width, y + height))
        if not entry.get("iscrowd") and thing.area >= SMALLEST_AREA:
            things.append(thing)
    return tuple(things)


def _read(folder: Path, entry: dict, things: tuple[Thing, ...]) -> NaturalPicture:
    path = folder / entry["file_name"]
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error}") from error
    return NaturalPicture(str(entry["id"]), image, things)
