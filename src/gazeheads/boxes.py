"""Boxes as users have them: of any library, in pixels or shares of the image, and how they fit.

A box may stick out of its image by at most `TOLERANCE` of that side, or 2 pixels: detectors and
annotators write such boxes. Up to `ROUNDING` that is rounding; beyond it is said, once per box.
What sticks out further, or lies outside, is refused: it is probably in another unit, or of another
size of the image.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np

from gazeheads.errors import GazeheadsError

Box = tuple[float, float, float, float]
Units = Literal["pixels", "relative", "per-mille"]
_WHOLE: dict[str, float] = {"relative": 1.0, "per-mille": 1000.0}
"""Unit -> the number that stands for the whole width or height."""
TOLERANCE = 0.03
"""Share of a side by which a box may stick out of it."""
ROUNDING = 1.0
"""Pixels that are not worth a word."""

logger = logging.getLogger("gazeheads")


class RegionError(GazeheadsError):
    """A region that is malformed, outside the image, or covers no image token."""


class OutsideError(RegionError):
    """A region that lies outside its image, or sticks out of it too far."""


def box_of(numbers: Any) -> Box:
    """Four finite numbers x0 < x1, y0 < y1 from any sequence, array or tensor.

    Raises:
        RegionError: they are something else.
    """
    values = _floats(numbers)
    if values.shape != (4,):
        raise RegionError(f"a box is four numbers x0, y0, x1, y1, not {_short(numbers)}")
    x0, y0, x1, y1 = values.tolist()
    if not np.isfinite(values).all() or x0 >= x1 or y0 >= y1:
        raise RegionError(
            f"box {text(values)} is empty: want x0 < x1 and y0 < y1 (of x, y, width, height: "
            "x1 = x + width, y1 = y + height)"
        )
    return (x0, y0, x1, y1)


def boxes_of(several: Any) -> tuple[Box, ...]:
    """Boxes from a sequence of them, an (N, 4) array or tensor, or the four numbers of one.

    Raises:
        RegionError: one of them is no box, or looks like shares of the image.
    """
    if hasattr(several, "shape") or not isinstance(several, Sequence):
        values = _floats(several)
        if values.ndim not in (1, 2):
            raise RegionError(f"boxes are (N, 4) numbers, not an array of shape {values.shape}")
        several = list(values) if values.ndim == 2 else [values]
    elif len(several) == 4 and all(np.ndim(_plain(each)) == 0 for each in several):
        several = [several]
    boxes = tuple(box_of(each) for each in several)
    for box in boxes:
        if max(box) <= 1 and min(box) >= 0 and any(abs(v - round(v)) > 1e-6 for v in box):
            raise RegionError(_looks_relative(box))
    return boxes


def in_pixels(box: Box, units: Units, size: Any) -> Box:
    """A box in pixels of an image.

    Args:
        box: in `units`.
        units: "pixels"; "relative": 0 to 1; "per-mille": 0 to 1000, as several models write.
        size: (width, height) of the image; not needed for pixels.

    Raises:
        RegionError: an unknown unit, no size, or numbers of another unit.
    """
    if units not in get_args(Units):
        raise RegionError(f"unknown units {units!r}: use {', '.join(get_args(Units))}")
    if units == "pixels":
        return box
    sides = None if size is None else _floats(size)
    if sides is None or sides.shape != (2,) or not (sides > 0).all():
        raise RegionError(
            f"a box in units={units!r} needs size=(width, height) of the image, not {size!r}"
        )
    whole = _WHOLE[units]
    if min(box) < -TOLERANCE * whole or max(box) > (1 + TOLERANCE) * whole:
        raise RegionError(
            f"box {text(box)} is not in units={units!r}, of 0 to {whole:g}: is it in "
            f"{'pixels' if units == 'per-mille' or max(box) > 1000 else 'pixels or per-mille'}?"
        )
    width, height = sides.tolist()
    x0, y0, x1, y1 = (value / whole for value in box)
    return (x0 * width, y0 * height, x1 * width, y1 * height)


def fitted_to(box: Box, width: int, height: int, name: str = "") -> Box:
    """A box cut to an image of that size; said once if more than rounding is cut off.

    Raises:
        OutsideError: it lies outside, or sticks out by more than the tolerance.
    """
    called = f"region {name!r}: box {text(box)}"
    x0, y0, x1, y1 = box
    if box == (0, 0, 1, 1) and min(width, height) > 2:
        logger.warning("%s", _looks_relative(box))
    if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
        raise OutsideError(
            f"{called} lies outside the image of {width}x{height} pixels{_hint(box, width, height)}"
        )
    out = {"left": -x0, "top": -y0, "right": x1 - width, "bottom": y1 - height}
    for side, by in out.items():
        if by > allowed(width if side in ("left", "right") else height):
            raise OutsideError(
                f"{called} sticks out of the image of {width}x{height} pixels by {by:g} at the "
                f"{side}: the part of it outside is too large to be cut off"
                f"{_hint(box, width, height)}"
            )
    if max(out.values()) > ROUNDING:
        _tell_cut(box, width, height, name)
    return (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))


def allowed(side: int) -> float:
    """Pixels by which a box may stick out of a side of that length."""
    return max(2.0, TOLERANCE * side)


@lru_cache(maxsize=4096)
def _tell_cut(box: Box, width: int, height: int, name: str) -> None:
    logger.warning(
        "region %r: box %s sticks out of the image of %dx%d pixels and is cut off at its edge",
        name, text(box), width, height,
    )  # fmt: skip


def _hint(box: Box, width: int, height: int) -> str:
    """What else the numbers may be."""
    if min(box) >= 0 and box[2] <= height and box[3] <= width:
        return (
            "; it fits an image of the other orientation: boxes are of the image as it is shown, "
            "turned as its EXIF says"
        )
    if min(box) >= 0 and max(box) <= 1000:
        return "; if its numbers are of 0 to 1000, name units='per-mille' (gazeheads steer --units)"
    return ""


def _looks_relative(box: Box) -> str:
    return (
        f"box {text(box)} is no more than a pixel: if its numbers are shares of the image, name "
        "units='relative' (Region.from_box; gazeheads steer --units)"
    )


def text(box: Any) -> str:
    """(x0, y0, x1, y1) for messages."""
    return f"({', '.join(f'{float(value):.6g}' for value in box)})"


def _plain(value: Any) -> Any:
    """A tensor as an array; all else as it is."""
    return value.detach().cpu().float().numpy() if hasattr(value, "detach") else value


def _floats(value: Any) -> np.ndarray:
    try:
        if isinstance(value, list | tuple):
            value = [_plain(each) for each in value]
        found = np.asarray(_plain(value), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RegionError(f"a box is four numbers x0, y0, x1, y1, not {_short(value)}") from error
    return found


def _short(value: Any) -> str:
    said = " ".join(repr(value).split())
    return said if len(said) <= 80 else f"{said[:77]}..."


def grid_boxes(size: tuple[float, float], columns: int, rows: int) -> np.ndarray:
    """(rows * columns, 4) boxes that tile an image of `size` = (width, height), row by row."""
    xs = np.linspace(0.0, size[0], columns + 1)
    ys = np.linspace(0.0, size[1], rows + 1)
    left, top = np.meshgrid(xs[:-1], ys[:-1])
    right, bottom = np.meshgrid(xs[1:], ys[1:])
    return np.stack([left, top, right, bottom], -1).reshape(-1, 4)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Of (n, 4) boxes, in square pixels."""
    found: np.ndarray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return found


def lattice(boxes: np.ndarray) -> tuple[np.ndarray, tuple[int, int]] | None:
    """The order of boxes row by row, and rows and columns, if they are the cells of a lattice.

    Args:
        boxes: (T, 4).

    Returns:
        (T,) indices and (rows, columns); None if they form no lattice, as those of tiles beside a
        small whole: their number alone may be that of one.
    """
    order = np.lexsort((boxes[:, 0], boxes[:, 1]))
    found = boxes[order]
    columns, rows = (np.unique(found[:, axis]) for axis in (0, 1))
    if len(rows) * len(columns) != len(found):
        return None
    starts = np.stack([np.tile(columns, len(rows)), np.repeat(rows, len(columns))], 1)
    if not np.array_equal(found[:, :2], starts):
        return None
    return order, (len(rows), len(columns))


def overlap_1d(start: np.ndarray, stop: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(T, n) length shared by each [start, stop) and each cell between the n + 1 edges."""
    low = np.maximum(start[:, None], edges[None, :-1])
    shared: np.ndarray = np.maximum(np.minimum(stop[:, None], edges[None, 1:]) - low, 0.0)
    return shared
