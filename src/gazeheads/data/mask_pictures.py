"""Masks that are stored as black and white pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from gazeheads.boxes import RegionError
from gazeheads.data.pictures import open_image


def read_mask(source: Path | bytes, name: str = "") -> np.ndarray:
    """(H, W) bool of a black and white picture; white is the region.

    Args:
        source: the picture's file, or its content.
        name: in messages; the path unless given.

    Raises:
        GazeheadsError: it cannot be read, or is not only black and white.
    """
    called = f"mask {name or source!s}" if isinstance(source, Path) else name or "the mask"
    picture = np.asarray(open_image(source))
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as stored:
        alpha = np.asarray(stored.convert("RGBA"))[..., 3]
    if (alpha < 255).any():
        raise RegionError(
            f"{called} is partly transparent, so that nobody knows what belongs to the region: "
            "save it in black and white"
        )
    grey = picture[..., 0]
    two = [np.unique(grey).tolist()] if (picture == grey[..., None]).all() else []
    if not two or not (set(two[0]) <= {0, 255} or set(two[0]) <= {0, 1}):
        raise RegionError(f"{called} is not only black and white: save it as such, as PNG")
    if not grey.any():
        raise RegionError(f"{called} is empty: no pixel of it is white")
    mask: np.ndarray = grey > 0
    return mask
