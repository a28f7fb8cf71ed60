"""A small model with its weights and without them, and what it runs counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.models import VLM, load
from gazeheads.models.blueprint import blueprint
from gazeheads.study.context import ExperimentContext
from gazeheads.study.experiments import discover
from gazeheads.study.planning.estimate import Estimator
from gazeheads.study.planning.loads import Scale
from gazeheads.study.planning.machines import CARDS
from gazeheads.study.planning.plan import scale_for
from gazeheads.study.runs import RunOptions

STRIPS, PANELS, K = 1, 3, 2


@dataclass
class Counted:
    """What ran through the layers of a model.

    Attributes:
        read: tokens of passes over several, as tokens through all layers.
        written: tokens of passes over one.
    """

    layers: int
    read: float = 0
    written: float = 0

    def __call__(self, module: Any, args: Any, output: Any) -> None:
        del module, args
        rows, tokens = (output[0] if isinstance(output, tuple) else output).shape[:2]
        if tokens > 1:
            self.read += rows * tokens / self.layers
        else:
            self.written += rows / self.layers


@pytest.fixture(scope="module")
def loaded(model: str) -> VLM:
    return load(model)


@pytest.fixture(scope="module")
def estimator(model: str) -> Estimator:
    return Estimator(blueprint(model), CARDS["h100"], 2)


@pytest.fixture(scope="module")
def context(loaded: VLM, tmp_path_factory: pytest.TempPathFactory) -> ExperimentContext:
    strips, tuning = (draw_strips(STRIPS, seed, PANELS, size=64) for seed in (5, 6))
    options = RunOptions(tmp_path_factory.mktemp("runs"))
    found = discover.for_others(loaded, tuning, discover.DiscoverSettings(), options)
    scores = discover.load_scores(found.path)
    return ExperimentContext(
        loaded, strips, tuning, scores, K, 0, STRIPS, options, lambda name: lambda done, all: None,
        discovery=found,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scale(context: ExperimentContext, estimator: Estimator) -> Scale:
    """The same, as a plan knows it."""
    return scale_for(
        estimator.model, context.strips[0], STRIPS, STRIPS, context.scores, K, 0, estimator, 64
    )


@pytest.fixture
def counted(loaded: VLM) -> Iterator[Counted]:
    from gazeheads.attention.install import decoder_blocks

    blocks = decoder_blocks(loaded.model)
    count = Counted(len(blocks))
    hooks = [block.register_forward_hook(count) for block in blocks.values()]
    yield count
    for hook in hooks:
        hook.remove()
