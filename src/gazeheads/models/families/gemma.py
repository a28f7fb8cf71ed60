"""Gemma 4 and Gemma 3n: one view of the whole image; layers share keys, so rows never part."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from gazeheads.models.families.cells import cells, pixel_size, whole
from gazeheads.models.families.family import Family, Prompt


class Gemma4(Family):
    """The image is stretched to whole pools of patches of its own shape."""

    name = "Gemma 4"
    model_types: tuple[str, ...] = ("gemma4",)
    text_keys: tuple[str, ...] = ("mm_token_type_ids",)

    def fork_from(self, features: Any) -> int:
        """Rows never part within a prefill: later layers take up what earlier ones computed."""
        del features
        return sys.maxsize

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        pool = self._pool(prompt)
        places = prompt.inputs["image_position_ids"].cpu().numpy()
        corners = places.max(1) + 1  # padding has place -1
        return [
            cells(whole(size), int(columns) // pool, int(rows) // pool)
            for (columns, rows), size in zip(corners, prompt.sizes, strict=False)
        ]

    def _pool(self, prompt: Prompt) -> int:
        """Listed patches along each edge of a token's cell."""
        return int(prompt.pixels.pooling_kernel_size)


class Gemma4Unified(Gemma4):
    """The same grid without a vision tower: the processor pools the patches."""

    name = "Gemma 4 unified"
    model_types = ("gemma4_unified",)

    def _pool(self, prompt: Prompt) -> int:
        return 1


class Gemma3n(Gemma4):
    """The image is stretched to one square; a convolutional tower sees almost all of it."""

    name = "Gemma 3n"
    model_types = ("gemma3n",)
    text_keys = ("token_type_ids",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        side = math.isqrt(int(prompt.processor.image_seq_length))
        return [cells(whole(size), side, side) for size in prompt.sizes]

    def square(self, processor: Any) -> tuple[int, int]:
        """The pixel input."""
        return pixel_size(processor)
