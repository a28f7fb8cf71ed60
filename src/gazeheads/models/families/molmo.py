"""Molmo 2: a coarse view first, then overlapping crops; tokens pool neighbouring patches."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.models.molmo2.image_processing_molmo2 import compute_crop_geometry

from gazeheads.models.families.cells import Size, cells, pixel_size, whole
from gazeheads.models.families.family import Family, Prompt


class Molmo2(Family):
    """The pooling indices among the inputs say which patches each token is made of."""

    name = "Molmo 2"
    model_types = ("molmo2",)
    text_keys = ("mm_token_type_ids",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        patches = np.concatenate([_patches(prompt.pixels, size) for size in prompt.sizes])
        pooled = prompt.inputs["image_token_pooling"].cpu().numpy()
        corners = patches[np.maximum(pooled, 0)]
        corners[pooled < 0] = np.nan
        low, high = np.nanmin(corners[..., :2], 1), np.nanmax(corners[..., 2:], 1)
        grids = prompt.inputs["image_grids"].cpu().numpy()
        counts = grids[:, 0] * grids[:, 1] + grids[:, 2] * grids[:, 3]
        return np.split(np.concatenate([low, high], -1), np.cumsum(counts)[:-1])

    def square(self, processor: Any) -> tuple[int, int]:
        """The low-resolution view."""
        return pixel_size(processor)


def _patches(pixels: Any, size: Size) -> np.ndarray:
    """Boxes of the patches of one image: the low-resolution view, then crop by crop."""
    edge, patch = int(pixels.size.height), int(pixels.patch_size)
    side = edge // patch
    rows, columns, height, width = compute_crop_geometry(
        size[1], size[0], pixels.max_crops, pixels.overlap_margins, edge, patch
    )
    step = (side - sum(pixels.overlap_margins)) * patch
    scale = np.array([size[0] / width, size[1] / height] * 2)
    crops = [
        cells((x * step, y * step, x * step + edge, y * step + edge), side, side) * scale
        for y in range(rows)
        for x in range(columns)
    ]
    return np.concatenate([cells(whole(size), side, side), *crops])
