"""A lean forward pass for training: the same arithmetic as transformers' Qwen3-VL, less overhead.

It reads the weights of an ordinary ``Qwen3VLForConditionalGeneration`` and handles what training
needs only: images of one size per batch and packed sequences (``tiny.packing``).
``tests/tiny/test_forward.py`` holds it to the stock forward.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from gazeheads.tiny.model import MERGE, PATCH
from gazeheads.tiny.packing import Packed


def patchify(images: Tensor) -> Tensor:
    """Pixels to patches in the processor's order (2x2 blocks of patches stay together).

    Args:
        images: (B, 3, H, W) uint8, sides multiples of 32.

    Returns:
        (B, L, 3 * 16 * 16) float in [-1, 1].
    """
    batch, _, height, width = images.shape
    rows, columns = height // (PATCH * MERGE), width // (PATCH * MERGE)
    x = images.float().div_(127.5).sub_(1)
    x = x.view(batch, 3, rows, MERGE, PATCH, columns, MERGE, PATCH)
    return x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(batch, -1, 3 * PATCH * PATCH)


def encode_images(
    model: Qwen3VLForConditionalGeneration, images: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Image tokens (B * T, D) of uint8 images (B, 3, H, W), and the deepstack features."""
    grid = (images.shape[2] // PATCH, images.shape[3] // PATCH)
    return _vision(model.model.visual, patchify(images), grid)


def answer_states(
    model: Qwen3VLForConditionalGeneration,
    packed: Packed,
    embeds: Tensor,
    deepstack: list[Tensor],
) -> Tensor:
    """Final hidden states (B, S, D) of a packed batch; logits are hidden @ embeddings^T."""
    return _text(model.model.language_model, packed, embeds, deepstack)


@lru_cache(maxsize=64)
def _vision_geometry(
    grid: tuple[int, int], side: int, head_dim: int, theta: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position-table indices and weights (L, 4) and rotary cos and sin (L, head_dim)."""
    rows, columns = grid
    row = (
        torch.arange(rows).view(rows // MERGE, 1, MERGE, 1).expand(-1, columns // MERGE, -1, MERGE)
    )
    column = torch.arange(columns).view(1, columns // MERGE, 1, MERGE)
    column = column.expand(rows // MERGE, -1, MERGE, -1)
    row, column = row.reshape(-1), column.reshape(-1)
    y = torch.linspace(0, side - 1, rows)[row]
    x = torch.linspace(0, side - 1, columns)[column]
    y0, x0 = y.long(), x.long()
    y1, x1 = (y0 + 1).clamp(max=side - 1), (x0 + 1).clamp(max=side - 1)
    dy, dx = y - y0, x - x0
    index = torch.stack([y0 * side + x0, y0 * side + x1, y1 * side + x0, y1 * side + x1], 1)
    weight = torch.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx], 1)
    quarter = head_dim // 2
    frequency = 1.0 / theta ** (torch.arange(0, quarter, 2).float() / quarter)
    angle = torch.cat([row[:, None] * frequency, column[:, None] * frequency], 1)
    angle = torch.cat([angle, angle], 1)
    return index, weight, angle.cos(), angle.sin()


def _vision(visual: Any, patches: Tensor, grid: tuple[int, int]) -> tuple[Tensor, list[Tensor]]:
    config = visual.config
    batch, count, _ = patches.shape
    head_dim = config.hidden_size // config.num_heads
    theta = config.rope_parameters["rope_theta"]
    index, weight, cos, sin = _vision_geometry(grid, visual.num_grid_per_side, head_dim, theta)
    projection = visual.patch_embed.proj
    # A still image repeats its frame, so the two temporal halves of the kernel add up.
    kernel = projection.weight.sum(2).flatten(1)
    x = F.linear(patches, kernel, projection.bias)
    x = x + (visual.pos_embed(index) * weight[..., None]).sum(1)
    deepstack = []
    for number, block in enumerate(visual.blocks):
        attention = block.attn
        qkv = attention.qkv(block.norm1(x)).view(batch, count, 3, config.num_heads, head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, count, -1)
        x = x + attention.proj(out)
        x = x + block.mlp(block.norm2(x))
        if number in visual.deepstack_visual_indexes:
            merger = visual.deepstack_merger_list[visual.deepstack_visual_indexes.index(number)]
            deepstack.append(merger(x.reshape(-1, config.hidden_size)))
    return visual.merger(x.reshape(-1, config.hidden_size)), deepstack


def _text(text: Any, packed: Packed, image_embeds: Tensor, deepstack: list[Tensor]) -> Tensor:
    config = text.config
    heads, kv_heads, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    n_rep = heads // kv_heads
    at = packed.image_mask.flatten().nonzero().squeeze(1)
    x = text.embed_tokens(packed.input_ids)
    batch, length, width = x.shape
    x = x.view(-1, width).index_copy(0, at, image_embeds).view(batch, length, width)
    cos, sin = text.rotary_emb(x, packed.position_ids)
    cos, sin = cos[:, None], sin[:, None]
    for number, layer in enumerate(text.layers):
        attention = layer.self_attn
        h = _norm(x, layer.input_layernorm)
        q = _norm(attention.q_proj(h).view(batch, length, heads, size), attention.q_norm)
        k = _norm(attention.k_proj(h).view(batch, length, kv_heads, size), attention.k_norm)
        v = attention.v_proj(h).view(batch, length, kv_heads, size).transpose(1, 2)
        q, k = _rotate(q.transpose(1, 2), cos, sin), _rotate(k.transpose(1, 2), cos, sin)
        k, v = k.repeat_interleave(n_rep, 1), v.repeat_interleave(n_rep, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=packed.mask)
        x = x + attention.o_proj(out.transpose(1, 2).reshape(batch, length, -1))
        mlp, h = layer.mlp, _norm(x, layer.post_attention_layernorm)
        x = x + mlp.down_proj(F.silu(mlp.gate_proj(h)) * mlp.up_proj(h))
        if number < len(deepstack):
            x = x.view(-1, width).index_add(0, at, deepstack[number]).view(batch, length, width)
    return _norm(x, text.norm)


def _norm(x: Tensor, norm: Any) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin
