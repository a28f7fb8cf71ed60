"""A closer look at a small region: more of the model's image tokens for it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from gazeheads.boxes import Box
from gazeheads.errors import GazeheadsError
from gazeheads.regions import Region

Closer = Literal["none", "zoom", "crop"]
"""How a region gets more tokens: not at all; "zoom": the model sees a window around it, and the
heads are pointed at it there; "crop": the model sees the whole picture and a cut-out of the region
as a second image, and the heads are pointed at that."""
MARGIN = 1.0
"""Of a window on each side, times the longer side of the region."""


def closer_look(
    image: Image.Image, region: Region, how: Closer
) -> tuple[list[Image.Image], Region]:
    """What the model is shown instead of a picture, and where the region lies there.

    Args:
        image: upright RGB.
        region: of it.
        how: see `Closer`.

    Raises:
        GazeheadsError: the region is outside the picture, or `how` is unknown.
    """
    own = region.cut_to(*image.size)
    if how == "none":
        return [image], own
    if how not in ("zoom", "crop"):
        raise GazeheadsError(f"a closer look is none, zoom or crop, not {how!r}")
    x0, y0, x1, y1 = bounds(own)
    if how == "crop":
        window = widened((x0, y0, x1, y1), 0.0, image.size)
        part = image.crop(window)
        return [image, part], Region.from_box(0, 0, *part.size, name=own.name).in_image(1)
    left, top, right, bottom = window = widened((x0, y0, x1, y1), MARGIN, image.size)
    if own.mask is not None:
        return [image.crop(window)], Region(mask=own.mask[top:bottom, left:right], name=own.name)
    boxes = tuple((a - left, b - top, c - left, d - top) for a, b, c, d in own.boxes)
    return [image.crop(window)], Region(boxes, name=own.name)


def bounds(region: Region) -> Box:
    """The smallest box around a region."""
    if region.mask is not None:
        rows, columns = np.nonzero(region.mask)
        low, high = (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)
        return float(low[1]), float(low[0]), float(high[1]), float(high[0])
    edges = np.array(region.boxes)
    return (
        float(edges[:, 0].min()), float(edges[:, 1].min()),
        float(edges[:, 2].max()), float(edges[:, 3].max()),
    )  # fmt: skip


def widened(box: Box, margin: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Whole pixels of a box and `margin` times its longer side around it, inside a picture."""
    x0, y0, x1, y1 = box
    more = margin * max(x1 - x0, y1 - y0)
    left, top = int(max(0.0, x0 - more)), int(max(0.0, y0 - more))
    right = int(min(size[0], np.ceil(x1 + more)))
    bottom = int(min(size[1], np.ceil(y1 + more)))
    return left, top, right, bottom


def outlined(image: Image.Image, region: Region) -> Image.Image:
    """The picture with a red box drawn around a region."""
    drawn = image.copy()
    width = max(2, round(min(image.size) / 128))
    ImageDraw.Draw(drawn).rectangle(widened(bounds(region), 0.0, image.size), None, "red", width)
    return drawn
