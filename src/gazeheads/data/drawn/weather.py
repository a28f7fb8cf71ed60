"""Weather over a background: six kinds that change the upper part of a panel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from gazeheads.data.drawn.canvas import Canvas, Colour


def paint_weather(canvas: Canvas, weather: str, side: int) -> None:
    """Puts weather over the background of a canvas.

    Args:
        canvas: The panel so far.
        weather: One of the weathers.
        side: -1 or 1: the upper corner, left or right, that the figures leave free.
    """
    WEATHER_PAINTERS[weather](canvas, 0.5 + 0.34 * side)


@cache
def _fade(size: int, top: int, bottom: int) -> Image.Image:
    column = np.linspace(top, bottom, size).astype(np.uint8)[:, None]
    return Image.fromarray(column).resize((size, size), Image.Resampling.NEAREST)


def _veil(canvas: Canvas, colour: Colour, top: int, bottom: int) -> None:
    """Covers the background with a colour, `top` and `bottom` being its strength of 255."""
    canvas.image.paste(colour, (0, 0), _fade(canvas.size, top, bottom))


def _night(canvas: Canvas, x: float) -> None:
    _veil(canvas, (12, 18, 74), 220, 80)
    for _ in range(16):
        star = (canvas.rng.random(), 0.55 * canvas.rng.random())
        canvas.put("flake", *star, canvas.between(0.02, 0.035), gains=(1, 0.97, 0.6))
    canvas.put("moon", x, canvas.between(0.17, 0.22), canvas.between(0.28, 0.34))


def _rain(canvas: Canvas, x: float) -> None:
    _veil(canvas, (104, 122, 150), 200, 50)
    slant = canvas.between(-14, 14)
    for i in range(36):
        x, y = (i + canvas.rng.random()) / 36, canvas.between(0.15, 0.9)
        canvas.put("streak", x, y, 0.11, angle=slant)
    for shift in (-0.36, 0.0, 0.36):
        canvas.put("raincloud", x + shift + canvas.between(-0.04, 0.04), 0.12, 0.3)


def _snow(canvas: Canvas, x: float) -> None:
    _veil(canvas, (226, 236, 248), 170, 30)
    canvas.image.paste((250, 252, 255), (0, 0), _ground(canvas.size))
    for _ in range(46):
        canvas.put("flake", canvas.rng.random(), canvas.rng.random(), canvas.between(0.02, 0.05))
    for shift in (0.0, -0.3, 0.3):
        spot = (x + shift, canvas.between(0.1, 0.28))
        canvas.put("snowflake", *spot, canvas.between(0.12, 0.2), gains=(0.5, 0.75, 1))


@cache
def _ground(size: int) -> Image.Image:
    column = np.clip((np.linspace(0, 1, size) - 0.55) * 1000, 0, 140).astype(np.uint8)[:, None]
    return Image.fromarray(column).resize((size, size), Image.Resampling.NEAREST)


def _storm(canvas: Canvas, x: float) -> None:
    _veil(canvas, (38, 38, 48), 220, 80)
    canvas.put("lightning", x, canvas.between(0.28, 0.32), canvas.between(0.4, 0.46))
    for shift in (-0.34, 0.34, 0.0):
        spot = x + shift + canvas.between(-0.04, 0.04)
        canvas.put("cloud", spot, 0.08, 0.4, gains=(0.34, 0.34, 0.4))


def _sun(canvas: Canvas, x: float) -> None:
    _veil(canvas, (255, 236, 130), 110, 0)
    canvas.put("sun-disc", x, canvas.between(0.16, 0.2), canvas.between(0.36, 0.42))


def _rainbow(canvas: Canvas, x: float) -> None:
    _veil(canvas, (222, 240, 255), 120, 0)
    canvas.put("rainbow", 0.5 + (x - 0.5) * 0.3, 0.27, canvas.between(0.98, 1.1), opacity=0.9)


WEATHER_PAINTERS: dict[str, Callable[[Canvas, float], None]] = {
    "night": _night, "rain": _rain, "snow": _snow, "storm": _storm, "sun": _sun,
    "rainbow": _rainbow,
}  # fmt: skip
"""Weather -> its painter, which gets the canvas and where across the free corner is."""
