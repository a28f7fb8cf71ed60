"""LFM2-VL: tiles announced in the text, then a thumbnail that keeps the image's aspect."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from gazeheads.models.families.cells import cells, runs, tiles, whole
from gazeheads.models.families.family import Family, FamilyError, Prompt

_ANNOUNCED = re.compile(r"<\|img_row_(\d+)_col_(\d+)\|>\s*$")
_REACH = 24  # tokens to look back for the announcement, should it be no token of its own


class Lfm2Vl(Family):
    """Hybrid: layers of short convolutions have no heads to steer."""

    name = "LFM2-VL"
    model_types = ("lfm2_vl",)
    shares_prefix = False
    unshared = "convolution layers"

    def fork_from(self, features: Any) -> int:
        """Rows never part within a prefill: the convolutions' states are not of one row each."""
        del features
        return sys.maxsize

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        factor = int(prompt.pixels.downsample_factor)
        shapes = [[-(-edge // factor) for edge in shape]
                  for shape in prompt.inputs["spatial_shapes"].tolist()]  # fmt: skip
        announced = self._announced(prompt, shapes)
        by_image: list[np.ndarray] = []
        start = 0
        for number, (row, _) in enumerate(announced):
            if row:
                continue
            if len(by_image) == len(prompt.sizes):
                raise FamilyError(f"the prompt has more than {len(prompt.sizes)} images")
            size = prompt.sizes[len(by_image)]
            high, wide = shapes[number]
            boxes = cells(whole(size), wide, high)
            if number > start:  # the last tile's place tells how many there are
                rows, columns = announced[number - 1]
                down, across = shapes[start]
                boxes = np.concatenate([tiles(size, columns, rows, across, down), boxes])
            by_image.append(boxes)
            start = number + 1
        return by_image

    def _announced(self, prompt: Prompt, shapes: list[list[int]]) -> list[tuple[int, int]]:
        """(row, column) of each view in the order of the tokens, from 1; (0, 0): the whole."""
        ids = prompt.inputs["input_ids"][0]
        places: list[tuple[int, int]] = []
        positions = np.concatenate(runs(prompt.positions))
        first = 0
        for high, wide in shapes:
            if first >= len(positions):
                raise FamilyError("the prompt has fewer image tokens than its pictures")
            at = int(positions[first])
            text = prompt.processor.tokenizer.decode(ids[max(0, at - _REACH) : at])
            tile = _ANNOUNCED.search(text)
            places.append((int(tile[1]), int(tile[2])) if tile else (0, 0))
            first += high * wide
        return places
