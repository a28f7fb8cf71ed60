"""Mode "within": mass moves inside the image only."""

from __future__ import annotations

import math

import pytest
import torch

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
