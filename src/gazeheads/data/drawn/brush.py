"""Paints shapes in unit coordinates: x to the right, y down, both from 0 to 1."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

Points = list[tuple[float, float]]


class Brush:
    """Paints on a square image. Edges are hard: draw large, then shrink.

    Attributes:
        rng: Source of what varies.
    """

    def __init__(self, image: Image.Image, rng: np.random.Generator) -> None:
        self._draw = ImageDraw.Draw(image)
        self._edge = image.width
        self.rng = rng

    def polygon(self, points: Points, fill: str) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * self._edge, y * self._edge) for x, y in points], fill=fill)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, fill: str, *, radius: float = 0.0
    ) -> None:
        """A filled rectangle, its corners round when `radius` is given."""
        box = [edge * self._edge for edge in (x0, y0, x1, y1)]
        if radius:
            self._draw.rounded_rectangle(box, radius * self._edge, fill=fill)
        else:
            self._draw.rectangle(box, fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: str, squash: float = 1.0) -> None:
        """A filled circle, or an ellipse `squash` times as high."""
        box = (x - radius, y - radius * squash, x + radius, y + radius * squash)
        self._draw.ellipse([edge * self._edge for edge in box], fill=fill)

    def line(self, points: Points, width: float, fill: str) -> None:
        """A line with round ends."""
        scaled = [(x * self._edge, y * self._edge) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(width * self._edge), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, fill)

    def arc(self, x: float, y: float, radius: float, width: float, fill: str) -> None:
        """The upper half of a ring, `radius` being its outer edge."""
        box = [edge * self._edge for edge in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.arc(box, 180, 360, fill=fill, width=round(width * self._edge))

    def wave(self, y: float, swing: float, turns: float, fill: str) -> None:
        """Fills from a wavy line down to the lower edge."""
        phase = self.rng.random() * 2 * math.pi
        top = [(i / 24, y + swing * math.sin(phase + turns * math.pi * i / 12)) for i in range(25)]
        self.polygon([*top, (1.0, 1.0), (0.0, 1.0)], fill)
