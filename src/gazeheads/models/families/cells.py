"""Boxes of the cells that image tokens stand for: grids, tiles of grids, crops of the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from gazeheads.regions import Box, grid_boxes

Size = tuple[int, int]


def whole(size: Size) -> Box:
    """The box of a whole image of `size` = (width, height)."""
    return (0.0, 0.0, float(size[0]), float(size[1]))


def pixel_size(processor: Any) -> Size:
    """(width, height) of the one size to which a processor brings images or tiles."""
    size = processor.image_processor.size
    return int(size.width), int(size.height)


def image_option(processor: Any, name: str) -> Any:
    """What a processor's image part is told at every call, or else has of its own."""
    set_here = getattr(processor, "images_kwargs", None) or {}
    return set_here[name] if name in set_here else getattr(processor.image_processor, name)


def cells(box: Box, columns: int, rows: int) -> np.ndarray:
    """(rows * columns, 4) boxes that tile a rectangle, row by row."""
    x0, y0, x1, y1 = box
    values: np.ndarray = grid_boxes((x1 - x0, y1 - y0), columns, rows) + np.array([x0, y0, x0, y0])
    return values


def tiles(size: Size, columns: int, rows: int, across: int, down: int) -> np.ndarray:
    """Boxes of an image cut into columns x rows tiles of across x down cells, tile by tile."""
    return np.concatenate(
        [cells(tuple(t), across, down) for t in cells(whole(size), columns, rows)]
    )


def nowhere(count: int) -> np.ndarray:
    """(count, 4) NaN: tokens that stand for no part of the image."""
    return np.full((count, 4), np.nan)


def from_edges(xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Boxes of a grid, row by row, from the (columns, 2) and (rows, 2) edges of its cells."""
    columns, rows = len(xs), len(ys)
    left, right = np.tile(xs[:, 0], rows), np.tile(xs[:, 1], rows)
    top, bottom = np.repeat(ys[:, 0], columns), np.repeat(ys[:, 1], columns)
    return np.stack([left, top, right, bottom], -1)


def clipped(boxes: np.ndarray, size: Size) -> np.ndarray:
    """Boxes cut off at the image's edges; NaN where nothing is left, as in padding."""
    limits = np.array([size[0], size[1], size[0], size[1]], dtype=np.float64)
    inside = np.clip(boxes, 0.0, limits)
    empty = (inside[:, 0] >= inside[:, 2]) | (inside[:, 1] >= inside[:, 3])
    return np.where(empty[:, None], np.nan, inside)


def runs(positions: np.ndarray) -> list[np.ndarray]:
    """Ascending positions, cut wherever other tokens stand between them."""
    return np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
