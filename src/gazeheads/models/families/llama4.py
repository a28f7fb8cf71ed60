"""Llama 4: tiles of a padded canvas, then the whole image as one stretched tile."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers.models.llama4.image_processing_llama4 import (
    find_supported_resolutions,
    get_best_fit,
    get_max_res_without_distortion,
)

from gazeheads.models.families.cells import Size, cells, clipped, pixel_size, tiles, whole
from gazeheads.models.families.family import Family, Prompt


class Llama4(Family):
    """The image keeps its aspect at the canvas's top left; what is beside it is padding."""

    name = "Llama 4"
    model_types = ("llama4",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        processor: Any = prompt.processor
        edge = pixel_size(processor)[0]
        side = edge // int(processor.patch_size) // round(processor.downsample_ratio**0.5)
        return [_of_image(prompt.pixels, size, edge, side) for size in prompt.sizes]

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        return pixel_size(processor)

    def vision(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
        """The vision tower's own output has every tile's features; the projection follows later."""
        pixels = inputs["pixel_values"].to(model.dtype)  # the processor makes bfloat16
        seen = copy.copy(super().vision(model, {"pixel_values": pixels}))
        seen.pooler_output = seen.last_hidden_state
        return seen

    def join(self, features: Sequence[Any]) -> Any:
        """See `Family.join`: the model reads the last hidden state."""
        joined = super().join(features)
        joined.last_hidden_state = joined.pooler_output
        return joined


def _of_image(pixels: Any, size: Size, edge: int, side: int) -> np.ndarray:
    width, height = size
    options = torch.tensor(find_supported_resolutions(int(pixels.max_patches), pixels.size))
    largest = bool(pixels.resize_to_max_canvas)
    best: Any = get_best_fit((height, width), options, resize_to_max_canvas=largest)
    canvas = [int(edge) for edge in best]
    columns, rows = canvas[1] // edge, canvas[0] // edge
    target = (canvas[0], canvas[1])
    if not largest:  # small images are not enlarged beyond a tile's edge
        target = (min(max(height, edge), canvas[0]), min(max(width, edge), canvas[1]))
    resized = [max(each, 1) for each in get_max_res_without_distortion((height, width), target)]
    scale = np.array([width / resized[1], height / resized[0]] * 2)
    boxes = tiles((canvas[1], canvas[0]), columns, rows, side, side) * scale
    boxes = clipped(boxes, size)
    if columns * rows == 1:
        return boxes
    return np.concatenate([boxes, cells(whole(size), side, side)])
