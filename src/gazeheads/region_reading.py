"""A region from whatever names one."""

from __future__ import annotations

from typing import Any

import numpy as np

from gazeheads.regions import Region, RegionError


def region_of(value: Any) -> Region:
    """A region from whatever names one.

    Args:
        value: a `Region`; four numbers x0, y0, x1, y1 in pixels; or a mask of two axes as
            `Region.from_mask` takes it.

    Raises:
        RegionError: it is none of these, or an empty one.
    """
    if isinstance(value, Region):
        return value
    if isinstance(value, str | bytes):
        raise RegionError(
            f"cannot look at {value!r}: name a region, a box (x0, y0, x1, y1) or a mask"
        )
    if is_box(value):
        box = tuple(float(corner) for corner in value)
        return Region.from_box(box, name="box " + ",".join(f"{corner:g}" for corner in box))
    arrays = ("shape", "__array__", "__array_interface__")  # a picture may be a mask
    if not isinstance(value, list | tuple) and not any(hasattr(value, own) for own in arrays):
        raise RegionError(
            f"cannot look at a {type(value).__name__}: name a region, a box (x0, y0, x1, y1) or a "
            "mask; of a strip that is strip.panel(1)"
        )
    return Region.from_mask(value, "mask")


def is_box(value: Any) -> bool:
    """Whether something is four numbers, as a box, or as many as are wrong for one."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return tuple(shape) == (4,)
    numbers = isinstance(value, list | tuple) and len(value) > 0
    return numbers and all(isinstance(each, int | float | np.number) for each in value)
