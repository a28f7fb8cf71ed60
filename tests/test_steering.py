"""Steered generation against an eager reference written in the tests."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from eager_reference import STATE, Bias, bias_of, tokens_of

from gazeheads import GazeheadsError, HeadSet, LiveSteering, LiveTarget, Region, Schedule, Steering
from gazeheads.models.rows import prepare

PROMPTS = ["what happens in this panel?", "what is it?", "in the strip of this comic: what?"]
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 7
BIG, SMALL = Region.from_box(0, 0, 900, 9), Region.from_box(1, 1, 2, 2)


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
    batch, plan = prepare(vlm, [(encoded, steering)], None, "none")
    with torch.no_grad(), vlm.state.running(plan):
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


def test_decoded_schedules_give_every_region_the_same_number_of_steered_tokens(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    panels = [strip.panel(3), strip.panel(1)]
    steering = Steering(HEADS, Schedule.every_decoded(2, panels), when="decode")
    told = vlm.generate((encoded, steering), max_new_tokens=6, ignore_eos=True)[0]
    assert told.steered_to == (None, "panel 3", "panel 3", "panel 1", "panel 1", "panel 1")
    study = Steering.paper_dynamic(HEADS, panels).target
    assert [study.at(step) for step in (0, 1, 50, 51)] == [panels[0]] * 3 + [panels[1]]
    with pytest.raises(GazeheadsError, match="every 0"):
        Schedule.every_decoded(0, panels)


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


def test_the_strength_of_a_live_target_acts_from_the_next_token_on(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region, prompt = strip.panel(3), len(encoded)
    live = LiveTarget(region)
    pieces = vlm.stream(
        encoded, steering=Steering(HEADS, live), max_new_tokens=STEPS, ignore_eos=True
    )
    text = ""
    for step, piece in enumerate(pieces):
        text += piece.text
        if step == 1:
            live.move(region, 2.5)
        if step == 4:
            live.move(region, -4.0)
    biases = []
    for mode, delta, start, stop in (
        ("hard", math.inf, 0, prompt + 1), ("soft", 2.5, prompt + 1, prompt + 4),
        ("soft", -4.0, prompt + 4, 10**6),
    ):  # fmt: skip
        bias = bias_of(vlm, encoded, HEADS, region, mode, delta, "both")
        bias.first_query, bias.last_query = start, stop
        biases.append(bias)
    expected = vlm.tokenizer.decode(
        reference.generate(encoded, STEPS, biases, set()), skip_special_tokens=True
    )
    assert text and text == expected
    with pytest.raises(GazeheadsError, match="NaN"):
        live.move(region, math.nan)


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
            HeadSet(((0, 0),), "theirs", "another", None, "v1-0"), region))), "another"),
    ]  # fmt: skip
    for call, text in cases:
        with pytest.raises(GazeheadsError, match=text):
            result = call()
            if hasattr(result, "__enter__"):
                with result:
                    pass
            pytest.fail(f"no error about {text}")


def test_bias_helper_is_used_by_the_reference(vlm, reference, strip):
    """The reference itself changes with its bias: the comparisons above compare something."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    tokens = encoded.tokens
    plain = reference.logits(encoded, [], [])
    bias = Bias(list(HEADS), tokens.select(strip.panel(1)).tolist(), [], 50.0)
    assert not torch.allclose(plain, reference.logits(encoded, [], [bias]), atol=1e-3)


BOX = (0.0, 0.0, 32.0, 16.0)


@pytest.mark.parametrize("given", [BOX, list(BOX), np.array(BOX), Region.from_box(*BOX)])
def test_places_are_taken_as_boxes_and_arrays_wherever_a_region_is(given: Any) -> None:
    heads = HeadSet.of([(0, 0)])
    live = LiveSteering(heads, given)
    for region in (
        Steering(heads, given).region_at(0), Schedule.every(2, [given]).at(0), live.region,
    ):  # fmt: skip
        assert region is not None and region.boxes == (BOX,)
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 1] = True
    assert Steering(heads, mask).region_at(0).mask.sum() == 1


@pytest.mark.parametrize("given", [3, "left", object(), (1, 2, 3)])
def test_what_names_no_place_is_refused(given: Any) -> None:
    heads = HeadSet.of([(0, 0)])
    makers = (
        partial(Steering, heads), partial(LiveSteering, heads), lambda at: Schedule(((0, at),)),
    )  # fmt: skip
    for make in makers:
        with pytest.raises(GazeheadsError):
            make(given)


def test_a_moved_target_keeps_the_strength_it_began_with(strip: Any) -> None:
    """Unless another is named; and a later move without one goes back to it."""
    live = LiveSteering([(0, 1)], strip.panel(1), 3.0)
    live.move(strip.panel(2))
    assert live.value.delta == 3.0
    live.move(strip.panel(3), 5.0)
    assert live.value.delta == 5.0
    live.move(strip.panel(1))
    assert live.value.delta == 3.0
    hard = LiveSteering([(0, 1)], strip.panel(1))
    hard.move(strip.panel(2))
    assert hard.value.delta is None
