"""The vision graph: from the pixels of a canvas to the image tokens, for Qwen3-VL."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

ATTENTION = "gaze_export_flash"
"""Name of the tower's attention function. The vision blocks pass all patches in one call only to
names with "flash" in them; for others they split by lengths, which no graph can follow."""


def one_image_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Plain attention among the patches of one image: (1, H, N, D) to (1, N, H, D)."""
    del module, attention_mask, kwargs
    out = scaled_dot_product_attention(query, key, value, scale=scaling)
    return out.transpose(1, 2), None


class VisionGraph(nn.Module):
    """Normalising, patching and the vision tower in one graph, for any size of image.

    Runs transformers' own vision blocks; only what depends on the size of the image, and what
    browsers compute badly, is done in another way: learned positions by two matrix products, rotary
    positions by a table, the patch convolution as a product.

    Attributes:
        cell: side in pixels of the square that one image token sees.
    """

    patch_weight: torch.Tensor
    patch_bias: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, visual: Any, mean: list[float], std: list[float], longest: int) -> None:
        """Args beyond the attributes.

        visual: transformers' vision tower, with attention function `ATTENTION`.
        mean, std: of the image processor, per channel, for pixels from 0 to 1.
        longest: most patches along a side.
        """
        super().__init__()
        config = visual.config
        self.patch, self.merge = int(config.patch_size), int(config.spatial_merge_size)
        self.cell = self.patch * self.merge
        self.side = int(visual.num_grid_per_side)
        self.visual = visual
        self.register_buffer("scale", 1 / (255 * torch.tensor(std)))
        self.register_buffer("shift", -torch.tensor(mean) / torch.tensor(std))
        # a still image fills all frames of a patch alike; float32, as the sum of a half loses bits
        weight = visual.patch_embed.proj.weight.detach().float().sum(2).flatten(1)
        self.register_buffer("patch_weight", weight)
        self.register_buffer("patch_bias", visual.patch_embed.proj.bias.detach().float())
        places = torch.arange(longest)
        cos, sin = visual.rotary_pos_emb(weight, torch.stack([places, places], -1))
        part = cos.shape[-1] // 4
        self.register_buffer("cos", cos[:, :part].contiguous())
        self.register_buffer("sin", sin[:, :part].contiguous())

    def forward(self, rgba: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Image tokens.

        Args:
            rgba: (R, cell, C, cell, 4) uint8: the pixels of a canvas of R x C cells.

        Returns:
            (R * C, D) tokens and (levels, R * C, D) deepstack features.
        """
        rows, columns = rgba.shape[0], rgba.shape[2]
        patches = self._patches(rgba)
        dtype = self.visual.pos_embed.weight.dtype
        embedded = linear(patches, self.patch_weight, self.patch_bias)
        hidden = (embedded + self._learned_positions(rows, columns)).to(dtype)
        rotary = self._rotary(rows, columns)
        unused = torch.zeros(2, dtype=torch.int32)
        deep = []
        for number, block in enumerate(self.visual.blocks):
            hidden = block(hidden, cu_seqlens=unused, position_embeddings=rotary, max_seqlen=0)
            if number in self.visual.deepstack_visual_indexes:
                level = self.visual.deepstack_visual_indexes.index(number)
                deep.append(self.visual.deepstack_merger_list[level](hidden))
        return self.visual.merger(hidden), torch.stack(deep)

    def _patches(self, rgba: torch.Tensor) -> torch.Tensor:
        """(R * C * merge**2, channels * patch**2), the patches of a cell after one another."""
        pixels = rgba[..., :3].float() * self.scale + self.shift
        rows, columns = rgba.shape[0], rgba.shape[2]
        shape = (rows, self.merge, self.patch, columns, self.merge, self.patch, 3)
        ordered = pixels.reshape(shape).permute(0, 3, 1, 4, 6, 2, 5)
        return ordered.reshape(-1, 3 * self.patch * self.patch)

    def _by_cell(self, grid: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """(R * merge, C * merge, D) to (R * C * merge**2, D) in the order of `_patches`."""
        split = grid.reshape(rows, self.merge, columns, self.merge, -1)
        return split.permute(0, 2, 1, 3, 4).reshape(rows * columns * self.merge**2, -1)

    def _learned_positions(self, rows: int, columns: int) -> torch.Tensor:
        """The square table of learned positions, stretched bilinearly to the image."""
        table = self.visual.pos_embed.weight.float().reshape(self.side, -1)
        # the table on the left: on the right it would be stored in fewer bits like a weight
        down = (table.T @ self._stretch(rows * self.merge).T).T
        down = down.reshape(rows * self.merge, self.side, -1)
        return self._by_cell(self._stretch(columns * self.merge) @ down, rows, columns)

    def _stretch(self, count: int) -> torch.Tensor:
        """(count, side): weight of each place of the table, its corners on the image's."""
        steps = torch.arange(count).float() * (self.side - 1) / (count - 1)
        distance = (steps[:, None] - torch.arange(self.side).float()).abs()
        return (1 - distance).clamp(min=0)

    def _rotary(self, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines, (N, head size) each: row, column, row, column."""
        high, wide = rows * self.merge, columns * self.merge
        out = []
        for table in (self.cos, self.sin):
            down = table[:high, None].expand(-1, wide, -1)
            across = table[None, :wide].expand(high, -1, -1)
            both = self._by_cell(torch.cat([down, across], -1), rows, columns)
            out.append(torch.cat([both, both], -1))
        return out[0], out[1]
