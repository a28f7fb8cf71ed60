"""Steering against an eager reference written in the tests."""

from __future__ import annotations

import copy
import math
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from eager_reference import STATE, Bias, Reference, bias_of

from gazeheads import GazeheadsError, HeadSet, LiveTarget, Region, Schedule, Steering
from gazeheads.plan import AttentionPlan, PlanError, Steer, Target
from gazeheads.running import PlanRun, running
from gazeheads.vlm.attaching import attention_layers, decoder_blocks
from gazeheads.vlm.rows import prepare

PROMPTS = ["what happens in this panel?", "what is it?", "in the strip of this comic: what?"]
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 7
BIG, SMALL = Region.from_box(0, 0, 900, 9), Region.from_box(1, 1, 2, 2)


@pytest.fixture(scope="module")
def reference(vlm):
    return Reference(vlm)


def tokens_of(generation):
    return list(generation.tokens)


def sdpa_copy(vlm):
    model = copy.deepcopy(vlm.model)
    model._forward_pre_hooks.clear()
    model.set_attn_implementation({"text_config": "sdpa"})
    return model


def test_attention_function_is_only_in_the_language_model(vlm):
    assert vlm.model.config.text_config._attn_implementation == "gaze"
    assert vlm.model.config.vision_config._attn_implementation == "sdpa"


@pytest.mark.parametrize("padded", [False, True])
def test_an_empty_plan_is_plain_sdpa_bit_for_bit(vlm, strip, padded):
    plain = sdpa_copy(vlm)
    prompts = PROMPTS if padded else PROMPTS[:1]
    encoded = vlm.encode_many(strip.image, prompts)
    batch = prepare(vlm, [(e, None) for e in encoded], None, "none")[0]
    run = PlanRun(AttentionPlan(len(prompts), batch.ids.shape[1]), vlm.text_config)
    with torch.no_grad(), running(run):
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


@pytest.mark.parametrize("when", ["both", "prefill", "decode"])
@pytest.mark.parametrize(
    ("mode", "delta"),
    [("hard", math.inf), ("soft", 3.0), ("soft", 1000.0), ("soft", -2.0), ("paper", 10_000.0)],
)
@pytest.mark.parametrize("panel", [1, 3])
def test_steered_tokens_equal_the_eager_reference(vlm, reference, strip, mode, delta, when, panel):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(panel)
    steering = Steering(HEADS, region, delta, mode, when)
    ours = vlm.generate((encoded, steering), max_new_tokens=STEPS)[0]
    bias = bias_of(vlm, encoded, HEADS, region, mode, delta, when)
    assert tokens_of(ours) == reference.generate(encoded, STEPS, [bias], vlm.stops)
    first = None if when == "decode" else region.name
    later = None if when == "prefill" else region.name
    assert ours.steered_to == (first, *[later] * (len(ours.tokens) - 1))


@pytest.mark.parametrize("mode", ["hard", "soft", "paper"])
def test_steered_logits_equal_the_eager_reference(vlm, reference, strip, mode):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    delta = math.inf if mode == "hard" else 5.0
    steering = Steering(HEADS, strip.panel(2), delta, mode)
    batch, run = prepare(vlm, [(encoded, steering)], None, "none")
    with torch.no_grad(), running(run):
        ours = vlm.model(**batch.forward_inputs(vlm.family)).logits[0]
    bias = bias_of(vlm, encoded, HEADS, strip.panel(2), mode, delta, "both")
    torch.testing.assert_close(ours, reference.logits(encoded, [], [bias]), atol=2e-4, rtol=0)


