"""Qwen-VL and GLM-V: the image is stretched to a grid of its own shape; positions are 3D."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gazeheads.models.families.cells import cells, whole
from gazeheads.models.families.family import Family, FamilyError, Prompt, RopeOfGrid


class Qwen(RopeOfGrid, Family):
    """Every token is one cell of a grid over the whole image, row by row."""

    name = "Qwen-VL"
    model_types: tuple[str, ...] = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        merge = self._merge(prompt)
        grids = prompt.inputs["image_grid_thw"].tolist()
        if len(grids) != len(prompt.sizes):
            raise FamilyError(
                f"the prompt has {len(grids)} images, {len(prompt.sizes)} sizes were given"
            )
        if any(frames != 1 for frames, _, _ in grids):
            raise FamilyError("videos are not supported")
        return [
            cells(whole(size), width // merge, height // merge)
            for (_, height, width), size in zip(grids, prompt.sizes, strict=True)
        ]

    def _merge(self, prompt: Prompt) -> int:
        """Patches along each edge of a token's cell."""
        return int(prompt.config.vision_config.spatial_merge_size)


class PaddleOcrVL(Qwen):
    """The same rule with a processor and tower of its own."""

    name = "PaddleOCR-VL"
    model_types = ("paddleocr_vl",)


class Qwen35(Qwen):
    """Hybrid: most layers keep a recurrent state instead of keys, and have no heads to steer."""

    name = "Qwen3.5"
    model_types = ("qwen3_5", "qwen3_5_moe")
    shares_prefix = False
    unshared = "recurrent layers"

    def fork_from(self, features: Any) -> int:
        """Rows never part within a prefill: recurrent states are not of one row each."""
        del features
        return sys.maxsize


class Glm(Qwen):
    """The same rule with GLM's own patch size and processor."""

    name = "GLM-V"
    model_types = ("glm4v", "glm4v_moe", "glm46v", "glmga", "glm_ocr")


class Exaone(Qwen):
    """The same grid, with the positions of plain text."""

    name = "EXAONE 4.5, HyperCLOVA X Vision"
    model_types: tuple[str, ...] = ("exaone4_5", "hyperclovax_vision_v2")

    def positions(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        rows: Sequence[Mapping[str, torch.Tensor]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Family.positions`."""
        return Family.positions(self, model, ids, mask, rows)

    def next_positions(self, first: torch.Tensor) -> torch.Tensor:
        """See `Family.next_positions`."""
        return first


class VideoLlama3(Exaone):
    """The same grid, with the processor's own number of patches in a cell."""

    name = "VideoLLaMA 3"
    model_types = ("video_llama_3",)

    def _merge(self, prompt: Prompt) -> int:
        return int(prompt.pixels.merge_size)


class Lfm3Vl(Exaone):
    """The same grid; hybrid: layers of short convolutions have no heads to steer."""

    name = "LFM3-VL"
    model_types = ("lfm3_vl",)
    shares_prefix = False
    unshared = "convolution layers"

    def fork_from(self, features: Any) -> int:
        """Rows never part within a prefill: the convolutions' states are not of one row each."""
        del features
        return sys.maxsize
