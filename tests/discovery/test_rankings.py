"""Rankings by effect, by contrast and in text; overlaps against their null."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from gazeheads.discovery.attribution import Contest, advantage, gradient
from gazeheads.discovery.elimination import EXACT, backward_order, elimination
from gazeheads.discovery.gaze import DiscoveryError
from gazeheads.discovery.greedy import forward_selection
from gazeheads.discovery.overlap import overlap
from gazeheads.discovery.rankings import contrastive, without_highest_half
from gazeheads.discovery.text_heads import encoded_lines, lines_of, text_matrices
from gazeheads.heads import Head, HeadScores, HeadSet
from gazeheads.models.forced import ForcedAnswer, log_probabilities
from gazeheads.steering import Steering

LINES = ["1. A dog runs.", "2. A cat sleeps", "3. A dog runs."]


def contest(vlm, strip, steered=True) -> Contest:  # type: ignore[no-untyped-def]
    encoded = vlm.encode(strip.image, "What happens?")
    heads = HeadSet.of(itertools.product(range(vlm.num_layers), range(vlm.num_heads)))
    steering = Steering(heads, strip.regions[1], mode="paper") if steered else None
    said = [vlm.tokenizer(text)["input_ids"] for text in ("A dog runs", "A cat")]
    return Contest(*(ForcedAnswer(encoded, tuple(ids), steering) for ids in said))


def test_attribution_is_the_slope_that_finite_differences_find(vlm, strip) -> None:  # type: ignore[no-untyped-def]
    own = contest(vlm, strip)
    shape = (vlm.num_layers, vlm.num_heads)
    at = np.full(shape, 0.3)
    found = gradient(vlm, own, at)
    assert np.abs(found).max() > 0
    step = 0.02
    for head in [(0, 0), (1, 3), (3, 2)]:
        up, down = at.copy(), at.copy()
        up[head] += step
        down[head] -= step
        ends = [
            float(advantage(vlm, own, torch.tensor(each, dtype=torch.float32)))
            for each in (up, down)
        ]
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert found[head] == pytest.approx(numeric, rel=0.02, abs=2e-3 * np.abs(found).max())


def test_a_gate_of_one_is_full_steering_and_of_zero_the_plain_model(vlm, strip) -> None:  # type: ignore[no-untyped-def]
    steered, plain = contest(vlm, strip).rows, contest(vlm, strip, steered=False).rows
    shape = (vlm.num_layers, vlm.num_heads)
    full = log_probabilities(vlm, steered)
    assert torch.equal(log_probabilities(vlm, steered, torch.ones(shape)), full)
    unsteered = log_probabilities(vlm, plain)
    assert torch.equal(log_probabilities(vlm, steered, torch.zeros(shape)), unsteered)
    assert not torch.equal(full, unsteered)


def test_given_answers_have_the_probabilities_of_single_passes(vlm, strip) -> None:  # type: ignore[no-untyped-def]
    rows = contest(vlm, strip, steered=False).rows
    both = log_probabilities(vlm, rows)
    alone = torch.cat([log_probabilities(vlm, [row]) for row in rows])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4)


def test_forward_selection_finds_planted_heads_that_only_work_together() -> None:
    planted = [Head(1, 2), Head(0, 1)]
    heads = [Head(layer, head) for layer in range(3) for head in range(4)]

    def value(chosen):  # type: ignore[no-untyped-def]
        first, second = (head in chosen for head in planted)
        return first + 10 * (first and second) - 0.5 * (second and not first)

    found = forward_selection(lambda chosen: [h for h in heads if h not in chosen], value, 2)
    assert found == planted
    assert len(forward_selection(lambda c: [h for h in heads if h not in c], value, 50)) == 12


def test_elimination_keeps_heads_that_only_work_together() -> None:
    planted = {Head(1, 2), Head(0, 1), Head(4, 4)}
    heads = [Head(layer, head) for layer in range(5) for head in range(5)]
    assert len(heads) > EXACT

    def value(left):  # type: ignore[no-untyped-def]
        return float(len(planted & set(left)) == 3) + 0.1 * len(planted & set(left))

    def slopes(left):  # type: ignore[no-untyped-def]
        table = np.zeros((5, 5))
        for number, head in enumerate(sorted(left)):
            # the slope misjudges one planted head among the last few
            table[head] = 1.0 if head in planted - {Head(4, 4)} else 0.01 * number
        return table

    order = backward_order(heads, slopes, lambda sets: [value(own) for own in sets], 5)
    assert set(order[:3]) == planted
    assert sorted(order) == heads


def test_elimination_ranks_every_living_head_before_the_dead(vlm, strip) -> None:  # type: ignore[no-untyped-def]
    living = np.zeros((vlm.num_layers, vlm.num_heads), dtype=bool)
    living[1:3, :3] = True
    after = HeadScores(np.zeros(living.shape), living=living)
    one = contest(vlm, strip)
    found = elimination(vlm, [one], after)
    assert set(found.ranking()[:6]) == {Head(*map(int, at)) for at in np.argwhere(living)}
    assert found.name == "elimination" and len(set(found.scores.flat)) == living.size

    def value(heads):  # type: ignore[no-untyped-def]
        gate = torch.zeros(living.shape)
        for head in heads:
            gate[head] = 1.0
        return float(log_probabilities(vlm, [one.target], gate)[0])

    # the first to go was the one least missed of the five with the smallest slopes
    top = found.ranking()[:6]
    without = [value([head for head in top if head != left_out]) for left_out in top]
    assert without[-1] >= sorted(without)[-2] - 1e-5


def test_contrast_ignores_a_head_that_looks_at_one_panel_whatever_is_asked() -> None:
    matrices = np.zeros((1, 2, 3, 3))
    matrices[0, 0] = 0.2 * np.eye(3)
    matrices[0, 1, :, 1] = 0.9
    own = HeadScores(np.trace(matrices, axis1=2, axis2=3) / 3, matrices)
    assert own.ranking()[0] == Head(0, 1)
    found = contrastive(own)
    assert found.scores[0] == pytest.approx([0.2, 0.0]) and found.name == "contrastive"


def test_without_its_highest_half_a_ranking_begins_at_its_second_half() -> None:
    own = HeadScores(np.arange(12.0).reshape(3, 4))
    found = without_highest_half(own, 3)
    assert found.ranking()[:3] == own.ranking()[3:6]
    assert found.ranking()[-3:] == own.ranking()[:3]


def test_the_null_of_an_overlap_is_what_draws_with_the_same_layers_give() -> None:
    living = np.ones((3, 6), dtype=bool)
    living[0, 4:] = False
    scores = HeadScores(np.zeros((3, 6)), living=living)
    a = HeadSet.of([(0, 0), (0, 1), (1, 0), (1, 1), (2, 5)])
    b = HeadSet.of([(0, 0), (0, 3), (1, 0), (1, 1), (1, 2)])
    found = overlap(a, b, scores)
    rng = np.random.default_rng(0)
    drawn = [
        len({0, 1} & set(rng.permutation(4)[:2])) + len({0, 1} & set(rng.permutation(6)[:3]))
        for _ in range(20_000)
    ]
    assert found.shared == 3
    assert found.expected == pytest.approx(2 * 2 / 4 + 2 * 3 / 6)
    assert found.p == pytest.approx(np.mean(np.array(drawn) >= 3), abs=0.01)


def test_every_line_of_text_has_its_own_tokens_and_no_others(vlm) -> None:  # type: ignore[no-untyped-def]
    ids, spans = encoded_lines(vlm, LINES, "Which?")
    for line, span in zip(LINES, spans, strict=True):
        told = vlm.tokenizer.decode([ids[i] for i in span])
        assert told.replace(" ", "").strip() == line.replace(" ", "")
    assert len(np.unique(np.concatenate(spans))) == sum(map(len, spans))


def test_mass_on_lines_is_that_of_an_eager_model(vlm) -> None:  # type: ignore[no-untyped-def]
    from gazeheads.prompts import discovery

    found = text_matrices(vlm, LINES)
    before = vlm.text_config._attn_implementation
    for k in range(1, 4):
        ids, spans = encoded_lines(vlm, LINES, discovery(k, 3))
        vlm.model.set_attn_implementation({"text_config": "eager"})
        try:
            with torch.no_grad():
                out = vlm.model(input_ids=torch.tensor([ids]), output_attentions=True)
        finally:
            vlm.model.set_attn_implementation({"text_config": before})
        last = np.stack([layer[0, :, -1].numpy() for layer in out.attentions])
        expected = np.stack([last[..., span].sum(-1) for span in spans], -1)
        np.testing.assert_allclose(found[:, :, k - 1], expected, atol=1e-5)


def test_a_strip_without_captions_is_refused_in_a_line() -> None:
    from gazeheads.data.drawn.strips import draw_strips

    (drawn,) = draw_strips(1, 3, 2, size=32)
    assert [line[:3] for line in lines_of(drawn)] == ["1. ", "2. "]
    with pytest.raises(DiscoveryError, match="captions"):
        lines_of(replace(drawn, captions=None))
