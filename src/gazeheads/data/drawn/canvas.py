"""The canvas of one panel, in unit coordinates, on which sprites and strokes are put."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from gazeheads.data.drawn.artwork import halves, shadow, sprite
from gazeheads.data.strip import PixelBox

Colour = tuple[int, int, int]
GRAIN = 48
"""Sprites come in this many sizes per panel, so that the cache stays small."""


class Canvas:
    """A square picture under work. Positions and sizes are fractions of its edge, y pointing down.

    Attributes:
        image: The picture so far, RGB.
        rng: Source of every choice.
        size: Edge in pixels.
    """

    def __init__(self, image: Image.Image, rng: np.random.Generator) -> None:
        self.image = image
        self.rng = rng
        self.size = image.width

    def between(self, low: float, high: float) -> float:
        """A number drawn evenly between two others."""
        return low + (high - low) * self.rng.random()

    def toss(self) -> bool:
        """True half of the time."""
        return bool(self.rng.random() < 0.5)

    def put(
        self,
        name: str,
        x: float,
        y: float,
        side: float,
        *,
        flip: bool = False,
        angle: float = 0,
        inside: bool = False,
        ground: bool = False,
        opacity: float = 1.0,
        gains: tuple[float, float, float] | None = None,
    ) -> PixelBox:
        """Puts a sprite or prop and returns its box in pixels.

        Args:
            name: Sprite or prop.
            x: Centre.
            y: Centre, or the bottom edge with `ground`.
            side: Longer side.
            flip: Mirror left to right.
            angle: Degrees counter-clockwise, rounded to 6.
            inside: Move it so that none of it is cropped.
            ground: `y` is where it stands; a soft shadow is drawn there.
            opacity: Strength of the paint.
            gains: Brightness factor per colour channel, at most 1.
        """
        pixels = max(2, round(side * GRAIN) * self.size // GRAIN)
        image = sprite(name, pixels, flip, round(angle / 6) * 6)
        left = round(x * self.size - image.width / 2)
        top = round(y * self.size - (image.height if ground else image.height / 2))
        if inside:
            left = min(max(left, 1), self.size - image.width - 1)
            top = min(max(top, 1), self.size - image.height - 1)
        if ground:
            self.shade(left + image.width / 2, top + image.height, image.width)
        self.paste(_painted(image, opacity, gains), left, top)
        return left, top, left + image.width, top + image.height

    def put_at(self, name: str, x: int, y: int, side: int, flip: bool = False) -> PixelBox:
        """Puts a sprite in the middle of a square given in pixels and returns its own box."""
        image = sprite(name, side, flip)
        left = x + (side - image.width) // 2
        top = y + (side - image.height) // 2
        self.paste(image, left, top)
        return left, top, left + image.width, top + image.height

    def put_halves(self, name: str, x: float, y: float, side: float, gap: float) -> None:
        """Puts a sprite cut in two, its halves `gap` apart and leaning outwards, standing on y."""
        pixels = round(side * GRAIN) * self.size // GRAIN
        for half, way in zip(halves(name, pixels), (-1, 1), strict=True):
            lean = half.rotate(-way * 6, Image.Resampling.BICUBIC)
            left = round((x + way * gap / 2) * self.size - half.width / 2)
            self.paste(lean, left, round(y * self.size) - half.height)

    def shade(self, x: float, y: float, width: float) -> None:
        """A soft shadow on the ground, in pixels."""
        across = round(width * 1.3 / 4) * 4
        mask = shadow(across, max(4, across // 4))
        spot = (round(x - mask.width / 2), round(y - mask.height * 0.58))
        self.image.paste((18, 16, 40), spot, mask)

    def paste(self, image: Image.Image, left: int, top: int) -> None:
        """Puts an RGBA image at a pixel."""
        self.image.paste(image, (left, top), image)

    def stroke(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        """A smooth line with round ends."""
        fine = 3
        margin = width + 2 / self.size
        x0 = int((min(x for x, _ in points) - margin) * self.size)
        y0 = int((min(y for _, y in points) - margin) * self.size)
        x1 = int((max(x for x, _ in points) + margin) * self.size) + 1
        y1 = int((max(y for _, y in points) + margin) * self.size) + 1
        mask = Image.new("L", ((x1 - x0) * fine, (y1 - y0) * fine), 0)
        draw = ImageDraw.Draw(mask)
        thick = max(1.0, width * self.size) * fine
        fine_points = [
            ((x * self.size - x0) * fine, (y * self.size - y0) * fine) for x, y in points
        ]
        draw.line(fine_points, fill=255, width=round(thick), joint="curve")
        for x, y in (fine_points[0], fine_points[-1]):
            draw.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=255)
        self.image.paste(colour, (x0, y0), mask.reduce(fine))


def _painted(
    image: Image.Image, opacity: float, gains: tuple[float, float, float] | None
) -> Image.Image:
    if opacity >= 1 and gains is None:
        return image
    factors = [round(255 * factor) for factor in (*(gains or (1, 1, 1)), opacity)]
    return ImageChops.multiply(image, Image.new("RGBA", image.size, tuple(factors)))
