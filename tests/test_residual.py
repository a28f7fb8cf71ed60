"""States are those of the plain model; directions act where and when they are told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gazeheads.residual import (
    Edit,
    ProbeError,
    adding,
    difference_of_means,
    edited,
    probe,
    tail_states,
)

if TYPE_CHECKING:
    from conftest import FakeStrip

    from gazeheads.models import VLM

QUESTIONS = ("What?", "What happens in the last panel of the strip?")


def test_states_and_logits_are_the_models_own(gqa: VLM, strip: FakeStrip) -> None:
    prompts = gqa.encode_many(strip.image, QUESTIONS)
    done = probe(gqa, prompts)
    for prompt, probed in zip(prompts, done, strict=True):
        with torch.no_grad():
            out = gqa.model(**prompt.inputs, output_hidden_states=True)
        np.testing.assert_allclose(probed.logits, out.logits[0, -1].numpy(), atol=1e-4)
        assert probed.states.shape == (4, 32)
        # the last entry of hidden_states is after the final norm, so layers are compared before it
        for layer in (2, 3 - 1):
            expected = out.hidden_states[layer + 1][0, -1].numpy()
            np.testing.assert_allclose(probed.states[layer], expected, atol=1e-4)


def test_a_direction_reaches_its_layer_and_those_above(gqa: VLM, strip: FakeStrip) -> None:
    prompts = gqa.encode_many(strip.image, QUESTIONS)
    additions = np.zeros((2, 4, 32))
    additions[1, 2] = 3.0
    plain, changed = probe(gqa, prompts), probe(gqa, prompts, additions)
    np.testing.assert_allclose(changed[0].states, plain[0].states, atol=1e-5)
    np.testing.assert_allclose(changed[1].states[:2], plain[1].states[:2], atol=1e-5)
    np.testing.assert_allclose(changed[1].states[2], plain[1].states[2] + 3, atol=1e-4)
    assert np.abs(changed[1].logits - plain[1].logits).max() > 1e-3


def test_edits_act_on_their_own_row_layer_and_token(gqa: VLM, strip: FakeStrip) -> None:
    prompts = gqa.encode_many(strip.image, QUESTIONS)  # of different lengths: one row is padded
    plain = np.stack([p.logits for p in probe(gqa, prompts)])
    states = tail_states(gqa, prompts, 3)
    assert [own.shape for own in states] == [(3, 4, 32)] * 2
    last = probe(gqa, prompts)[1].states
    np.testing.assert_allclose(states[1][-1], last, atol=1e-5)
    # a state in its own place changes nothing; another prompt's last state gives its answer
    own = edited(gqa, prompts, [None, Edit(1, states[1][0, 1], 2, replace=True)])
    np.testing.assert_allclose(own, plain, atol=1e-4)
    taken = edited(gqa, prompts, [Edit(3, states[1][-1, 3], 0, replace=True), None])
    np.testing.assert_allclose(taken, plain[[1, 1]], atol=1e-4)
    additions = np.zeros((2, 4, 32))
    additions[0, 2] = 3.0
    expected = np.stack([p.logits for p in probe(gqa, prompts, additions)])
    added = edited(gqa, prompts, [Edit(2, additions[0, 2]), None])
    np.testing.assert_allclose(added, expected, atol=1e-4)
    for wrong in (Edit(4, additions[0, 2]), Edit(0, additions[0, 2], 999), Edit(0, np.zeros(3))):
        with pytest.raises(ProbeError, match="no edit"):
            edited(gqa, prompts, [wrong, None])


def test_adding_changes_generation_and_leaves_nothing_behind(gqa: VLM, strip: FakeStrip) -> None:
    encoded = gqa.encode(strip.image, QUESTIONS[0])

    def text() -> tuple[int, ...]:
        return gqa.generate(encoded, max_new_tokens=6, ignore_eos=True)[0].tokens

    before = text()
    direction = 40 * np.random.default_rng(0).standard_normal((4, 32))
    with adding(gqa, direction, [3]):
        assert text() != before
    with adding(gqa, direction, []):
        assert text() == before
    assert text() == before


def test_what_does_not_fit_is_refused(gqa: VLM, strip: FakeStrip) -> None:
    prompts = gqa.encode_many(strip.image, QUESTIONS)
    with pytest.raises(ProbeError, match="4 layers x 32"):
        probe(gqa, prompts, np.zeros((2, 3, 32)))
    with pytest.raises(ProbeError, match="no layer 4"), adding(gqa, np.zeros((4, 32)), [4]):
        pass
    with pytest.raises(ProbeError, match="both kinds"):
        difference_of_means([], [np.zeros(2)])
    assert difference_of_means([np.ones(2), 3 * np.ones(2)], [np.ones(2)]).tolist() == [1, 1]
