"""Plain heads keep the attention that the model was loaded with; steering is the same on each."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from tiny_families import make_family
from tiny_models import make_model
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask

from gazeheads import GazeheadsError, HeadSet, Steering, wrap
from gazeheads.attention.implementations import ours, seen_keys
from gazeheads.attention.install import install
from gazeheads.attention.plan import ForwardPlan, plain_plan
from gazeheads.models.rows import prepare

from .test_other_attention import intervention, make

PROMPTS = ["what happens in this panel?", "what is it?"]
HEADS = HeadSet.of([(0, 2), (1, 0), (1, 3), (2, 2)])
CALLS: list[Any] = []


def like_flash(module, query, key, value, attention_mask, scaling=None, sliding_window=None, **_):
    """What flash computes from what flash is given: padding alone, and the place of the queries."""
    assert attention_mask is None or attention_mask.ndim == 2
    assert module.config._attn_implementation == "padding_only"  # what flash picks its kernel by
    CALLS.append(attention_mask)
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    keys, queries = key.shape[2], query.shape[2]
    place = torch.arange(keys - queries, keys)[:, None]
    seen = torch.arange(keys) <= place
    if sliding_window is not None:
        seen &= torch.arange(keys) > place - sliding_window
    seen = seen[None, None]
    if attention_mask is not None:
        seen = seen & attention_mask[:, None, None].bool()
    scores = (query @ key.transpose(2, 3)) * scaling
    weights = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register("padding_only", like_flash)
AttentionMaskInterface.register("padding_only", flash_attention_mask)
IMPLEMENTATIONS = ["sdpa", "eager", "flex_attention", "padding_only"]


@pytest.fixture(autouse=True)
def flex_attention_uncompiled():
    """FlexAttention by its own rules, without minutes of a C++ compiler."""
    with torch.compiler.set_stance("force_eager"):
        yield


def loaded_with(processor: Any, implementation: str, family: str = "") -> tuple[Any, Any]:
    """A model and its processor; not every family has FlexAttention."""
    if family or implementation == "flex_attention":
        model, processor = make_family("llava")
    else:
        model = make_model(processor, 4, 2)
    model.set_attn_implementation({"text_config": implementation})
    return model, processor


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_no_steering_is_the_plain_model_bit_for_bit(processor, strip, implementation, padded):
    model, processor = loaded_with(processor, implementation)
    plain = copy.deepcopy(model)
    vlm = wrap(model, processor)
    assert model.config.text_config._attn_implementation == ours(implementation)
    prompts = PROMPTS if padded else PROMPTS[:1]
    encoded = vlm.encode_many(strip.image, prompts)
    batch = prepare(vlm, [(each, None) for each in encoded], None, "none")[0]
    inputs = batch.forward_inputs(vlm.family)
    CALLS.clear()
    with torch.no_grad():
        theirs = plain(**inputs).logits
        called = len(CALLS)
        unplanned = vlm.model(**inputs).logits
        with vlm.state.running(plain_plan(len(prompts), batch.ids.shape[1]), padded=True):
            planned = vlm.model(**inputs).logits
    assert torch.equal(unplanned, theirs)
    assert torch.equal(planned, theirs)
    if implementation == "padding_only":
        assert called == 4  # layers, and as many in each of ours
        assert len(CALLS) == 12
        assert all((mask is None) != padded for mask in CALLS)
    for one, text in zip(encoded, vlm.generate(encoded, max_new_tokens=5), strict=True):
        alone = plain.generate(**one.inputs, max_new_tokens=5, do_sample=False)[0]
        assert list(text.tokens) == alone[len(one) :].tolist()
    vlm.unwrap()
    assert model.config.text_config._attn_implementation == implementation


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS[1:])
def test_steering_is_the_same_on_every_implementation(processor, strip, implementation):
    family = "llava" if implementation == "flex_attention" else ""
    models = [wrap(*loaded_with(processor, name, family)) for name in ("sdpa", implementation)]
    found = []
    for vlm in models:
        rows = []
        for prompt, (mode, delta) in zip(
            [*PROMPTS, *PROMPTS],
            [("hard", math.inf), ("soft", 2.0), ("within", 1.0), ("paper", 3.0)],
            strict=True,
        ):
            steering = Steering(HEADS, strip.panel(2), delta, mode)
            rows.append((vlm.encode(strip.image, prompt), steering))
        batch, plan = prepare(vlm, rows, HEADS, "value")
        with torch.no_grad(), vlm.state.running(plan, padded=True):
            logits = vlm.model(**batch.forward_inputs(vlm.family)).logits[:, -1]
        texts = vlm.generate(rows, max_new_tokens=6, watch=HEADS)
        same_prompt = [(rows[0][0], each[1]) for each in rows]  # one prefill for all
        texts += vlm.generate(same_prompt, max_new_tokens=6, watch=HEADS)
        found.append((logits, texts, plan.recorder.latest()))
    (sdpa, texts, seen), (other, theirs, also) = found
    torch.testing.assert_close(other, sdpa, atol=2e-5, rtol=1e-4)
    assert also == pytest.approx(seen, abs=1e-5)
    for a, b in zip(texts, theirs, strict=True):
        assert a.tokens == b.tokens
        assert a.trace.attention == pytest.approx(b.trace.attention, abs=1e-5)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_sliding_windows(implementation):
    """Keys outside a window stay out of sight, in prefill and decode."""
    found = []
    for name in ("sdpa", implementation):
        model = make("sliding")
        model.set_attn_implementation(name)
        state = install(model).state
        acting = intervention(model, 2.0, "soft")
        ids = torch.randint(1, 50, (1, 20), generator=torch.Generator().manual_seed(3))
        plan = ForwardPlan([[lambda step, decoding, a=acting: a]], 20)
        with torch.no_grad(), state.running(plan):
            tokens = model.generate(ids, max_new_tokens=8, do_sample=False, min_new_tokens=8)
            found.append((tokens, model(ids).logits))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], atol=2e-5, rtol=1e-4)


def test_padding_of_a_static_cache_is_not_seen():
    query, key = torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 8, 4)
    mask = torch.tensor([[0, 1, 1, 1, 1]])
    seen = seen_keys(mask, query, key, "padding_only", None)
    assert seen[0, 0].tolist() == [[False, True, True, True, True, False, False, False]]
    windowed = seen_keys(mask, query, key, "padding_only", 2)
    assert windowed[0, 0].tolist() == [[False, False, False, True, True, False, False, False]]


def test_a_name_of_ours_never_holds_the_word_flash():
    names = ["flash_attention_2", "flash_attention_3", "kernels-community/vllm-flash-attn3", "sdpa"]
    made = [ours(name) for name in names]
    assert len(set(made)) == len(made)
    assert not any("flash" in name or "/" in name for name in made)


def test_what_cannot_be_kept_is_refused(processor):
    AttentionInterface.register("of_its_own", like_flash)
    AttentionMaskInterface.register("of_its_own", lambda **given: None)
    model, processor = loaded_with(processor, "of_its_own")
    with pytest.raises(
        GazeheadsError, match=r"attention 'of_its_own', which cannot be kept"
    ) as told:
        wrap(model, processor)
    assert "\n" not in str(told.value)
    assert model.config.text_config._attn_implementation == "of_its_own"


def test_wrapping_again_keeps_what_was_switched_to(processor, strip):
    vlm = wrap(make_model(processor, 4, 2), processor)
    vlm.model.set_attn_implementation({"text_config": "eager"})
    again = wrap(vlm.model, processor)
    assert again.state.before == "eager"
    copied = copy.deepcopy(again.model)
    assert wrap(copied, processor).state.before == "eager"
    assert again.ask(strip.image, "what?", max_new_tokens=2)
