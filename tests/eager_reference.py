"""Steering done the plain way: eager attention, a bias per head, no cache, no padding, one row."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from gazeheads.models import VLM, Encoded


@dataclass
class Bias:
    """+delta on target keys, -delta on other keys for chosen heads and queries."""

    heads: Iterable[tuple[int, int]]
    target: list[int]
    others: list[int]
    delta: float
    first_query: int = 0
    last_query: int = 10**9
    exact: bool = False  # double precision, for the infinite limit


@dataclass
class State:
    biases: list[Bias] = field(default_factory=list)
    weights: dict[int, torch.Tensor] = field(default_factory=dict)
    outputs: dict[int, torch.Tensor] = field(default_factory=dict)


STATE = State()


def reference_attention(module, query, key, value, attention_mask, scaling, **kwargs):
    n_rep = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(n_rep, 1), value.repeat_interleave(n_rep, 1)
    scores = torch.matmul(query, key.transpose(2, 3)) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = torch.softmax(scores, -1, dtype=torch.float32)
    for bias in STATE.biases:
        add = torch.zeros(scores.shape[-2:], dtype=torch.float64 if bias.exact else scores.dtype)
        stop = min(bias.last_query, len(add))
        for positions, sign in ((bias.target, 1.0), (bias.others, -1.0)):
            columns = torch.tensor(positions, dtype=torch.long)
            add[bias.first_query : stop, columns] = sign * bias.delta
        for layer, head in bias.heads:
            if layer == module.layer_idx:
                own = scores[:, head].to(add.dtype) + add
                biased = torch.softmax(own, -1, dtype=add.dtype).to(weights.dtype)
                touched = slice(bias.first_query, stop)
                weights[:, head, touched] = biased[:, touched]
    STATE.weights[module.layer_idx] = weights.detach()
    output = torch.matmul(weights.to(value.dtype), value).transpose(1, 2).contiguous()
    STATE.outputs[module.layer_idx] = output.detach()
    return output, weights


class Reference:
    """A copy of a model with eager attention of its own."""

    def __init__(self, vlm: VLM) -> None:
        AttentionInterface.register("reference_eager", reference_attention)
        AttentionMaskInterface.register("reference_eager", eager_mask)
        self.model = copy.deepcopy(vlm.model)
        self.model._forward_pre_hooks.clear()
        self.model.set_attn_implementation({"text_config": "reference_eager"})

    def logits(self, encoded: Encoded, new: list[int], biases: list[Bias]) -> torch.Tensor:
        """(S, V) logits of prompt and new tokens in one pass without a cache."""
        inputs = dict(encoded.inputs)
        added = torch.tensor([new], dtype=torch.long)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], added], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        kinds = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(added)], 1)
        STATE.biases, STATE.weights, STATE.outputs = biases, {}, {}
        self.model.model.rope_deltas = None
        try:
            with torch.no_grad():
                return self.model(**inputs, use_cache=False).logits[0]
        finally:
            STATE.biases = []

    def generate(self, encoded: Encoded, steps: int, biases: list[Bias], stops: set[int]):
        """Greedy tokens."""
        new: list[int] = []
        for _ in range(steps):
            new.append(int(self.logits(encoded, new, biases)[-1].argmax()))
            if new[-1] in stops:
                break
        return new


def bias_of(vlm: VLM, encoded: Encoded, heads, region, mode: str, delta: float, when: str) -> Bias:
    """What steering means, as a bias on the queries of prefill or decode."""
    target = encoded.tokens.select(region).tolist()
    others = encoded.tokens.others(region).tolist()
    prompt = len(encoded)
    first, last = {"both": (0, 10**9), "prefill": (0, prompt), "decode": (prompt, 10**9)}[when]
    exact = mode == "hard"
    strength = 1e9 if exact else (10_000.0 if math.isinf(delta) else delta)
    return Bias(list(heads), target, others, strength, first, last, exact)


def tokens_of(generation):
    return list(generation.tokens)


def sdpa_copy(vlm):
    model = copy.deepcopy(vlm.model)
    model._forward_pre_hooks.clear()
    model.set_attn_implementation({"text_config": "sdpa"})
    return model
