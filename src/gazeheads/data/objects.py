"""Pictures with objects in known boxes: drawn scenes, or COCO's (see `coco`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from PIL import Image

from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.naming import is_named
from gazeheads.regions import Region

SMALLEST_AREA = 750
SCENES, COCO = "drawn scenes", "COCO val2017"
"""What pictures with objects are called in settings and reports."""
SMALL, MEDIUM, LARGE = "small", "medium", "large"
CLASSES = (LARGE, MEDIUM, SMALL)
SCENE_SIZES = (512, 256, 112)
"""Edges of drawn scenes in turn, so that objects of every size class occur."""


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
        return is_named(self.name, text)


@dataclass(frozen=True)
class NaturalPicture:
    """A picture with its objects.

    Attributes:
        id: in records.
        image: the picture.
        things: its objects.
        others: names of what else is known to be there, such as objects too small to be used.
    """

    id: str
    image: Image.Image
    things: tuple[Thing, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """What of a data set was not used, or not as it is, and why.

    Attributes:
        what: "picture" or "box".
        reason: in words.
        count: how many.
        first: the first of them: a file, or a file and an annotation.
    """

    what: str
    reason: str
    count: int
    first: str


@dataclass(frozen=True)
class ObjectPictures(Sequence[NaturalPicture]):
    """Pictures, and what had to be left out.

    Attributes:
        pictures: those to be used.
        left_out: pictures and boxes that could not be used as they are, by reason.
    """

    pictures: tuple[NaturalPicture, ...]
    left_out: tuple[LeftOut, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.pictures)

    @overload
    def __getitem__(self, index: int) -> NaturalPicture: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[NaturalPicture, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        return self.pictures[index]


def drawn_pictures(count: int, seed: int) -> list[NaturalPicture]:
    """Drawn scenes; picture i depends on (seed, i) only."""
    pictures = []
    for i in range(count):
        edge = SCENE_SIZES[i % len(SCENE_SIZES)]
        scene = draw_scene(np.random.default_rng((seed, i)), (edge, edge))
        things = tuple(Thing(each.name, each.box) for each in scene.objects)
        kept = tuple(thing for thing in things if thing.area >= SMALLEST_AREA)
        others = tuple(thing.name for thing in things if thing not in kept)
        pictures.append(NaturalPicture(f"scene-{seed}-{i:04}", scene.image, kept, others))
    return [picture for picture in pictures if picture.things]


def __getattr__(name: str) -> Any:
    if name in ("coco_annotations", "coco_pictures"):  # they were here before COCO had a module
        from gazeheads.data import coco  # noqa: PLC0415 - it imports this module

        return getattr(coco, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
