"""The registered attention function: the plain model without a plan, and beside one."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import torch
from eager_reference import sdpa_copy, tokens_of

from gazeheads import HeadSet, Steering
from gazeheads.attention.install import attention_layers
from gazeheads.attention.intervention import Intervention, InterventionError
from gazeheads.attention.plan import ForwardPlan, plain_plan
from gazeheads.models.rows import prepare

PROMPTS = ["what happens in this panel?", "what is it?", "in the strip of this comic: what?"]
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 7


def test_attention_function_is_only_in_the_language_model(vlm):
    assert vlm.model.config.text_config._attn_implementation == "gaze"
    assert vlm.model.config.vision_config._attn_implementation == "sdpa"


@pytest.mark.parametrize("padded", [False, True])
def test_an_empty_plan_is_plain_sdpa_bit_for_bit(vlm, strip, padded):
    plain = sdpa_copy(vlm)
    prompts = PROMPTS if padded else PROMPTS[:1]
    encoded = vlm.encode_many(strip.image, prompts)
    batch = prepare(vlm, [(e, None) for e in encoded], None, "none")[0]
    plan = plain_plan(len(prompts), batch.ids.shape[1])
    with torch.no_grad(), vlm.state.running(plan):
        ours = vlm.model(**batch.forward_inputs(vlm.family)).logits
    with torch.no_grad():
        theirs = plain(**batch.forward_inputs(vlm.family)).logits
        unplanned = vlm.model(**batch.forward_inputs(vlm.family)).logits
    assert torch.equal(ours, theirs)
    assert torch.equal(unplanned, theirs)


def test_unsteered_generation_is_transformers_own(vlm, strip):
    plain = sdpa_copy(vlm)
    encoded = vlm.encode_many(strip.image, PROMPTS)
    for one, generation in zip(encoded, vlm.generate(encoded, max_new_tokens=STEPS), strict=True):
        full = plain.generate(**one.inputs, max_new_tokens=STEPS, do_sample=False)[0]
        assert tokens_of(generation) == full[len(one) :].tolist()
        assert vlm.generate(one, max_new_tokens=STEPS)[0].tokens == generation.tokens
        assert generation.steered_to == (None,) * len(generation.tokens)


def test_nothing_outside_the_plan_changes_up_to_the_first_steered_layer(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    outputs = {}
    layers = attention_layers(vlm.model)

    def keep(name):
        def hook(module, args, kwargs, output):
            del args, kwargs
            outputs[name, module.layer_idx] = output[0].detach()

        return hook

    projected = {}
    for name, steering in {"plain": None, "steered": Steering(HEADS, strip.panel(1))}.items():
        handles = [m.register_forward_hook(keep(name), with_kwargs=True) for m in layers.values()]
        handles += [
            layers[1].o_proj.register_forward_pre_hook(
                lambda module, args, name=name: projected.__setitem__(name, args[0].detach())
            )
        ]
        vlm.generate((encoded, steering), max_new_tokens=1)
        for handle in handles:
            handle.remove()
    assert torch.equal(outputs["plain", 0], outputs["steered", 0])
    size = projected["plain"].shape[-1] // vlm.num_heads
    for head in range(vlm.num_heads):
        part = slice(head * size, (head + 1) * size)
        same = torch.equal(projected["plain"][..., part], projected["steered"][..., part])
        assert same == ((1, head) not in HEADS)


def test_paper_mode_in_bfloat16_is_uniform_inside_the_target(gqa, strip):
    model = copy.deepcopy(gqa.model).to(torch.bfloat16)
    from gazeheads import wrap

    low = wrap(model, gqa.processor, "tiny-random")
    region = strip.panel(2)
    encoded = low.encode(strip.image, PROMPTS[0])
    inside = encoded.tokens.indices(region)
    paper = low.watch(
        encoded, heads=HEADS, steering=Steering.paper(HEADS, region), max_new_tokens=3
    )
    assert paper.attention[..., inside] == pytest.approx(1 / len(inside), abs=2e-3)
    natural = low.watch(encoded, heads=HEADS, steering=Steering(HEADS, region), max_new_tokens=3)
    assert natural.attention[..., inside].std() > 0.01


def test_two_threads_do_not_see_each_other(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    longer = vlm.encode(strip.image, PROMPTS[2])
    jobs = [(encoded, strip.panel(1)), (longer, strip.panel(3)), (longer, None)]

    def work(prompt, region, plain):
        if region is None:
            return vlm.generate(prompt, max_new_tokens=STEPS)[0].tokens
        if not plain:
            steering = Steering(HEADS, region)
            return vlm.generate((prompt, steering), max_new_tokens=STEPS)[0].tokens
        with vlm.steer(HEADS, region):
            return vlm.generate(prompt, max_new_tokens=STEPS)[0].tokens

    expected = [work(*job, False) for job in jobs]
    found: dict[int, list] = {i: [] for i in range(len(jobs))}
    barrier = threading.Barrier(len(jobs))

    def loop(i):
        barrier.wait()
        found[i] = [work(*jobs[i], bool(turn % 2)) for turn in range(4)]

    threads = [threading.Thread(target=loop, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, tokens in enumerate(expected):
        assert found[i] == [tokens] * 4


def test_interventions_and_plans_check_themselves():
    def acting(heads=HEADS, target=(1,), layers=4):
        return Intervention.of(heads, (layers, 4), np.array(target, int), np.array([2]), 5)

    def always(step, decoding):
        return one

    one = acting()
    with pytest.raises(InterventionError, match="twice in row 0"):
        ForwardPlan([[always, always]], 5).check()
    with pytest.raises(InterventionError, match="L3H1"):
        acting(layers=3)
    with pytest.raises(InterventionError, match="no image tokens"):
        acting(target=())
    with pytest.raises(InterventionError, match="for 1 rows, the batch has 2"):
        ForwardPlan([[always]], 5).begin(0, 5, 2)
    assert one.key_sign.tolist() == [0, 1, -1, 0, 0]
    assert [(layer, list(heads)) for layer, heads in one.heads_by_layer.items()] == [
        (1, [0, 3]), (2, [2]), (3, [1]),
    ]  # fmt: skip
