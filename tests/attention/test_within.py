"""Mode "within": mass moves inside the image only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gazeheads import GazeheadsError, HeadSet, Region, Steering
from gazeheads.attention.weights import within


@pytest.mark.parametrize("delta", [0.5, 3.0, 10_000.0, math.inf])
def test_text_keeps_its_weights_and_the_image_its_total(delta: float) -> None:
    scores = torch.randn(3, 7, 7, generator=torch.Generator().manual_seed(0))
    sign = torch.tensor([0, -1, 1, -1, 1, 0, 0])
    visible = torch.ones(7, 7, dtype=torch.bool).tril()
    plain = scores.masked_fill(~visible, -math.inf).softmax(-1)
    weights = within(scores, sign, delta, visible)
    image, target = sign != 0, sign == 1
    assert torch.equal(weights[..., ~image], plain[..., ~image])
    torch.testing.assert_close(weights[..., image].sum(-1), plain[..., image].sum(-1))
    assert torch.equal(weights[:, :2], plain[:, :2])  # no target in sight
    # odds inside the image shift by exp(2 delta), an independent way to the same weights
    factor = torch.where(target, 1.0, math.exp(-2 * delta)) * image
    shared = plain[:, 2:] * factor
    shared = shared / shared.sum(-1, keepdim=True) * plain[:, 2:, image].sum(-1, keepdim=True)
    torch.testing.assert_close(weights[:, 2:][..., image], shared[..., image])


@pytest.mark.parametrize("delta", [2.0, math.inf])
def test_through_a_model_the_image_keeps_its_mass(vlm, strip, delta: float) -> None:
    """Prefill, decode and a padded batch: text rows as plain, other heads as plain."""
    heads, others = HeadSet.of([(1, 0), (1, 3)]), HeadSet.of([(1, 1), (0, 2)])
    both = HeadSet.of([*heads, *others])
    encoded = vlm.encode(strip.image, "what happens in this panel?")
    longer = vlm.encode(strip.image, "what happens in this panel, and what happens in the next?")
    steering = Steering(heads, strip.panel(2), delta, "within")
    rows = [(encoded, None), (encoded, steering), (longer, steering)]
    plain, steered, padded = vlm.generate(rows, watch=both, max_new_tokens=1)
    alone = vlm.generate([(longer, steering)], watch=both, max_new_tokens=1)[0]
    target = encoded.tokens.indices(strip.panel(2))
    for i, head in enumerate(both):
        before, after = plain.trace.attention[0, i], steered.trace.attention[0, i]
        if head in others:
            assert after == pytest.approx(before, abs=1e-6)
            continue
        # layer 1 follows an unsteered layer 0: the same scores, shared out anew
        assert after.sum() == pytest.approx(before.sum(), abs=1e-5)
        factor = np.full(len(before), math.exp(-2 * delta))
        factor[target] = 1
        assert after == pytest.approx(
            before * factor / (before * factor).sum() * before.sum(), abs=1e-5
        )
    assert padded.trace.attention == pytest.approx(alone.trace.attention, abs=1e-5)


def test_steps_of_decoding_equal_one_pass_without_a_cache(vlm, strip) -> None:
    encoded = vlm.encode(strip.image, "what happens in this panel?")
    steering = Steering(HeadSet.of([(1, 0), (2, 2), (3, 1)]), strip.panel(2), 1.5, "within")
    cached = vlm.generate((encoded, steering), max_new_tokens=6)[0].tokens
    with vlm.steered(steering):
        whole = vlm.model.generate(
            **encoded.inputs, max_new_tokens=6, do_sample=False, use_cache=False
        )
    assert whole[0, len(encoded) :].tolist() == list(cached)


def test_strength_away_from_the_target_is_refused() -> None:
    with pytest.raises(GazeheadsError, match="not away"):
        Steering(HeadSet.of([(0, 0)]), Region.from_box(0, 0, 9, 9), -math.inf, "within")
