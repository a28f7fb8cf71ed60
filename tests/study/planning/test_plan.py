"""A plan against what really runs: the same units and tokens, for every command there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.study.context import ExperimentContext
from gazeheads.study.experiment import commands
from gazeheads.study.experiments.coco import CocoOptions
from gazeheads.study.experiments.discover_layouts import LayoutOptions, StripLayout
from gazeheads.study.experiments.grounding import GroundingOptions
from gazeheads.study.experiments.head_sets import HeadSetsOptions
from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.experiments.reading_order import ReadingOptions
from gazeheads.study.experiments.staircase import StaircaseSettings
from gazeheads.study.experiments.steer_dynamic import segment_for
from gazeheads.study.experiments.sweeps import SweepOptions
from gazeheads.study.planning.estimate import Estimator, total
from gazeheads.study.planning.loads import Scale, forked, planned
from gazeheads.study.planning.machines import CARDS, Machine, machine_named
from gazeheads.study.planning.plan import plan, work_of
from gazeheads.study.runs import RunOptions

from .conftest import PANELS, STRIPS, Counted, K

SMALL: dict[str, Any] = {
    "coco": CocoOptions(each=2),
    "discover-layouts": LayoutOptions((StripLayout(6), StripLayout(4, 2)), each=1),
    "grounding": GroundingOptions(each=1, draws=1),
    "head-sets": HeadSetsOptions(curve_strips=1, causal_strips=1, causal_pairs=2, greedy_heads=1),
    "reading-order": ReadingOptions(
        orders=1, layouts=(Layout(3),), each=1, order_strips=1, patch_strips=1, max_new_tokens=9
    ),
    "sweeps": SweepOptions(["k", "delta", "pools", "panels"], draws=2, lengths=(2, 4), each=1),
}
"""Options that make a command short; others are short as they are."""


CLOSE = 0.2
"""Rows of different lengths in a batch are padded, which a plan leaves out."""


def of_command(name: str) -> Any:
    slow = name in ("grounding", "head-sets")
    return pytest.param(name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.filterwarnings("ignore::gazeheads.errors.GazeheadsWarning")
@pytest.mark.parametrize("name", [of_command(command.name) for command in commands()])
def test_the_units_and_tokens_of_a_plan_are_those_of_a_run(
    context: ExperimentContext,
    scale: Scale,
    estimator: Estimator,
    counted: Counted,
    tmp_path: Path,
    name: str,
) -> None:
    (command,) = (each for each in commands() if each.name == name)
    options = SMALL.get(name, command.options())
    work = work_of(command, scale, options)[1:]  # the discovery is done already
    own = replace(context, options=RunOptions(tmp_path))
    done = {run.experiment: len(run.records) for run in command.run(own, options)}
    assert {each.experiment: each.units for each in work} == done
    assert total(plan(estimator, work, True).costs).read == pytest.approx(counted.read, rel=CLOSE)
    if name == "staircase":  # a random model never ends, others narrate so many tokens per panel
        assert counted.written == STRIPS * (StaircaseSettings(K).max_new_tokens - 1)
        assert work[0].written == STRIPS * PANELS * segment_for(scale.model)
        return
    written = sum(
        load.rows * load.times * max(0, load.new - 1) for each in work for load in each.loads
    )
    assert written == pytest.approx(counted.written, rel=CLOSE)


def test_every_command_tells_what_it_takes() -> None:
    assert {command.name for command in commands()} == set(planned())


def quick_machine(**changed: float) -> Machine:
    return replace(CARDS["h100"], **changed)


def test_a_plan_is_slower_on_less_and_counts_the_caches(estimator: Estimator, scale: Scale) -> None:
    (command,) = (each for each in commands() if each.name == "steer-vqa")
    work = work_of(command, scale, command.options())
    found = total(plan(estimator, work, True).costs)
    for half in ("flops", "bandwidth"):
        weak = quick_machine(**{half: getattr(estimator.machine, half) / 1e6})
        slower = total(plan(Estimator(estimator.model, weak, 2), work, True).costs)
        assert slower.seconds > 2 * found.seconds and slower.flops == found.flops
    shape = estimator.shape
    # keys and values of every token of every row of the largest batch, and the weights
    rows = max(load.rows for each in work for load in each.loads)
    caches = rows * 2 * shape.layers * shape.kv_heads * shape.head_dim * 2
    assert found.memory > 2 * shape.parameters + 100 * caches


def test_a_processor_is_measured_and_a_card_is_known_by_its_data_sheet() -> None:
    own = machine_named("cpu", (64, 128), 1e6)
    assert own.measured and own.memory > 1 << 30 and 1e8 < own.flops < 1e14
    assert CARDS["h100"].memory == 80 << 30 and CARDS["h100"].flops < 989e12
    with pytest.raises(GazeheadsError, match="no card 'abacus': choose from cpu, b200, h200"):
        machine_named("abacus", (64, 128), 1e6)


def test_a_prompt_is_read_as_far_as_its_rows_share_it() -> None:
    low, high = (HeadSet.of([(layer, 0)]) for layer in (1, 3))
    assert forked([None, high, high], 4, 0) == pytest.approx((1 + 1 + 1 + 3) / 4)
    assert forked([high, low], 4, 2) == pytest.approx((2 + 2 + 2 + 2) / 4)
    assert forked([None], 4, 0) == 1
