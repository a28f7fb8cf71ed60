"""A compiled decode step is not compiled again when heads, target or strength change."""

from __future__ import annotations

import pytest
import torch
from tiny_models import make_model
from torch._dynamo.utils import counters

from gazeheads import HeadSet, LiveSteering, wrap
from gazeheads.models.generate import Decoding, decode
from gazeheads.models.rows import prepare

HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
OTHERS = HeadSet.of([(0, 1), (2, 2)])


@pytest.fixture
def compiled(processor):
    torch._dynamo.reset()
    model = make_model(processor, 4, 2)
    vlm = wrap(model, processor, "tiny-random")
    for layer in model.model.language_model.layers:
        layer.compile(backend="eager", dynamic=True)
    yield vlm
    torch._dynamo.reset()


@pytest.mark.parametrize("kernel", ["second", "flex"])
def test_a_moving_target_compiles_nothing(compiled, strip, kernel):
    vlm = compiled
    vlm.state.kernel = kernel
    live = LiveSteering(HEADS, strip.panel(1), delta=3.0)
    rows = [(vlm.encode(strip.image, "what happens?"), live)]
    batch, plan = prepare(vlm, rows, None, "none")
    decoding = Decoding(max_new_tokens=14, ignore_eos=True)
    steps = decode(vlm.family, vlm.model, vlm.state, batch, plan, decoding, vlm.stops, vlm.pad)
    tokens = [next(steps)[0] for _ in range(5)]  # prefill, and steps until nothing is new
    before = _counted()
    assert before["stats"] > 0  # something was compiled at all
    moves = [
        lambda: live.set(region=strip.panel(2)),
        lambda: live.set(region=strip.regions[2]),
        lambda: live.set(delta=5.0),
        lambda: live.set(heads=OTHERS),
        lambda: live.set(delta=float("inf")),
    ]
    if kernel == "flex":
        moves.pop()  # the hard mode is another score function, compiled when it is first used
    for number, move in enumerate(moves):
        move()
        tokens.append(next(steps)[0])
        assert _counted() == before, number
    assert len(set(plan.steered_to(0, step) for step in range(len(tokens)))) == 3


def _counted() -> dict[str, int]:
    """Frames compiled and graphs broken so far."""
    return {
        "stats": counters["stats"]["unique_graphs"],
        "frames": counters["frames"]["total"],
        "breaks": sum(counters["graph_break"].values()),
    }
