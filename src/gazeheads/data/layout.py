"""Laying a wide strip's panels out in rows, for models that work at a square."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.regions import Box, Region


def columns_for(panels: int, width: float, height: float) -> int:
    """Panels per row that show them largest in a square.

    Args:
        panels: how many.
        width, height: of one panel.
    """

    def edges(columns: int) -> tuple[float, float]:
        across, down = columns * width, math.ceil(panels / columns) * height
        return max(across, down), min(across, down)

    return min(range(1, panels + 1), key=edges)


def relaid(strip: Strip) -> Strip:
    """The same strip with its panels in rows, nearly square."""
    width = sum(panel.width / panel.height for panel in strip.panels) / len(strip)
    return replace(strip, columns=columns_for(len(strip), width, 1.0))


def relaid_picture(
    image: Image.Image, panels: Sequence[Region]
) -> tuple[Image.Image, tuple[Region, ...]]:
    """A new picture with the panels of a picture in rows, and where they are in it.

    Args:
        image: the picture.
        panels: one box each, in reading order.

    Raises:
        GazeheadsError: there are no panels, or one is no single box.
    """
    if not panels or any(len(panel.boxes) != 1 for panel in panels):
        raise GazeheadsError("laying panels out in rows needs panels that are one box each")
    boxes = [_whole(panel.boxes[0]) for panel in panels]
    width = max(x1 - x0 for x0, _, x1, _ in boxes)
    height = max(y1 - y0 for _, y0, _, y1 in boxes)
    columns = columns_for(len(boxes), width, height)
    page = Image.new("RGB", (columns * width, math.ceil(len(boxes) / columns) * height), "white")
    places: list[Region] = []
    for number, (box, panel) in enumerate(zip(boxes, panels, strict=True)):
        x, y = number % columns * width, number // columns * height
        cut = image.crop(box)
        page.paste(cut, (x, y))
        places.append(Region.from_box(x, y, x + cut.width, y + cut.height, panel.name))
    return page, tuple(places)


def _whole(box: Box) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return round(x0), round(y0), round(x1), round(y1)
