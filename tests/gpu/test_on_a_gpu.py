"""On a GPU: as on the CPU, without waits inside a pass, in bounded memory.

Where a test says nothing about a GPU itself it runs on the CPU too, with tiny shapes, so that it
is known to be right before anybody has a GPU at hand.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from tiny_models import make_model

from benchmarks.models import build
from gazeheads import HeadSet, Steering, wrap
from gazeheads.attention import function
from gazeheads.models import VLM
from gazeheads.models.continuous import ContinuousBatch, TextRequest
from gazeheads.models.generate import Decoding
from gazeheads.models.rows import prepare

HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
PROMPTS = ["what?", "what happens in this panel?", "what is it?"]
MODES = [("hard", math.inf), ("soft", 2.0), ("paper", 3.0), ("within", 1.0)]
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)
MIB = 1 << 20


def on(processor: Any, device: str, dtype: torch.dtype = torch.float32) -> VLM:
    return wrap(make_model(processor, 4, 2).to(device, dtype), processor, "tiny-random")


def rows_of(vlm: VLM, strip: Any) -> list[Any]:
    return [
        (vlm.encode(strip.image, PROMPTS[i % 3]), Steering(HEADS, strip.panel(1 + i % 3), delta, m))
        for i, (m, delta) in enumerate(MODES)
    ]


def logits_of(vlm: VLM, rows: list[Any]) -> torch.Tensor:
    """(real tokens, V), on the CPU."""
    batch, plan = prepare(vlm, rows, HEADS, "none")
    with torch.no_grad(), vlm.state.running(plan, padded=True):
        out = vlm.model(**batch.forward_inputs(vlm.family)).logits
    return out[batch.mask.bool()].float().cpu()


@pytest.mark.parametrize("kernel", ["second", "flex"])
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_single_precision_is_what_the_cpu_computes(processor, strip, device, kernel):
    expected = on(processor, "cpu")
    vlm = on(processor, device)
    vlm.state.kernel = kernel
    with torch.compiler.set_stance("force_eager" if device == "cpu" else "default"):
        found = logits_of(vlm, rows_of(vlm, strip))
        texts = vlm.generate(rows_of(vlm, strip), max_new_tokens=6)
    close = logits_of(expected, rows_of(expected, strip))
    torch.testing.assert_close(found, close, atol=2e-3, rtol=1e-3)
    theirs = expected.generate(rows_of(expected, strip), max_new_tokens=6)
    assert [text.tokens for text in texts] == [text.tokens for text in theirs]


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_half_precision_is_near(processor, strip, device):
    single, half = on(processor, "cpu"), on(processor, device, torch.bfloat16)
    found = logits_of(half, rows_of(half, strip))
    expected = logits_of(single, rows_of(single, strip))
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean() + 0.05


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_no_wait_inside_the_attention_function(processor, strip, device, monkeypatch):
    vlm = on(processor, device)
    ran, edited = [], function._edited

    def strict(*given: Any) -> torch.Tensor:
        ran.append(1)
        if device == "cpu":
            return edited(*given)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return edited(*given)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(function, "_edited", strict)
    vlm.generate(rows_of(vlm, strip), max_new_tokens=6, watch=HEADS)
    assert len(ran) == 4 * 6  # layers, passes


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_texts_of_one_batch_are_the_texts_alone(processor, strip, device):
    vlm = on(processor, device)
    decoding = Decoding(max_new_tokens=8, ignore_eos=True)
    requests = [TextRequest(inputs, how, decoding) for inputs, how in rows_of(vlm, strip) * 3]
    batch = ContinuousBatch(vlm)
    written = {each: [token.id] for each, token in batch.join(requests[:5]).items()}
    batch.step()
    batch.leave(requests[:1])
    written |= {each: [token.id] for each, token in batch.join(requests[5:]).items()}
    while made := batch.step():
        for each, token in made.items():
            written[each].append(token.id)
    for each in requests[5:]:
        alone = vlm.generate((each.inputs, each.steering), max_new_tokens=8, ignore_eos=True)[0]
        assert tuple(written[each]) == alone.tokens


@pytest.mark.gpu
def test_layers_on_two_devices(processor, strip):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    accelerate = pytest.importorskip("accelerate")
    whole = on(processor, "cuda:0")
    model = make_model(processor, 4, 2)
    places = {"model.visual": 0, "model.language_model": 1, "lm_head": 1}
    model = accelerate.dispatch_model(model, device_map=places)
    split = wrap(model, processor, "tiny-random")
    found, expected = (
        logits_of(split, rows_of(split, strip)),
        logits_of(whole, rows_of(whole, strip)),
    )
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize(("shape", "needed"), [("2b", 8), ("8b", 24)])
def test_a_published_shape_is_steered_and_watched_within_its_memory(strip, shape, needed):
    """Random weights. A watched run keeps the heads' rows at the image tokens and nothing more."""
    free = torch.cuda.mem_get_info()[0] / 2**30
    if free < needed:
        pytest.skip(f"needs {needed} GiB of GPU memory, {free:.0f} are free")
    model, processor = build(shape, "sdpa", 384)
    vlm = wrap(model.to("cuda", torch.bfloat16), processor, shape)
    heads = HeadSet.of([(n, h) for n in range(vlm.num_layers) for h in range(4)])
    encoded = vlm.encode(strip.image, PROMPTS[1])
    row = (encoded, Steering(heads, strip.panel(2)))
    peaks = []
    for watched in (None, "all"):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        text = vlm.generate(row, max_new_tokens=24, ignore_eos=True, watch=watched)[0]
        peaks.append(torch.cuda.max_memory_allocated())
    kept = 24 * vlm.num_layers * vlm.num_heads * len(encoded.tokens) * 4
    assert len(text.tokens) == 24
    assert peaks[1] - peaks[0] < 4 * kept + 64 * MIB


@pytest.mark.gpu
@pytest.mark.parametrize("implementation", ["flash_attention_2", "flash_attention_3"])
def test_flash_stays_what_plain_heads_run_through(processor, strip, implementation):
    model = make_model(processor, 4, 2).to("cuda", torch.bfloat16)
    try:
        model.set_attn_implementation({"text_config": implementation})
    except (ImportError, ValueError) as error:
        pytest.skip(f"{implementation} is not installed: {str(error)[:80]}")
    plain = copy.deepcopy(model)
    vlm = wrap(model, processor)
    encoded = vlm.encode(strip.image, PROMPTS[1])
    with torch.no_grad():
        inputs = {name: each.to("cuda") for name, each in encoded.inputs.items()}
        assert torch.equal(vlm.model(**inputs).logits, plain(**inputs).logits)
    sdpa = on(processor, "cuda", torch.bfloat16)
    found, other = logits_of(vlm, rows_of(vlm, strip)), logits_of(sdpa, rows_of(sdpa, strip))
    assert (found - other).abs().mean() < 0.05 * other.abs().mean() + 0.05
