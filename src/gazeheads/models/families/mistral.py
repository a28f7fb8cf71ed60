"""Mistral 3 and Pixtral: the image is stretched to whole patches; a break token ends a row."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gazeheads.models.families.cells import cells, whole
from gazeheads.models.families.family import Family, Prompt


class Mistral3(Family):
    """Every token is one cell of a grid over the whole image; breaks are text tokens."""

    name = "Mistral 3, Pixtral"
    model_types = ("mistral3", "lighton_ocr", "llava (pixtral)")
    unverified = ("lighton_ocr",)

    def handles(self, config: Any) -> bool:
        """Pixtral-12B comes as a LLaVA with Pixtral's tower."""
        kind = getattr(config, "model_type", "")
        return kind in ("mistral3", "lighton_ocr") or (kind == "llava" and is_pixtral(config))

    def vision_inputs(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """See `Family.vision_inputs`; the model in a LLaVA takes the sizes further down."""
        return {name: inputs[name] for name in ("pixel_values", "image_sizes")}

    def vision(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
        """See `Family.vision`; transformers' model fails on a picture that is a single token."""
        pixels = self.vision_inputs(model, inputs)
        if len(pixels["image_sizes"]) > 1 or int((inputs["input_ids"] == _token(model)).sum()) != 1:
            return super().vision(model, inputs)
        # pictures do not see each other, so twice the same gives each its own feature
        twice = {
            name: tensor.repeat(2, *[1] * (tensor.ndim - 1)) for name, tensor in pixels.items()
        }
        seen = copy.copy(model.base_model.get_image_features(**twice, return_dict=True))
        seen.pooler_output = seen.pooler_output[:1]
        return seen

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        processor: Any = prompt.processor
        cell = int(processor.patch_size * processor.spatial_merge_size)
        grids = prompt.inputs["image_sizes"].tolist()
        return [
            cells(whole(size), int(width) // cell, int(height) // cell)
            for (height, width), size in zip(grids, prompt.sizes, strict=False)
        ]


def _token(model: Any) -> int:
    return int(model.config.image_token_id)


def is_pixtral(config: Any) -> bool:
    """Whether a config's vision tower is Pixtral's."""
    vision = getattr(config, "vision_config", None)
    return getattr(vision, "model_type", "") == "pixtral"
