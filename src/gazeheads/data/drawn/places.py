"""The twelve places: colours, scenery and what is particular to each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gazeheads.data.drawn.brush import Brush

Sprites = tuple[tuple[str, float], ...]
"""Names of sprites with their size."""


@dataclass(frozen=True)
class PlaceLook:
    """How a place is painted.

    Attributes:
        sky: Colours of the sky, top and bottom.
        ground: Colours of the ground, back and front.
        horizon: Where the ground begins, as a share of the height.
        scenery: Large sprites that stand on the horizon.
        aloft: Sprites in the air, in the water or on the wall.
        clutter: Small sprites strewn over the ground.
        shapes: Paints what is particular to the place, given its horizon.
    """

    sky: tuple[str, str]
    ground: tuple[str, str]
    horizon: float
    scenery: Sprites
    aloft: Sprites
    clutter: tuple[str, ...]
    shapes: Callable[[Brush, float], None]


def _forest(brush: Brush, horizon: float) -> None:
    for row, colour in enumerate(("#2f7d4f", "#1f6340")):
        for i in range(9):
            x = (i + 0.5 * row + 0.3 * brush.rng.random()) / 8.5
            top = horizon - 0.42 + 0.13 * row + 0.12 * brush.rng.random()
            base = horizon + 0.01
            for level in range(3):
                y = top + (base - top) * level / 3.6
                reach = 0.045 + 0.018 * level
                bottom = y + (base - top) * 0.42
                brush.polygon([(x, y), (x + reach, bottom), (x - reach, bottom)], colour)
    brush.wave(horizon, 0.012, 2, "#3b7a35")
    brush.wave(horizon + 0.14, 0.02, 1.5, "#2f6a2d")


def _beach(brush: Brush, horizon: float) -> None:
    sea = horizon - 0.17
    brush.box(0, sea, 1, horizon + 0.03, "#1487c9")
    for i in range(4):
        y = sea + 0.03 + 0.035 * i
        x = brush.rng.random() * 0.8
        brush.box(x, y, x + 0.22, y + 0.008, "#7fd0f2")
    brush.wave(horizon - 0.015, 0.012, 3, "#e8fbff")
    brush.wave(horizon + 0.012, 0.012, 3, "#f6dc97")


def _desert(brush: Brush, horizon: float) -> None:
    brush.wave(horizon - 0.07, 0.06, 1.2, "#d98a3d")
    brush.wave(horizon + 0.02, 0.04, 1.0, "#e89f4a")
    brush.wave(horizon + 0.15, 0.03, 1.4, "#f0b35e")


def _city(brush: Brush, horizon: float) -> None:
    x = -0.02
    while x < 1:
        width = 0.09 + 0.08 * brush.rng.random()
        top = horizon - 0.2 - 0.3 * brush.rng.random()
        shade = ("#7d7fae", "#6a6f9f", "#8f8ab5")[int(brush.rng.integers(3))]
        brush.box(x, top, x + width, horizon, shade)
        for row in range(int((horizon - top) / 0.055)):
            for left in (0.2, 0.6):
                y = top + 0.02 + 0.055 * row
                brush.box(x + width * left, y, x + width * (left + 0.22), y + 0.026, "#ffe58a")
        x += width + 0.006
    brush.box(0, horizon, 1, horizon + 0.05, "#b9bcc4")
    offset = brush.rng.random() * 0.2
    for i in range(-1, 6):
        left = offset + 0.2 * i
        brush.box(left, 0.86, left + 0.11, 0.885, "#f5f2e2")


def _mountains(brush: Brush, horizon: float) -> None:
    for row, (rock, count) in enumerate((("#8fa3c4", 4), ("#6b7fa3", 3))):
        for i in range(count):
            x = (i + 0.2 + 0.5 * brush.rng.random()) / count
            top = horizon - 0.46 + 0.13 * row + 0.1 * brush.rng.random()
            reach = 0.26
            base = horizon + 0.02
            brush.polygon([(x, top), (x + reach, base), (x - reach, base)], rock)
            cap = 0.3
            snow = top + (base - top) * cap
            teeth = [(x + reach * cap * (0.5 - i / 4) * 2, snow - 0.03 * (i % 2)) for i in range(5)]
            brush.polygon([(x, top), *teeth], "#ffffff")
    brush.wave(horizon, 0.015, 2, "#8c9a86")
    brush.wave(horizon + 0.16, 0.02, 1.5, "#77866f")


def _castle(brush: Brush, horizon: float) -> None:
    top = horizon - 0.2
    brush.box(0, top, 1, horizon, "#a8a0b8")
    start = -0.1 * brush.rng.random()
    for i in range(11):
        brush.box(start + 0.11 * i, top - 0.06, start + 0.11 * i + 0.065, top, "#a8a0b8")
    _bricks(brush, top, horizon, 4, "#8a829e")
    _bricks(brush, horizon, 1.0, 5, "#9c8f86")


def _bricks(brush: Brush, top: float, bottom: float, rows: int, seam: str) -> None:
    height = (bottom - top) / rows
    for row in range(rows):
        y = top + height * row
        brush.box(0, y, 1, y + 0.008, seam)
        for i in range(9):
            x = (i + 0.5 * (row % 2)) / 8
            brush.box(x, y, x + 0.007, y + height, seam)


def _circus(brush: Brush, horizon: float) -> None:
    top = horizon - 0.24
    for i in range(12):
        fill = "#e6334a" if i % 2 else "#fff3d6"
        brush.box(i / 12, top, (i + 1) / 12, horizon, fill)
    brush.box(0, top - 0.02, 1, top + 0.01, "#ffc629")
    colours = ("#e6334a", "#ffc629", "#3aa0f2", "#5ccf5a", "#b05be0")
    phase = int(brush.rng.integers(5))
    for i in range(10):
        sag = 0.05 + 0.05 * math.sin(math.pi * (i + 0.5) / 10)
        flag = [(i / 10, sag), (i / 10 + 0.09, sag), (i / 10 + 0.045, sag + 0.09)]
        brush.polygon(flag, colours[(i + phase) % 5])
    brush.disc(0.5, 1.0, 0.62, "#d0342c", 0.5)
    brush.disc(0.5, 1.02, 0.57, "#eec98a", 0.5)


def _volcano(brush: Brush, horizon: float) -> None:
    x = 0.3 + 0.4 * brush.rng.random()
    top, base = horizon - 0.42, horizon + 0.02
    brush.polygon([(x - 0.09, top), (x + 0.09, top), (x + 0.5, base), (x - 0.5, base)], "#3d2630")
    brush.polygon(
        [(x - 0.09, top), (x + 0.09, top), (x + 0.16, top + 0.22), (x + 0.07, top + 0.12),
         (x + 0.01, top + 0.3), (x - 0.05, top + 0.13), (x - 0.14, top + 0.19)],
        "#ff6a1f",
    )  # fmt: skip
    brush.wave(horizon, 0.015, 2, "#2b1b22")
    for i in range(3):
        y = horizon + 0.08 + 0.12 * i
        start, phase = brush.rng.random() * 0.6 - 0.1, 6 * brush.rng.random()
        river = [(start + 0.03 * k, y + 0.018 * math.sin(phase + 0.9 * k)) for k in range(18)]
        brush.line(river, 0.03 + 0.008 * i, "#e8481a")
        brush.line(river, 0.014 + 0.005 * i, "#ffb02e")


def _space(brush: Brush, horizon: float) -> None:
    for _ in range(60):
        x, y = brush.rng.random(2)
        brush.disc(x, y * horizon, 0.003 + 0.006 * brush.rng.random(), "#ffffff")
    brush.wave(horizon + 0.02, 0.02, 1, "#a9a9bd")
    for _ in range(7):
        x, y = brush.rng.random(2)
        y = horizon + 0.08 + (0.9 - horizon) * y
        radius = 0.03 + 0.05 * brush.rng.random()
        brush.disc(x, y, radius, "#7c7c94", 0.4)
        brush.disc(x, y + 0.008, radius * 0.85, "#9292a8", 0.4)


def _reef(brush: Brush, horizon: float) -> None:
    for i in range(4):
        x = 0.1 + 0.27 * i + 0.1 * brush.rng.random()
        brush.polygon([(x, 0), (x + 0.09, 0), (x - 0.1, 0.75), (x - 0.26, 0.75)], "#22b3c4")
    brush.wave(horizon + 0.02, 0.03, 1.3, "#c9b98a")
    for i in range(9):
        x = (i + 0.6 * brush.rng.random()) / 8.5
        height = 0.12 + 0.16 * brush.rng.random()
        weed = [(x + 0.02 * math.sin(k), horizon + 0.06 - height * k / 8) for k in range(9)]
        brush.polygon(weed + [(px + 0.028, py) for px, py in reversed(weed)], "#0f7a5a")


def _meadow(brush: Brush, horizon: float) -> None:
    brush.wave(horizon - 0.05, 0.05, 1.0, "#a5de62")
    brush.wave(horizon + 0.03, 0.03, 1.2, "#86cf45")
    for _ in range(34):
        x, y = brush.rng.random(2)
        y = horizon + 0.08 + (0.9 - horizon) * y
        colour = ("#ffffff", "#ff7fb0", "#ffe14a")[int(brush.rng.integers(3))]
        brush.disc(x, y, 0.011, colour)


def _bedroom(brush: Brush, horizon: float) -> None:
    for i in range(0, 14, 2):
        brush.box(i / 13, 0, (i + 1) / 13, horizon, "#f3b9cf")
    brush.box(0, horizon - 0.035, 1, horizon, "#fff4ea")
    for i in range(-8, 20):
        back, front = i / 12, 0.5 + (i / 12 - 0.5) * 1.9
        brush.polygon(
            [(back, horizon), (back + 0.006, horizon), (front + 0.012, 1), (front, 1)], "#8f5a30"
        )
    x = 0.35 + 0.3 * brush.rng.random()
    brush.disc(x, 0.88, 0.4, "#6a5fc4", 0.3)
    brush.disc(x, 0.88, 0.34, "#8d82e0", 0.3)


PLACE_LOOKS = {
    "forest": PlaceLook(
        ("#9fd8b4", "#cdeec6"), ("#3b7a35", "#245a26"), 0.56,
        (("pine", 0.5), ("tree", 0.46), ("pine", 0.42), ("tree", 0.4)), (),
        ("stump", "fern"), _forest,
    ),
    "beach": PlaceLook(
        ("#4fc3f7", "#c8f1ff"), ("#f6dc97", "#e3bd6c"), 0.6,
        (("palm", 0.58), ("palm", 0.48)), (("cloud", 0.2),), ("shell",), _beach,
    ),
    "desert": PlaceLook(
        ("#ffb25c", "#ffe3a3"), ("#e89f4a", "#cf7f33"), 0.6,
        (("cactus", 0.44), ("cactus", 0.36), ("rock", 0.2)), (), ("rock", "cactus"), _desert,
    ),
    "city": PlaceLook(
        ("#a9b6e8", "#e9dff2"), ("#5c606e", "#474a57"), 0.58,
        (("office", 0.5), ("office", 0.42), ("traffic-light", 0.34)), (("cloud", 0.18),),
        ("traffic-light",), _city,
    ),
    "mountains": PlaceLook(
        ("#9cc9f0", "#e6f3ff"), ("#8c9a86", "#66755f"), 0.6,
        (("mountain", 0.46), ("mountain", 0.4), ("rock", 0.2)), (("cloud", 0.2),),
        ("rock",), _mountains,
    ),
    "castle": PlaceLook(
        ("#c9a7ee", "#fbd9e6"), ("#c2b5a8", "#a39488"), 0.6,
        (("castle-towers", 0.58), ("castle-towers", 0.46)), (), ("tulip",), _castle,
    ),
    "circus": PlaceLook(
        ("#36c5c0", "#b8f2e2"), ("#c98d4e", "#b57a3d"), 0.6,
        (("tent", 0.46), ("wheel", 0.5), ("tent", 0.4)), (), ("popcorn",), _circus,
    ),
    "volcano": PlaceLook(
        ("#5a1420", "#e0522a"), ("#2b1b22", "#1d1218"), 0.6,
        (("volcano-cone", 0.5), ("volcano-cone", 0.42)), (), ("rock", "fire"), _volcano,
    ),
    "space": PlaceLook(
        ("#0a0b2e", "#2b1b5e"), ("#a9a9bd", "#77778c"), 0.68,
        (), (("planet", 0.36), ("earth", 0.28), ("satellite", 0.22)), ("rock",), _space,
    ),
    "reef": PlaceLook(
        ("#19a7c0", "#0b5f8f"), ("#c9b98a", "#8f9a80"), 0.7,
        (("coral", 0.42), ("coral", 0.34), ("coral", 0.3)),
        (("fish", 0.22), ("fish", 0.18), ("fish", 0.14)), ("coral", "shell"), _reef,
    ),
    "meadow": PlaceLook(
        ("#7fd0ff", "#e4f7ff"), ("#86cf45", "#5fae2f"), 0.58,
        (("blossom", 0.28), ("tulip", 0.26), ("blossom", 0.22)),
        (("butterfly", 0.14), ("cloud", 0.22), ("butterfly", 0.11)), ("blossom", "tulip"), _meadow,
    ),
    "bedroom": PlaceLook(
        ("#f8d4e0", "#f8d4e0"), ("#c58a52", "#a86f3c"), 0.64,
        (("bed", 0.5),), (("window", 0.34), ("picture", 0.26)), ("teddy",), _bedroom,
    ),
}  # fmt: skip
"""Place -> how it is painted."""
