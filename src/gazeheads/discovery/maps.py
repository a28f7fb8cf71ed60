"""Attention to every single image token, as maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.boxes import lattice
from gazeheads.errors import GazeheadsError
from gazeheads.regions import Box, ImageTokens, Region

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.models import VLM


def attention_maps(vlm: VLM, image: Image.Image, prompts: Sequence[str]) -> np.ndarray:
    """(Q, L, H, rows, columns) attention mass from each prompt's last token to each image token.

    Raises:
        GazeheadsError: the image tokens that have a place in the image form no grid.
    """
    tokens = vlm.encode(image, prompts[0]).tokens
    cells, shape = _grid(tokens)
    mass = vlm.score_regions(image, prompts, [Region((box,)) for box in cells])
    return mass.reshape(*mass.shape[:3], *shape)


def _grid(tokens: ImageTokens) -> tuple[list[Box], tuple[int, int]]:
    """The boxes of the tokens row by row, and (rows, columns)."""
    boxes = tokens.boxes[~np.isnan(tokens.boxes[:, 0])]
    found = lattice(boxes)
    if found is None:
        raise GazeheadsError(
            f"{len(boxes)} image tokens form no grid: this family's tokens cannot be drawn as one "
            "map"
        )
    order, shape = found
    return [_box(boxes[i]) for i in order], shape


def _box(edges: np.ndarray) -> Box:
    x0, y0, x1, y1 = (float(edge) for edge in edges)
    return x0, y0, x1, y1
