"""Sliding windows and soft-capped scores, on text models with a stretch of tokens as the image."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    StaticCache,
)

from gazeheads.attention.install import install
from gazeheads.attention.intervention import Intervention
from gazeheads.attention.plan import ForwardPlan, plain_plan
from gazeheads.attention.recorder import Recorder
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head

PROMPT, STEPS, WINDOW = 20, 12, 12
TARGET, OTHERS = np.arange(9, 12), np.array([6, 7, 8, 12, 13, 14])
HEADS = (Head(0, 1), Head(1, 0), Head(2, 3))
STATE: dict = {}

COMMON = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": WINDOW,
    "initializer_range": 0.4, "pad_token_id": 0,
}  # fmt: skip


def make(kind: str):
    torch.manual_seed(1)
    if kind == "softcap":
        config = Gemma2Config(**COMMON, attn_logit_softcapping=3.0, query_pre_attn_scalar=8)
        return Gemma2ForCausalLM(config).eval()
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    config = Gemma3TextConfig(**COMMON, layer_types=layers, query_pre_attn_scalar=8)
    return Gemma3ForCausalLM(config).eval()


def reference_attention(module, query, key, value, mask, scaling=None, softcap=None, **kwargs):
    n_rep = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(n_rep, 1), value.repeat_interleave(n_rep, 1)
    scores = torch.matmul(query, key.transpose(2, 3)).double() * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    # the bias must stay small against the mask, which is finfo.min here
    seen = mask > torch.finfo(mask.dtype).min / 2
    bias = torch.zeros(scores.shape[-1], dtype=torch.float64)
    bias[TARGET], bias[OTHERS] = STATE["delta"], -STATE["delta"]
    for layer, head in HEADS:
        if layer == module.layer_idx:
            scores[:, head] += bias
    weights = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1).to(value.dtype)
    STATE.setdefault("weights", {})[module.layer_idx] = weights
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


def reference_model(model):
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register("reference_gemma", reference_attention)
    AttentionMaskInterface.register("reference_gemma", eager_mask)
    model = copy.deepcopy(model)
    model.set_attn_implementation("reference_gemma")
    return model


def intervention(model, delta, mode):
    text = model.config.get_text_config()
    shape = (text.num_hidden_layers, text.num_attention_heads)
    return Intervention.of(HEADS, shape, TARGET, OTHERS, PROMPT, delta, mode)


@pytest.mark.parametrize("kind", ["softcap", "sliding"])
@pytest.mark.parametrize("delta", [0.0, 2.0, math.inf])
def test_generation_equals_the_reference(kind, delta):
    model = make(kind)
    reference = reference_model(model)
    state = install(model).state
    ids = torch.randint(1, 50, (1, PROMPT), generator=torch.Generator().manual_seed(3))
    STATE["delta"] = 1e9 if math.isinf(delta) else delta
    mode = "hard" if math.isinf(delta) else "soft"
    acting = intervention(model, delta, mode) if delta else None
    recorder = Recorder((np.arange(6, 15),), HEADS)
    with state.running(ForwardPlan([[lambda step, decoding: acting]], PROMPT, recorder)):
        ours = model.generate(ids, max_new_tokens=STEPS, do_sample=False, min_new_tokens=STEPS)
    assert ours.shape[1] == PROMPT + STEPS
    with torch.no_grad():
        logits = reference(ours, use_cache=False).logits[0]
    logits[:, model.generation_config.eos_token_id or 1] = -torch.inf
    assert logits[PROMPT - 1 : -1].argmax(-1).tolist() == ours[0, PROMPT:].tolist()
    recorded = recorder.attention()
    for i, (layer, head) in enumerate(HEADS):
        rows = STATE["weights"][layer][0, head, PROMPT - 1 : -1, 6:15].numpy()
        assert recorded[:, 0, i] == pytest.approx(rows, abs=1e-4)


@pytest.mark.parametrize("kind", ["softcap", "sliding"])
def test_an_empty_plan_is_the_plain_model(kind):
    model = make(kind)
    ids = torch.randint(1, 50, (1, PROMPT))
    model.set_attn_implementation("eager" if kind == "softcap" else "sdpa")
    with torch.no_grad():
        plain = model(ids).logits
        state = install(model).state
        ours = model(ids).logits
        with state.running(plain_plan(1, PROMPT)):
            planned = model(ids).logits
    assert torch.equal(ours, planned)
    if kind == "sliding":
        assert torch.equal(plain, ours)
    torch.testing.assert_close(plain, ours, atol=1e-4, rtol=0)


def test_a_static_cache_gives_the_same_tokens():
    model = make("sliding")
    model.config.layer_types = ["full_attention"] * 3
    model = type(model)(model.config).eval()
    state = install(model).state
    acting = intervention(model, math.inf, "hard")
    ids = torch.randint(1, 50, (1, PROMPT), generator=torch.Generator().manual_seed(3))
    out = []
    for cache in (None, StaticCache(config=model.config, max_cache_len=64)):
        with state.running(ForwardPlan([[lambda step, decoding: acting]], PROMPT)):
            out.append(model.generate(ids, past_key_values=cache, max_new_tokens=8,
                                      do_sample=False).tolist())  # fmt: skip
    assert out[0] == out[1]


def test_value_norms_outside_a_window_are_refused():
    model = make("sliding")
    state = install(model).state
    recorder = Recorder((np.arange(6, 15),), HEADS, when="decode", norms="value")
    with (
        state.running(plain_plan(1, PROMPT, recorder)),
        pytest.raises(GazeheadsError, match="sliding window"),
    ):
        model.generate(torch.ones(1, PROMPT, dtype=torch.long), max_new_tokens=4, min_new_tokens=4,
                       do_sample=False)  # fmt: skip
