"""Mistral 3: the image is stretched to whole patches of its own size; a break token ends a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from gazeheads.models.families.cells import cells, whole
from gazeheads.models.families.family import Family, Prompt


class Mistral3(Family):
    """Every token is one cell of a grid over the whole image; breaks are text tokens."""

    name = "Mistral 3"
    model_types = ("mistral3", "lighton_ocr")
    unverified = ("lighton_ocr",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        processor: Any = prompt.processor
        cell = int(processor.patch_size * processor.spatial_merge_size)
        grids = prompt.inputs["image_sizes"].tolist()
        return [
            cells(whole(size), int(width) // cell, int(height) // cell)
            for (height, width), size in zip(grids, prompt.sizes, strict=False)
        ]
