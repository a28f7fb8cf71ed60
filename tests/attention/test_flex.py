"""Steering by FlexAttention equals the second path, and the eager reference of the tests."""

from __future__ import annotations

import math

import pytest
import torch
from eager_reference import bias_of

from gazeheads import GazeheadsError, HeadSet, Steering
from gazeheads.attention import flex
from gazeheads.models.rows import prepare

HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
OTHERS = HeadSet.of([(0, 1), (1, 1), (3, 3)])
MODES = [("hard", math.inf), ("soft", 2.5), ("soft", -3.0)]


@pytest.fixture(autouse=True)
def uncompiled():
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.fixture
def by_flex(vlm, monkeypatch):
    """The model with FlexAttention chosen, and how often it ran."""
    ran = []
    steered = flex.steered

    def counted(*given):
        ran.append(given)
        return steered(*given)

    monkeypatch.setattr(flex, "steered", counted)
    monkeypatch.setattr(vlm.state, "kernel", "flex")
    return ran


@pytest.mark.parametrize("when", ["both", "prefill", "decode"])
@pytest.mark.parametrize(("mode", "delta"), MODES)
def test_it_writes_what_the_eager_reference_writes(
    vlm, reference, strip, by_flex, mode, delta, when
):
    encoded = vlm.encode(strip.image, "what happens in this panel?")
    region = strip.panel(2)
    steering = Steering(HEADS, region, delta, mode, when)
    text = vlm.generate((encoded, steering), max_new_tokens=6)[0]
    bias = bias_of(vlm, encoded, HEADS, region, mode, delta, when)
    assert by_flex
    assert list(text.tokens) == reference.generate(encoded, 6, [bias], vlm.stops)


def test_it_equals_the_second_path_row_by_row(vlm, strip, by_flex):
    """Rows of their own length, target and mode, two steerings of one row, every query."""
    rows = [
        (vlm.encode(strip.image, "what?"), Steering(HEADS, strip.panel(1))),
        (vlm.encode(strip.image, "what happens here?"), Steering(HEADS, strip.panel(3), 2.0)),
        (
            vlm.encode(strip.image, "what is it?"),
            [Steering(HEADS, strip.panel(2)), Steering(OTHERS, strip.panel(1))],
        ),
        (vlm.encode(strip.image, "what is it?"), Steering(HEADS, strip.panel(2), 1.0, "within")),
        (vlm.encode(strip.image, "and?"), None),
    ]
    found = {}
    for kernel in ("second", "flex"):
        vlm.state.kernel = kernel
        batch, plan = prepare(vlm, rows, None, "none")
        with torch.no_grad(), vlm.state.running(plan, padded=True):
            logits = vlm.model(**batch.forward_inputs(vlm.family)).logits
        texts = vlm.generate(rows, max_new_tokens=6)
        found[kernel] = logits[batch.mask.bool()], [text.tokens for text in texts]
        assert bool(by_flex) == (kernel == "flex")
    torch.testing.assert_close(found["flex"][0], found["second"][0], atol=2e-5, rtol=1e-4)
    assert found["flex"][1] == found["second"][1]


def test_an_unknown_kernel_is_refused(vlm, strip, monkeypatch):
    monkeypatch.setattr(vlm.state, "kernel", "fast")
    with pytest.raises(GazeheadsError, match="unknown kernel 'fast': use second or flex"):
        vlm.generate((vlm.encode(strip.image, "what?"), Steering(HEADS, strip.panel(1))))
