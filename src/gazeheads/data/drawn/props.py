"""Props drawn by code: what the actions and the weather need and no sprite offers.

Every prop is drawn on a unit square at `GRID` pixels and halved, which smooths its edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from gazeheads.data.drawn.brush import Brush, Points

GRID = 768
"""Resolution of a prop before it is halved."""


def draw_prop(name: str) -> Image.Image:
    """One prop of `PROPS` as RGBA."""
    image = Image.new("RGBA", (GRID, GRID), (0, 0, 0, 0))
    PROPS[name](Brush(image, np.random.default_rng(0)))
    return image.reduce(2)


def _easel(pen: Brush) -> None:
    for x0, x1 in ((0.36, 0.16), (0.64, 0.84)):
        pen.line([(x0, 0.05), (x1, 0.97)], 0.055, "#8a5528")
    pen.line([(0.5, 0.03), (0.5, 0.85)], 0.05, "#70431d")
    pen.box(0.08, 0.08, 0.92, 0.78, "#b57a41", radius=0.03)
    pen.box(0.12, 0.12, 0.88, 0.74, "#fffdf6", radius=0.01)
    pen.box(0.06, 0.76, 0.94, 0.83, "#8a5528", radius=0.02)


def _burst(pen: Brush) -> None:
    for points, reach, inner, colour in (
        (16, 0.49, 0.31, "#ff9f1a"),
        (16, 0.45, 0.28, "#ffe11f"),
        (16, 0.33, 0.22, "#fffbd0"),
    ):
        spikes: Points = []
        for i in range(points * 2):
            radius = inner if i % 2 else (reach if i % 4 else reach * 0.86)
            turn = math.pi * i / points
            spikes.append((0.5 + radius * math.sin(turn), 0.5 - radius * math.cos(turn)))
        pen.polygon(spikes, colour)


def _tub(pen: Brush) -> None:
    for x in (0.2, 0.8):
        pen.disc(x, 0.9, 0.06, "#1c4f9c")
    pen.polygon([(0.04, 0.42), (0.96, 0.42), (0.84, 0.9), (0.16, 0.9)], "#2f7de0")
    pen.polygon([(0.04, 0.42), (0.3, 0.42), (0.34, 0.9), (0.16, 0.9)], "#5ba1f5")
    pen.box(0.0, 0.36, 1.0, 0.48, "#8cc4ff", radius=0.06)


def _foam(pen: Brush) -> None:
    for i in range(9):
        x = 0.08 + 0.105 * i
        pen.disc(x, 0.5 + 0.03 * (i % 2), 0.09 + 0.02 * (i % 3), "#e4f4ff")
    for i in range(8):
        pen.disc(0.12 + 0.105 * i, 0.47 + 0.03 * (i % 2), 0.06, "#ffffff")


def _bubble(pen: Brush) -> None:
    pen.disc(0.5, 0.5, 0.46, "#4aa3e8")
    pen.disc(0.5, 0.5, 0.39, "#d9f1ff")
    pen.disc(0.38, 0.36, 0.13, "#ffffff")


def _pot(pen: Brush) -> None:
    for x in (0.05, 0.95):
        pen.disc(x, 0.52, 0.06, "#22222b")
    pen.box(0.08, 0.36, 0.92, 0.92, "#33333f", radius=0.2)
    pen.box(0.08, 0.36, 0.92, 0.6, "#33333f")
    pen.box(0.16, 0.5, 0.24, 0.78, "#5d5d70", radius=0.04)
    pen.box(0.03, 0.34, 0.97, 0.44, "#50505f", radius=0.05)


def _steam(pen: Brush) -> None:
    wave = [(0.5 + 0.13 * math.sin(i / 5), 0.08 + i * 0.021) for i in range(41)]
    pen.line(wave, 0.13, "#ffffff")


def _mound(pen: Brush) -> None:
    for colour, drop in (("#5f3a1c", 0.0), ("#7d4e27", 0.05)):
        rise = [(0.5 - drop) * math.sin(math.pi * i / 40) ** 0.75 for i in range(41)]
        top = [(i / 40, 0.86 + drop - rise[i]) for i in range(41)]
        pen.polygon([*top, (1.0, 0.95), (0.0, 0.95)], colour)
    for x, y in ((0.3, 0.68), (0.52, 0.6), (0.7, 0.72), (0.44, 0.82), (0.6, 0.86), (0.18, 0.84)):
        pen.disc(x, y, 0.035, "#4a2c14", 0.7)
        pen.disc(x - 0.01, y - 0.012, 0.02, "#a8754a", 0.7)


def _spade(pen: Brush) -> None:
    pen.line([(0.5, 0.1), (0.5, 0.62)], 0.075, "#b9793d")
    pen.line([(0.36, 0.06), (0.64, 0.06)], 0.085, "#d23b3b")
    pen.polygon([(0.33, 0.56), (0.67, 0.56), (0.67, 0.8), (0.5, 0.99), (0.33, 0.8)], "#8e9bab")
    pen.polygon([(0.33, 0.56), (0.5, 0.56), (0.5, 0.99), (0.33, 0.8)], "#c3ccd6")


def _thought(pen: Brush) -> None:
    lumps = (
        (0.25, 0.5, 0.2), (0.42, 0.36, 0.22), (0.63, 0.35, 0.22), (0.78, 0.5, 0.2),
        (0.63, 0.64, 0.21), (0.4, 0.64, 0.21), (0.5, 0.5, 0.25),
    )  # fmt: skip
    for x, y, radius in lumps:
        pen.disc(x, y, radius + 0.018, "#7d8fa8")
    for x, y, radius in lumps:
        pen.disc(x, y, radius, "#ffffff")


def _thought_dot(pen: Brush) -> None:
    pen.disc(0.5, 0.5, 0.49, "#7d8fa8")
    pen.disc(0.5, 0.5, 0.4, "#ffffff")


def _puff(pen: Brush) -> None:
    lumps = ((0.3, 0.58, 0.2), (0.52, 0.45, 0.24), (0.72, 0.58, 0.19), (0.5, 0.64, 0.2))
    for grow, colour in ((0.025, "#b9a888"), (0.0, "#efe3cd")):
        for x, y, radius in lumps:
            pen.disc(x, y, radius + grow, colour)


def _speed(pen: Brush) -> None:
    for i, (start, end) in enumerate(
        ((0.32, 0.95), (0.05, 0.86), (0.27, 0.95), (0.1, 0.82), (0.37, 0.95))
    ):
        stretch = [(start, 0.1 + 0.2 * i), (end, 0.1 + 0.2 * i)]
        pen.line(stretch, 0.08, "#44546a")
        pen.line(stretch, 0.05, "#ffffff")


def _pole(pen: Brush) -> None:
    pen.box(0.46, 0.12, 0.54, 0.98, "#d23b3b")
    for i in range(4):
        pen.box(0.46, 0.2 + 0.2 * i, 0.54, 0.29 + 0.2 * i, "#fff6e0")
    pen.box(0.25, 0.05, 0.75, 0.14, "#8a5528", radius=0.04)


def _rainbow(pen: Brush) -> None:
    colours = ("#f0443e", "#ff9a2e", "#ffe14a", "#5ccf5a", "#3aa0f2", "#8a5be0")
    for i, colour in enumerate(colours):
        pen.arc(0.5, 0.62, 0.5 - 0.035 * i, 0.04, colour)


def _dot(pen: Brush) -> None:
    pen.disc(0.5, 0.5, 0.49, "#3d4c63")
    pen.disc(0.5, 0.5, 0.36, "#ffffff")


def _glove(pen: Brush) -> None:
    for grow, colour in ((0.05, "#3a3f4a"), (0.0, "#ffffff")):
        pen.disc(0.5, 0.55, 0.34 + grow, colour)
        pen.disc(0.76, 0.3, 0.16 + grow, colour)
    pen.disc(0.5, 0.55, 0.34, "#ffffff")
    for x in (0.36, 0.5, 0.64):
        pen.line([(x, 0.62), (x, 0.8)], 0.03, "#9aa3b2")


def _streak(pen: Brush) -> None:
    pen.line([(0.5, 0.08), (0.5, 0.92)], 0.14, "#2f6fff")
    pen.line([(0.48, 0.1), (0.48, 0.8)], 0.05, "#bcd6ff")


def _flake(pen: Brush) -> None:
    pen.disc(0.5, 0.5, 0.49, "#ffffff")


def _blob(pen: Brush) -> None:
    splashes = ((0.3, 0.36, 0.16), (0.68, 0.34, 0.14), (0.72, 0.66, 0.17), (0.32, 0.68, 0.14))
    for x, y, radius in ((0.5, 0.5, 0.3), *splashes):
        pen.disc(x, y, radius, "#e0402f")
    pen.disc(0.42, 0.42, 0.08, "#ff8d75")


PROPS: dict[str, Callable[[Brush], None]] = {
    "easel": _easel, "burst": _burst, "tub": _tub, "foam": _foam, "bubble": _bubble,
    "pot": _pot, "steam": _steam, "mound": _mound, "spade": _spade, "thought": _thought,
    "thought dot": _thought_dot, "puff": _puff, "speed": _speed, "pole": _pole,
    "rainbow": _rainbow, "dot": _dot, "flake": _flake, "blob": _blob, "glove": _glove,
    "streak": _streak,
}  # fmt: skip
"""Prop name -> how it is drawn."""
