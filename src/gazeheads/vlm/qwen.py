"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: the image is stretched to a grid; positions are 3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gazeheads.regions import ImageTokens, grid_boxes
from gazeheads.vlm.family import Family, FamilyError, image_positions


class Qwen(Family):
    """Every token is one cell of a grid over the whole image, row by row."""

    model_types = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")

    def image_tokens(
        self,
        config: Any,
        processor: Any,
        inputs: Mapping[str, torch.Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> ImageTokens:
        """See `Family.image_tokens`."""
        del processor
        where = image_positions(config, inputs["input_ids"][0]).cpu().numpy()
        merge = int(config.vision_config.spatial_merge_size)
        grids = inputs["image_grid_thw"].tolist()
        if len(grids) != len(sizes):
            raise FamilyError(f"the prompt has {len(grids)} images, {len(sizes)} sizes were given")
        boxes: list[np.ndarray] = []
        owners: list[np.ndarray] = []
        for image, ((frames, height, width), size) in enumerate(zip(grids, sizes, strict=True)):
            if frames != 1:
                raise FamilyError("videos are not supported")
            own = grid_boxes(size, width // merge, height // merge)
            boxes.append(own)
            owners.append(np.full(len(own), image, dtype=np.int64))
        if sum(map(len, boxes)) != len(where):
            raise FamilyError(
                f"the prompt has {len(where)} image tokens, its grids make {sum(map(len, boxes))}"
            )
        return ImageTokens(where, np.concatenate(boxes), tuple(sizes), np.concatenate(owners))

    def positions(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        rows: Sequence[Mapping[str, torch.Tensor]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, B, S) positions: time, row, column; see `Family.positions`.

        Computed here and passed to the model, because the model would keep them on itself, where
        two threads overwrite each other's.
        """
        config = model.config
        kinds = (ids == config.image_token_id).to(torch.int32)
        grids = torch.cat([row["image_grid_thw"] for row in rows]).to(ids.device)
        positions, delta = model.base_model.get_rope_index(
            ids, mm_token_type_ids=kinds, image_grid_thw=grids, attention_mask=mask
        )
        return positions, mask.sum(-1) + delta[:, 0].to(mask.device)

    def next_positions(self, first: torch.Tensor) -> torch.Tensor:
        """Text tokens count alike in all three dimensions."""
        return first[None].expand(3, -1, -1)
