"""States are those of the plain model; directions act where and when they are told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from gazeheads.residual import ProbeError, adding, difference_of_means, probe

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
