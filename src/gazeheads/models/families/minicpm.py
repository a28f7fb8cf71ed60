"""MiniCPM-V: the whole image first, then slices of a grid over it, each stretched a little."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from gazeheads.models.families.cells import cells, whole
from gazeheads.models.families.family import Family, FamilyError, Prompt, RopeOfGrid


class MiniCPMV(Family):
    """Hybrid, like its language model Qwen3.5: layers with a recurrent state have no heads."""

    name = "MiniCPM-V 4.6, MiniCPM-OCR"
    model_types: tuple[str, ...] = ("minicpmv4_6", "minicpm_ocr")
    shares_prefix = False
    unshared = "recurrent layers"

    def fork_from(self, features: Any) -> int:
        """Rows never part within a prefill: recurrent states are not of one row each."""
        del features
        return sys.maxsize

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        pixels = prompt.pixels
        merged = 2 if pixels.downsample_mode == "4x" else 4
        views = [
            (int(high) // merged, int(wide) // merged)
            for high, wide in prompt.inputs["target_sizes"].tolist()
        ]
        by_image: list[np.ndarray] = []
        start = 0
        for size in prompt.sizes:
            grid = None
            if pixels.slice_mode:
                grid = pixels.get_sliced_grid(
                    size[::-1], pixels.max_slice_nums, pixels.scale_resolution
                )
            rows, columns = grid or (0, 0)
            stop = start + 1 + rows * columns
            if stop > len(views):
                raise FamilyError(f"the prompt has fewer views than its {len(prompt.sizes)} images")
            high, wide = views[start]
            boxes = [cells(whole(size), wide, high)]
            if grid:
                slices = cells(whole(size), columns, rows)
                for box, (down, across) in zip(slices, views[start + 1 : stop], strict=True):
                    boxes.append(cells(tuple(box), across, down))
            by_image.append(np.concatenate(boxes))
            start = stop
        return by_image


class MiniCPMV47(RopeOfGrid, MiniCPMV):
    """The same views; a token's position is its place on a canvas of the whole image."""

    name = "MiniCPM-V 4.7"
    model_types = ("minicpmv4_7",)

    rope_grid = "target_sizes"
