"""Masks as segmentation models give them: which pixels belong to the object, never guessed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from gazeheads.boxes import RegionError

logger = logging.getLogger("gazeheads")

_SHOWN = 8


def mask_of(values: Any, threshold: float | None = None, label: int | None = None) -> np.ndarray:
    """(H, W) bool of a mask of any library.

    Args:
        values: (H, W), (1, H, W) or (H, W, 1): bool; 0 and 1, or 0 and 255; with a threshold
            probabilities or logits; with a label the numbers of objects or classes. A list, an
            array, a tensor or an image.
        threshold: pixels above it belong to the region: 0.5 for probabilities, 0 for logits.
        label: pixels of this number belong to it.

    Raises:
        RegionError: another shape; numbers whose meaning is not said; no pixel is left.
    """
    found = _two_dimensional(_array(values))
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise RegionError("a region's mask holds values that are not finite numbers")
    if threshold is not None and label is not None:
        raise RegionError("name either threshold= or label= for a mask, not both")
    if label is not None:
        mask = _of_label(found, label)
    elif threshold is not None:
        mask = _above(found, threshold)
    else:
        mask = _two_valued(found)
    if mask.all():
        logger.warning("a region's mask covers all of its %dx%d pixels", *mask.shape[::-1])
    return mask


def check_shape(mask: np.ndarray, width: int, height: int, name: str) -> None:
    """Raises RegionError unless a mask has the size of its image."""
    if mask.shape == (height, width):
        return
    turned = ""
    if mask.shape == (width, height):
        turned = ": it is of the image before it was turned as its EXIF says, or its axes swapped"
    raise RegionError(
        f"region {name!r}: mask is {mask.shape[1]}x{mask.shape[0]} pixels, the image "
        f"{width}x{height}{turned}"
    )


def _array(values: Any) -> np.ndarray:
    if isinstance(values, Mapping):
        raise RegionError(
            "a mask in COCO's run lengths must be decoded first: pycocotools.mask.decode(mask)"
        )
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.dtype.is_floating_point:
            values = values.float()  # numpy has no bfloat16
    try:
        found = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise RegionError(f"a mask is height x width numbers: {error}") from error
    if found.dtype.kind not in "buif":
        raise RegionError(f"a mask is height x width numbers, not {found.dtype}")
    return found


def _two_dimensional(found: np.ndarray) -> np.ndarray:
    if found.ndim == 3 and found.shape[0] == 1:
        found = found[0]
    elif found.ndim == 3 and found.shape[2] == 1:
        found = found[..., 0]
    if found.ndim != 2:
        several = "; of several masks give one, such as masks[0]" if found.ndim > 2 else ""
        raise RegionError(
            f"a region's mask must be height x width with at least one pixel, not of shape "
            f"{found.shape}{several}"
        )
    if not found.size:
        raise RegionError("a region's mask must be height x width with at least one pixel")
    return found


def _of_label(found: np.ndarray, label: int) -> np.ndarray:
    if found.dtype.kind == "b":
        raise RegionError("a mask of true and false has no labels: leave label= out")
    mask: np.ndarray = found == label
    if not mask.any():
        raise RegionError(f"no pixel of the mask has label {label}: it has {_values(found)}")
    return mask


def _above(found: np.ndarray, threshold: float) -> np.ndarray:
    if found.dtype.kind == "b":
        raise RegionError("a mask of true and false needs no threshold: leave it out")
    if not np.isfinite(threshold):
        raise RegionError(f"a mask's threshold must be a finite number, not {threshold}")
    mask: np.ndarray = found > threshold
    if not mask.any():
        raise RegionError(
            f"no pixel of the mask is above {threshold:g}: its values are {found.min():.4g} to "
            f"{found.max():.4g}"
        )
    return mask


def _two_valued(found: np.ndarray) -> np.ndarray:
    """A mask whose numbers can only mean yes and no."""
    if found.dtype.kind != "b":
        low, high = found.min(), found.max()
        extremes = (found == 0) | (found == (255 if high > 1 else 1))
        if not extremes.all():
            raise RegionError(_which(found, float(low), float(high)))
    mask: np.ndarray = found != 0
    if not mask.any():
        raise RegionError("a region's mask must be height x width with at least one pixel in it")
    return mask


def _which(found: np.ndarray, low: float, high: float) -> str:
    spread = f"its values are {low:.4g} to {high:.4g}"
    whole = found.dtype.kind != "f" or bool((found == np.round(found)).all())
    if whole:
        return (
            f"a mask with the numbers {_values(found)} is not only yes and no: name label= for the "
            "number of one object, or threshold="
        )
    if low >= 0 and high <= 1:
        return f"a mask of probabilities needs threshold=, for example 0.5 ({spread})"
    return (
        f"a mask of logits needs threshold=, usually 0, which is a probability of one half "
        f"({spread})"
    )


def _values(found: np.ndarray) -> str:
    several = np.unique(found)
    shown = ", ".join(f"{float(value):g}" for value in several[:_SHOWN])
    return shown if len(several) <= _SHOWN else f"{shown} and {len(several) - _SHOWN} others"