def test_hard_mode_reads_only_the_target_and_is_the_limit_of_soft(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(1)
    inside = encoded.tokens.indices(region)
    traces = {
        name: vlm.watch(encoded, heads=HEADS, steering=steering, max_new_tokens=STEPS)
        for name, steering in {
            "hard": Steering(HEADS, region),
            "soft": Steering(HEADS, region, 500.0),
            "plain": None,
        }.items()
        if steering is not None or name == "plain"
    }
    first = [i for i, head in enumerate(HEADS) if head.layer == 1]
    hard = traces["hard"].attention
    assert hard[..., inside].sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert hard == pytest.approx(traces["soft"].attention, abs=1e-3)
    # below the first steered layer's output nothing differs yet: same proportions inside
    plain = traces["plain"].attention[0][first][:, inside]
    if vlm.num_heads:
        expected = plain / plain.sum(-1, keepdims=True)
        steered_decode_only = vlm.watch(
            encoded, heads=HEADS, steering=Steering(HEADS, region), max_new_tokens=1
        ).attention[0][first][:, inside]
        assert steered_decode_only == pytest.approx(expected, abs=1e-4)


def test_queries_before_the_target_fall_back_to_text(vlm, reference, strip):
    """The hard mode of a query that sees no target key: text; the limit, not NaN, not zero."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(3)
    bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
    reference.logits(encoded, [], [bias])
    first_image = int(encoded.tokens.positions[0])
    weights = STATE.weights[1][0, 0]
    query = first_image + 1
    assert float(weights[query, :first_image].sum()) == pytest.approx(1.0, abs=1e-6)


def test_schedule_equals_the_eager_reference(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    schedule = Schedule.every(2, [strip.panel(3), strip.panel(1), strip.panel(2)])
    steering = Steering(HEADS, schedule, when="decode")
    ours = vlm.generate((encoded, steering), max_new_tokens=STEPS, ignore_eos=True)[0]
    prompt = len(encoded)
    biases = []
    starts = [*[step for step, _ in schedule.entries], 10**6]
    for (_, region), (start, stop) in zip(schedule.entries, pairwise(starts), strict=True):
        bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
        # the query of step t stands at index prompt + t - 1; step 0 is the prefill, not steered
        bias.first_query, bias.last_query = max(prompt, prompt + start - 1), prompt + stop - 1
        biases.append(bias)
    assert tokens_of(ours) == reference.generate(encoded, STEPS, biases, set())
    assert ours.steered_to[:5] == (None, "panel 3", "panel 1", "panel 1", "panel 2")


def test_live_target_acts_on_the_next_token_like_a_schedule(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    live = LiveTarget(strip.panel(1))
    streamed = []
    for step, piece in enumerate(
        vlm.stream(encoded, steering=Steering(HEADS, live), max_new_tokens=STEPS, ignore_eos=True)
    ):
        streamed.append(piece.region)
        if step == 1:
            live.move(strip.panel(3))
        if step == 3:
            live.move(None)
    assert streamed == ["panel 1"] * 2 + ["panel 3"] * 2 + [None] * (STEPS - 4)
    entries = ((0, strip.panel(1)), (2, strip.panel(3)), (4, None))
    scheduled = vlm.generate(
        (encoded, Steering(HEADS, Schedule(entries))), max_new_tokens=STEPS, ignore_eos=True
    )[0]
    assert scheduled.steered_to == tuple(streamed)


def test_streamed_text_is_the_generated_text(vlm, strip):
    steering = Steering(HEADS, strip.panel(2))
    encoded = vlm.encode(strip.image, PROMPTS[1])
    whole = vlm.generate((encoded, steering), max_new_tokens=STEPS)[0]
    pieces = list(vlm.stream(encoded, steering=steering, watch=HEADS, max_new_tokens=STEPS))
    assert whole.text.startswith("".join(piece.text for piece in pieces))
    assert pieces[0].attention.shape == (len(HEADS), len(encoded.tokens))


def test_batched_rows_equal_the_same_rows_alone(vlm, strip, make_strip):
    other = make_strip("other", panels=5, seed=3)
    rows = []
    for source, prompt, steering in [
        (strip, PROMPTS[0], None),
        (strip, PROMPTS[2], Steering(HEADS, strip.panel(3))),
        (strip, PROMPTS[0], Steering(HEADS, strip.panel(1), 4.0)),
        (other, PROMPTS[1], Steering(HEADS, other.panel(5), mode="paper", when="decode")),
        (other, PROMPTS[2], Steering(HEADS.top(2), Schedule.every(3, [other.panel(1)]))),
    ]:
        rows.append((vlm.encode(source.image, prompt), steering))
    together = vlm.generate(rows, max_new_tokens=STEPS, watch=HEADS)
    for row, generation in zip(rows, together, strict=True):
        alone = vlm.generate(row, max_new_tokens=STEPS, watch=HEADS)[0]
        assert generation.tokens == alone.tokens
        assert generation.steered_to == alone.steered_to
        assert generation.trace.attention == pytest.approx(alone.trace.attention, abs=1e-5)
        assert generation.trace.norms == pytest.approx(alone.trace.norms, abs=1e-4)


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


def test_plain_generate_inside_steer_with_options(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(2)
    bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
    expected = reference.generate(encoded, STEPS, [bias], vlm.stops)
    with vlm.steer(HEADS, region):
        greedy = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=False)
        beams = vlm.model.generate(
            **encoded.inputs, max_new_tokens=STEPS, num_beams=3, do_sample=False
        )
        torch.manual_seed(0)
        sampled = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=True)
        asked = vlm.ask(strip.image, PROMPTS[0], max_new_tokens=STEPS)
    assert greedy[0, len(encoded) :].tolist() == expected
    assert asked == vlm.tokenizer.decode(expected, skip_special_tokens=True)
    torch.manual_seed(0)
    free = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=True)
    assert sampled.tolist() != free.tolist()
    assert beams.shape[0] == 1
    # a beam's score is that of its tokens under steering
    best = beams[0, len(encoded) :].tolist()
    logits = reference.logits(encoded, best[:-1], [bias])[len(encoded) - 1 :]
    beam_score = logits.log_softmax(-1)[range(len(best)), best].sum()
    greedy_logits = reference.logits(encoded, expected[:-1], [bias])[len(encoded) - 1 :]
    greedy_score = greedy_logits.log_softmax(-1)[range(len(expected)), expected].sum()
    assert beam_score / len(best) >= greedy_score / len(expected) - 1e-3
    assert free.tolist() != [] and vlm.model.generate(
        **encoded.inputs, max_new_tokens=STEPS, do_sample=False
    )[0, len(encoded) :].tolist() == reference.generate(encoded, STEPS, [], vlm.stops)


def test_existing_code_gains_steering_in_two_lines(vlm, reference, strip):
    made_elsewhere = vlm.processor(
        text=[vlm.encoder._text([{"role": "user", "content": [{"type": "image"}]}])],
        images=[strip.image],
        return_tensors="pt",
    )
    with vlm.steer(HEADS, strip.panel(2), inputs=made_elsewhere, image=strip.image):
        out = vlm.model.generate(**made_elsewhere, max_new_tokens=STEPS, do_sample=False)
    encoded = vlm.encoder.adopt(made_elsewhere, [strip.image.size])
    bias = bias_of(vlm, encoded, HEADS, strip.panel(2), "hard", math.inf, "both")
    expected = reference.generate(encoded, STEPS, [bias], vlm.stops)
    assert out[0, len(encoded) :].tolist() == expected


def test_left_padded_plain_generate_inside_steer(vlm, strip):
    encoded = vlm.encode_many(strip.image, PROMPTS[:2])
    texts = [
        vlm.encoder._text(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": p}]}]
        )
        for p in PROMPTS[:2]
    ]
    padded = vlm.processor(
        text=texts, images=[strip.image] * 2, return_tensors="pt", padding=True, padding_side="left"
    )
    with vlm.steer(HEADS, strip.panel(3)):
        out = vlm.model.generate(**padded, max_new_tokens=STEPS, do_sample=False)
        alone = vlm.generate(encoded, max_new_tokens=STEPS)
    for row, generation in zip(out, alone, strict=True):
        new = row[padded["input_ids"].shape[1] :].tolist()[: len(generation.tokens)]
        assert new == list(generation.tokens)


def test_nested_steering_adds_up(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    one, two = HEADS.top(2), HeadSet.of([(2, 2), (3, 1)])
    with vlm.steer(one, strip.panel(1)), vlm.steer(two, strip.panel(3)):
        ours = vlm.generate(encoded, max_new_tokens=STEPS)[0]
        theirs = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=False)[0]
    biases = [
        bias_of(vlm, encoded, heads, strip.panel(k), "hard", math.inf, "both")
        for heads, k in ((one, 1), (two, 3))
    ]
    expected = reference.generate(encoded, STEPS, biases, vlm.stops)
    assert tokens_of(ours) == expected == theirs[len(encoded) :].tolist()
    assert ours.steered_to[0] == "panel 1+panel 3"


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


def test_an_abandoned_stream_leaves_nothing_behind(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    before = vlm.generate(encoded, max_new_tokens=STEPS)[0].tokens
    stream = vlm.stream(encoded, steering=Steering(HEADS, strip.panel(3)), max_new_tokens=STEPS)
    next(stream)
    assert vlm.generate(encoded, max_new_tokens=STEPS)[0].tokens == before


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


def test_image_after_text_and_two_images(vlm, reference, strip, make_strip):
    second = make_strip("second", panels=2, seed=7)
    parts = [
        {"type": "text", "text": "compare"}, {"type": "image"},
        {"type": "text", "text": "and"}, {"type": "image"}, {"type": "text", "text": "what?"},
    ]  # fmt: skip
    messages = [{"role": "user", "content": parts}]
    encoded = vlm.encode_messages([strip.image, second.image], messages)
    assert len(encoded.tokens.sizes) == 2
    for region in (strip.panel(3), second.panel(1).in_image(1)):
        ours = vlm.generate((encoded, Steering(HEADS, region)), max_new_tokens=STEPS)[0]
        bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
        assert tokens_of(ours) == reference.generate(encoded, STEPS, [bias], vlm.stops)
    with pytest.raises(GazeheadsError, match="image 2"):
        vlm.generate((encoded, Steering(HEADS, second.panel(1).in_image(2))))


def test_wrong_input_is_one_clear_error(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(1)
    cases = [
        (lambda: vlm.steer([(9, 0)], region), "L9H0"),
        (lambda: vlm.steer([(0, 9)], region), "L0H9"),
        (lambda: vlm.steer([], region), "no heads"),
        (lambda: Steering(HEADS, region, math.nan), "NaN"),
        (lambda: Steering(HEADS, region, 5.0, "hard"), "hard"),
        (lambda: Steering(HEADS, region, math.inf, "soft"), "finite"),
        (lambda: Steering(HEADS, region, when="later"), "later"),
        (lambda: Schedule(((0, region), (3, region), (3, region))), "increase"),
        (lambda: Schedule(((1, region),)), "step 0"),
        (lambda: Schedule(()), "step 0"),
        (lambda: vlm.generate((encoded, Steering(HEADS, BIG))), "outside"),
        (lambda: vlm.generate((encoded, Steering(HEADS, SMALL))), "no image token"),
        (lambda: vlm.generate((encoded, [Steering(HEADS, region)] * 2)), "twice"),
        (lambda: vlm.generate(encoded, num_beams=2), "beam"),
        (lambda: vlm.generate(encoded, colour="red"), "colour"),
        (lambda: vlm.generate(encoded, max_new_tokens=0), "max_new_tokens"),
        (lambda: vlm.generate([]), "no rows"),
        (lambda: vlm.generate(encoded, watch="some"), "some"),
        (lambda: vlm.generate((encoded, Steering(
            HeadSet(((0, 0),), "theirs", "another"), region))), "another"),
    ]  # fmt: skip
    for call, text in cases:
        with pytest.raises(GazeheadsError, match=text):
            result = call()
            if hasattr(result, "__enter__"):
                with result:
                    pass
            pytest.fail(f"no error about {text}")


def test_steering_inputs_of_unknown_geometry_is_refused(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    inputs = dict(encoded.inputs)
    inputs["input_ids"] = inputs["input_ids"].clone()
    inputs["input_ids"][0, -1] += 1
    with (
        vlm.steer(HEADS, strip.panel(1)),
        pytest.raises(GazeheadsError, match="unknown geometry"),
    ):
        vlm.model.generate(**inputs, max_new_tokens=2)
    with pytest.raises(GazeheadsError, match="image="):
        vlm.steer(HEADS, strip.panel(1), inputs=inputs)


def test_assisted_decoding_is_refused(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    with vlm.steer(HEADS, strip.panel(1)), pytest.raises(GazeheadsError, match="assisted"):
        vlm.model.generate(
            **encoded.inputs, max_new_tokens=20, min_new_tokens=20, prompt_lookup_num_tokens=3,
            do_sample=False,
        )  # fmt: skip


def test_plans_check_themselves():
    target = Target(np.array([1]), np.array([2]))
    steer = Steer(0, HEADS.heads, lambda step: target)
    with pytest.raises(PlanError, match="twice"):
        AttentionPlan(1, 5, (steer, steer))
    with pytest.raises(PlanError, match="row 0 of a batch of 0"):
        AttentionPlan(0, 5, (steer,))
    with pytest.raises(PlanError, match="L3H1"):
        AttentionPlan(1, 5, (steer,)).check(3, 4)
    run = PlanRun(AttentionPlan(1, 5, (steer,)), object())
    with pytest.raises(PlanError, match="2"):
        run.begin(0, 5, 2)


def test_bias_helper_is_used_by_the_reference(vlm, reference, strip):
    """The reference itself changes with its bias: the comparisons above compare something."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    tokens = encoded.tokens
    plain = reference.logits(encoded, [], [])
    bias = Bias(list(HEADS), tokens.select(strip.panel(1)).tolist(), [], 50.0)
    assert not torch.allclose(plain, reference.logits(encoded, [], [bias]), atol=1e-3)


def test_rows_of_one_prompt_share_a_prefill(vlm, strip):
    """Forked rows give what each row gives alone, whatever layer it is steered from."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    everything = HeadSet.of([(n, h) for n in range(vlm.num_layers) for h in range(vlm.num_heads)])
    late = HeadSet.of([(3, 0), (3, 2)])
    rows = [
        (encoded, None),
        (encoded, Steering(late, strip.panel(1))),
        (encoded, Steering(everything, strip.panel(3))),
        (encoded, Steering(HeadSet.of([(2, 1)]), strip.panel(2), 4.0)),
        (encoded, Steering(HEADS, strip.panel(2), when="decode")),
        (encoded, [Steering(late, strip.panel(2)), Steering(HeadSet.of([(2, 0)]), strip.panel(1))]),
        (encoded, None),
    ]
    sizes = []
    blocks = decoder_blocks(vlm.model)
    handles = [
        block.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
        for block in blocks.values()
    ]
    together = vlm.generate(rows, max_new_tokens=STEPS, watch="all")
    for handle in handles:
        handle.remove()
    # layers 0 and 1 add vision features, so early rows are there from the start
    assert sizes[: vlm.num_layers] == [2, 2, 4, 5] and set(sizes[vlm.num_layers :]) == {len(rows)}
    for row, ours in zip(rows, together, strict=True):
        alone = vlm.generate(row, max_new_tokens=STEPS, watch="all")[0]
        assert ours.tokens == alone.tokens and ours.steered_to == alone.steered_to
        assert ours.trace.attention == pytest.approx(alone.trace.attention, abs=1e-5)
        assert ours.trace.norms == pytest.approx(alone.trace.norms, abs=1e-4)
