"""Scenes: one picture with several objects at known places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gazeheads.data.drawn.backdrop import paint_place
from gazeheads.data.drawn.canvas import GRAIN
from gazeheads.data.drawn.mark import marked
from gazeheads.data.drawn.truth import CHARACTERS, PLACES, THINGS
from gazeheads.data.strip import PixelBox
from gazeheads.errors import GazeheadsError
from gazeheads.html_parts import picture, table

SMALLEST, LARGEST = 0.16, 0.45
"""Longer side of an object, as a share of the picture's shorter edge."""
GAP = 0.02
"""Objects are at least this far apart, as a share of the picture's shorter edge."""
MOST_OBJECTS = 6


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        name: A character or a thing.
        box: (x0, y0, x1, y1) in pixels of the picture, x1 and y1 exclusive.
    """

    name: str
    box: PixelBox


@dataclass(frozen=True)
class Scene:
    """A picture, what is in it and where it plays.

    Attributes:
        image: The picture, RGB.
        objects: Its objects, none overlapping another.
        place: The place of the background.
    """

    image: Image.Image
    objects: tuple[SceneObject, ...]
    place: str

    def _repr_html_(self) -> str:
        """In a notebook: the picture and its objects."""
        rows = [(each.name, *each.box) for each in self.objects]
        shown = picture(self.image, f"a scene: {self.place}")
        return shown + table(("object", "x0", "y0", "x1", "y1"), rows)


def draw_scene(
    rng: np.random.Generator,
    size: tuple[int, int] = (256, 256),
    objects: Sequence[str] | None = None,
    sides: tuple[float, float] = (SMALLEST, LARGEST),
) -> Scene:
    """Draws one scene.

    Args:
        rng: Source of every choice.
        size: Width and height in pixels.
        objects: Names of characters and things; drawn at random (2 to 6) when None.
        sides: Smallest and largest longer side of an object, as a share of the shorter edge.

    Raises:
        GazeheadsError: An object is unknown or named twice, or there are none or too many.
    """
    names = _checked(objects) if objects is not None else _drawn(rng)
    place = str(rng.choice(list(PLACES)))
    boxes = _arranged(rng, len(names), size, sides)
    edge = max(size)
    canvas = paint_place(place, rng, edge)
    # A square background is cropped so that its horizon stays in view.
    left, top = (edge - size[0]) // 2, (edge - size[1]) // 2
    canvas.image = canvas.image.crop((left, top, left + size[0], top + size[1]))
    placed = []
    for name, (x, y, side) in zip(names, boxes, strict=True):
        box = canvas.put_at(name, x, y, side, flip=canvas.toss())
        placed.append(SceneObject(name, box))
    return Scene(marked(canvas.image), tuple(placed), place)


def _checked(objects: Sequence[str]) -> list[str]:
    known = (*CHARACTERS, *THINGS)
    for name in objects:
        if name not in known:
            raise GazeheadsError(f"cannot draw {name!r}: choose from {', '.join(known)}")
    if not 1 <= len(objects) <= MOST_OBJECTS:
        raise GazeheadsError(f"a scene has 1 to {MOST_OBJECTS} objects, not {len(objects)}")
    if len(set(objects)) < len(objects):
        raise GazeheadsError(f"an object is named twice: {', '.join(objects)}")
    return list(objects)


def _drawn(rng: np.random.Generator) -> list[str]:
    count = int(rng.integers(2, MOST_OBJECTS + 1))
    return [str(name) for name in rng.choice([*CHARACTERS, *THINGS], count, replace=False)]


def _arranged(
    rng: np.random.Generator, count: int, size: tuple[int, int], sides: tuple[float, float]
) -> list[tuple[int, int, int]]:
    """Left, top and side of `count` squares apart from each other, by trial and error."""
    unit = min(size)
    gap = round(GAP * unit)
    shrink = 1.0
    while True:
        placed: list[tuple[int, int, int]] = []
        for _ in range(40 * count):
            share = sides[0] + (sides[1] - sides[0]) * shrink * rng.random()
            side = round(math.ceil(share * GRAIN) * unit / GRAIN)
            x = int(rng.integers(gap, max(gap + 1, size[0] - side - gap)))
            y = int(rng.integers(gap, max(gap + 1, size[1] - side - gap)))
            if all(
                x + side + gap <= a or a + s + gap <= x or y + side + gap <= b or b + s + gap <= y
                for a, b, s in placed
            ):
                placed.append((x, y, side))
                if len(placed) == count:
                    return placed
        # Unlucky: large objects took the room.
        shrink *= 0.8
