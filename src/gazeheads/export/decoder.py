"""The decoder graph: one pass of the language model, steered and watched, for Qwen3-VL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import embedding

from gazeheads.attention.weights import softmax

ATTENTION = "gaze_export"


@dataclass(eq=False)
class Pass:
    """What the attention function of every layer needs to know about one pass.

    Attributes:
        flags: (L, H) 1 for heads to steer.
        bias: (S, T) what a steered head's scores get.
        visible: (S, T) bool.
        watch: (L, H) weight of each head in `seen`.
        seen: (T,) weighted sum of the last query's attention over the heads so far.
    """

    flags: torch.Tensor
    bias: torch.Tensor
    visible: torch.Tensor
    watch: torch.Tensor
    seen: torch.Tensor


def flagged_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float = 1.0,
    *,
    steered: Pass,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer with the steered heads as an input.

    A graph cannot pick heads, so every head takes the explicit path and a flag of 0 cancels the
    bias. The same weights as `gazeheads.attention.function` computes for the heads it steers.

    Args:
        module: the attention layer.
        query: (1, H, S, D).
        key, value: (1, KV, T, D).
        attention_mask, kwargs: unused; `steered` knows which keys are visible.
        scaling: of the scores.
        steered: this pass.

    Returns:
        (1, S, H, D) and None.
    """
    del attention_mask, kwargs
    layer, heads = module.layer_idx, query.shape[1]
    kv_heads, size = key.shape[1], key.shape[3]
    grouped = query.reshape(kv_heads, heads // kv_heads, -1, size)
    scores = torch.matmul(grouped, key[0][:, None].transpose(-1, -2)).float() * scaling
    flags = steered.flags[layer].reshape(kv_heads, -1, 1, 1)
    weights = softmax(scores + flags * steered.bias, steered.visible)
    watch = steered.watch[layer].reshape(kv_heads, -1, 1)
    steered.seen = steered.seen + (weights[:, :, -1] * watch).sum((0, 1))
    out = torch.matmul(weights.to(value.dtype), value[0][:, None])
    return out.reshape(1, heads, -1, size).transpose(1, 2), None


class _Keys:
    """A cache that grows by concatenation and keeps what it holds, as transformers calls it."""

    def __init__(self, past: list[torch.Tensor]) -> None:
        self.past = past
        self.present: list[torch.Tensor] = []

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *args: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer, the new ones last."""
        del args
        both = (
            torch.cat([self.past[2 * layer], key], 2),
            torch.cat([self.past[2 * layer + 1], value], 2),
        )
        self.present += both
        return both


class DecoderGraph(nn.Module):
    """Transformers' own decoder layers with the image, the steering and the cache as inputs.

    One graph serves the prefill (no past) and every decode step (one token). The steering is the
    small `head_flags` and `key_bias`, so that it can change at every step.
    """

    cos: torch.Tensor
    sin: torch.Tensor
    owner: torch.Tensor

    def __init__(self, model: Any, positions: int) -> None:
        """Args.

        model: transformers' Qwen3-VL, its language model with attention function `ATTENTION`.
        positions: most positions along the sequence; their rotations are looked up in a table,
            because the sines of browsers' graphics drivers are imprecise.
        """
        super().__init__()
        self.text = model.model.language_model
        self.head = model.lm_head
        self.image_token = int(model.config.image_token_id)
        rotary = self.text.rotary_emb
        places = torch.arange(positions)[None].expand(3, 1, -1)
        cos, sin = rotary(torch.zeros(1), places)
        self.register_buffer("cos", cos[0].float())
        self.register_buffer("sin", sin[0].float())
        # time, row or column: which of the three positions turns each component
        half = cos.shape[-1] // 2
        owner = rotary.recomposition_frequencies(torch.arange(3.0)[:, None].repeat(1, half))
        self.register_buffer("owner", (owner == torch.arange(3.0)[:, None])[:, None, None].float())

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        image_embeds: torch.Tensor,
        deepstack: torch.Tensor,
        head_flags: torch.Tensor,
        key_bias: torch.Tensor,
        watch: torch.Tensor,
        past: list[torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """One pass over S new tokens after P cached ones; T = P + S.

        Args:
            input_ids: (1, S).
            position_ids: (3, 1, S) time, row, column.
            image_embeds, deepstack: (N, D) and (levels, N, D), from the vision graph.
            head_flags: (L, H) 1 for heads to steer.
            key_bias: (T,) added to a steered head's scores; only differences count, so that of each
                query's visible keys the largest counts as 0.
            watch: (L, H) weights of the heads in `attention`.
            past: key and value of each layer in turn, (1, KV, P, size) each.

        Returns:
            (V,) logits after the last token, (T,) attention of the last token, keys and values.
        """
        total, queries = key_bias.shape[0], input_ids.shape[1]
        places = torch.arange(queries) + (total - queries)
        # a model may write the image token itself: after the prefill it is a word like any other
        is_image = ((input_ids[0] == self.image_token) & (places[0] == 0))[:, None]
        number = (is_image[:, 0].long().cumsum(0) - 1).clamp(min=0)
        words = self.text.embed_tokens(input_ids[0])
        image = embedding(number, image_embeds).to(words.dtype)
        hidden = torch.where(is_image, image, words)[None]
        rotary = self._rotary(position_ids, hidden.dtype)
        bias, visible = self._bias(key_bias, places)
        state = Pass(head_flags, bias, visible, watch, torch.zeros_like(key_bias))
        cache = _Keys(past)
        for index, layer in enumerate(self.text.layers):
            hidden = layer(hidden, position_embeddings=rotary, past_key_values=cache, steered=state)
            if index < deepstack.shape[0]:
                level = embedding(number, deepstack[index]).to(hidden.dtype)
                hidden = hidden + torch.where(is_image, level, torch.zeros_like(level))
        logits = self.head(self.text.norm(hidden[:, -1]))[0]
        return logits.float(), state.seen, cache.present

    def _rotary(
        self, position_ids: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        cos = (embedding(position_ids, self.cos) * self.owner).sum(0)
        sin = (embedding(position_ids, self.sin) * self.owner).sum(0)
        return cos.to(dtype), sin.to(dtype)

    def _bias(
        self, key_bias: torch.Tensor, places: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(S, T) bias of the queries at `places`, and which keys they see."""
        visible = torch.arange(key_bias.shape[0]) <= places[:, None]
        # -1e9 and no infinity: flags of 0 times infinity would be NaN
        seen = torch.where(visible, key_bias, torch.full_like(key_bias, -1e9))
        return torch.where(visible, key_bias - seen.amax(-1, keepdim=True), 0.0), visible
