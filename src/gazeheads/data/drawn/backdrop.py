"""The painted background of a panel: a place with its scenery, varied by chance."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image

from gazeheads.data.drawn.brush import Brush
from gazeheads.data.drawn.canvas import Canvas, Colour
from gazeheads.data.drawn.places import PLACE_LOOKS, PlaceLook, Sprites

FINE = 2
"""Vector shapes are drawn this many times larger, then halved, for smooth edges."""


def paint_place(place: str, rng: np.random.Generator, size: int) -> Canvas:
    """A canvas with the background of a place, its scenery and clutter; the figures go on top."""
    look = PLACE_LOOKS[place]
    edge = size * FINE
    horizon = look.horizon + 0.04 * (rng.random() - 0.5)
    turn, light = 0.03 * (rng.random() - 0.5), 0.9 + 0.2 * rng.random()
    image = Image.new("RGB", (edge, edge))
    line = round(horizon * edge)
    for colours, top, bottom in ((look.sky, 0, line), (look.ground, line, edge)):
        back, front = (_tinted(colour, turn, light) for colour in colours)
        image.paste(_gradient(back, front, bottom - top, edge), (0, top))
    look.shapes(Brush(image, rng), horizon)
    canvas = Canvas(image.reduce(FINE), rng)
    _dress(canvas, look, horizon)
    return canvas


def _dress(canvas: Canvas, look: PlaceLook, horizon: float) -> None:
    """Scenery at the back, at both sides first: there the figures leave it visible."""
    _hang(canvas, look.aloft)
    spots = [*_sides(canvas), *_sides(canvas)]
    spots[2:] = [0.5 + 0.6 * (spot - 0.5) for spot in spots[2:]]
    chosen = _some(canvas, look.scenery, 2, 4)
    # The largest stand farthest back.
    for (name, side), x in sorted(zip(chosen, spots, strict=False), key=lambda pair: -pair[0][1]):
        y = horizon + canvas.between(0.02, 0.08)
        size = side * canvas.between(0.85, 1.15)
        canvas.put(name, x, y, size, flip=canvas.toss(), ground=True)
    for _ in range(int(canvas.rng.integers(1, 4))):
        name = look.clutter[int(canvas.rng.integers(len(look.clutter)))]
        x, y = canvas.between(0.03, 0.97), canvas.between(horizon + 0.14, 0.98)
        canvas.put(name, x, y, canvas.between(0.09, 0.15), flip=canvas.toss(), ground=True)


def _hang(canvas: Canvas, sprites: Sprites) -> None:
    spots = [*_sides(canvas), canvas.between(0.35, 0.65)]
    for (name, side), x in zip(_some(canvas, sprites, 1, 3), spots, strict=False):
        y = canvas.between(0.14, 0.3)
        canvas.put(name, x, y, side * canvas.between(0.85, 1.15), flip=canvas.toss())


def _some(canvas: Canvas, sprites: Sprites, least: int, most: int) -> list[tuple[str, float]]:
    count = int(canvas.rng.integers(least, most + 1))
    return [sprites[i] for i in canvas.rng.permutation(len(sprites))[:count]]


def _sides(canvas: Canvas) -> tuple[float, float]:
    """A spot at the left and one at the right, in any order."""
    left, right = canvas.between(0.08, 0.22), canvas.between(0.78, 0.92)
    return (left, right) if canvas.toss() else (right, left)


def _tinted(colour: str, turn: float, light: float) -> Colour:
    hue, saturation, value = colorsys.rgb_to_hsv(
        *(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    )
    turned = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, min(1.0, value * light))
    red, green, blue = (round(255 * part) for part in turned)
    return red, green, blue


def _gradient(top: Colour, bottom: Colour, height: int, width: int) -> Image.Image:
    # A column is stretched sideways: much faster than filling the rectangle in numpy.
    mix = np.linspace(0, 1, max(1, height))[:, None, None]
    column = (1 - mix) * np.array(top) + mix * np.array(bottom)
    return Image.fromarray(column.astype(np.uint8)).resize(
        (width, height), Image.Resampling.NEAREST
    )
