"""The plan of a command, or of everything, before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores
from gazeheads.study.experiment import Command, commands
from gazeheads.study.experiments.question import SteerVqaSettings
from gazeheads.study.experiments.steer_dynamic import segment_for
from gazeheads.study.experiments.steered_answers import number_of_heads
from gazeheads.study.planning.estimate import Cost, Estimator
from gazeheads.study.planning.loads import Scale, Workload, planned
from gazeheads.study.planning.machines import Machine
from gazeheads.study.planning.work.answers import one_question, sweep_k
from gazeheads.study.planning.work.ranking import discovery

if TYPE_CHECKING:
    from gazeheads.data.strip import Strip
    from gazeheads.models.blueprint import Blueprint, Shape

LOW, HIGH = 0.55, 0.8
"""Of a model's depth, where the study found its gaze heads: taken where heads are not known."""


@dataclass(frozen=True)
class Plan:
    """What will be done and what it takes.

    Attributes:
        model, machine: what is run, and on what.
        shape: of the model.
        costs: by experiment, in their order.
        assumed: in words, what was not known.
    """

    model: str
    machine: Machine
    shape: Shape
    costs: tuple[Cost, ...]
    assumed: tuple[str, ...]


def stand_in(shape: Shape, attention_layers: Iterable[int], panels: int, seed: int) -> HeadScores:
    """Scores of a model whose heads nobody has scored: the best lie where the study's do."""
    size = (shape.layers, shape.heads)
    scores = np.random.default_rng(seed).random(size)
    first, last = band(shape)
    scores[first : last + 1] += 1
    living = np.zeros(size, dtype=bool)
    living[list(attention_layers)] = True
    return HeadScores(scores, np.zeros((*size, panels, panels)), "stand-in", {}, living)


def band(shape: Shape) -> tuple[int, int]:
    """The first and the last layer that the best heads are taken to lie in."""
    first = round(LOW * shape.layers)
    return min(first, shape.layers - 1), max(first, round(HIGH * shape.layers) - 1)


def scale_for(
    model: Blueprint,
    strip: Strip,
    strips: int,
    limit: int,
    scores: HeadScores | None,
    k: int | None,
    seed: int,
    estimator: Estimator,
    batch_size: int,
) -> Scale:
    """How large the experiments on a model will be.

    Args:
        model: without its weights.
        strip: one like those measured on.
        strips: how many of them.
        limit: what experiments draw themselves, of each kind.
        scores: of the heads; None: a stand-in.
        k: heads to steer; None: as the scores recommend.
        seed: of every random choice.
        estimator: measures prompts.
        batch_size: rows at once.

    Raises:
        GazeheadsError: the scores are of another shape, or so many heads do not exist.
    """
    shape = model.shape
    known = scores or stand_in(shape, model.attention_layers, len(strip), seed)
    if known.shape != (shape.layers, shape.heads):
        raise GazeheadsError(
            f"the scores are of {known.shape[0]} layers x {known.shape[1]} heads, {model.name} has "
            f"{shape.layers} x {shape.heads}"
        )
    steered = number_of_heads(known)[0] if k is None else k
    if not 1 <= steered <= len(known):
        raise GazeheadsError(f"K = {k} does not exist: {model.name} has {len(known)} heads")
    deep = getattr(model.config.vision_config, "deepstack_visual_indexes", None) or ()
    return Scale(
        model.name, strip, strips, limit, known, estimator.encode,
        estimator.tokens_of, steered, seed, batch_size, len(deep),
        k is not None,
    )  # fmt: skip


def work_of(command: Command, scale: Scale, options: Any) -> list[Workload]:
    """What a command will do, the discovery it builds on first.

    Raises:
        GazeheadsError: nothing tells it.
    """
    known = planned()
    if command.name not in known:
        raise GazeheadsError(
            f"nothing tells what {command.name} takes: run it with a small --limit and see"
        )
    return [discovery(scale), *known[command.name](scale, options)]


def work_of_all(scale: Scale, quick: bool) -> list[Workload]:
    """What `reproduce` will do; of what several experiments build on, once.

    Args:
        scale: see there.
        quick: little of everything.
    """
    settings = SteerVqaSettings((scale.k,), seed=scale.seed)
    work = [
        discovery(scale),
        *([] if scale.k_asked else [sweep_k(scale)]),
        one_question(scale, settings),
    ]
    for command in commands():
        for options in command.quick if quick else command.full:
            work += work_of(command, scale, options)
    once: dict[str, Workload] = {}
    for each in work:
        once.setdefault(each.experiment, each)
    return list(once.values())


def plan(estimator: Estimator, work: Iterable[Workload], found: bool) -> Plan:
    """The costs of work, and what they rest on.

    Args:
        estimator: of a model on a machine.
        work: see `work_of`.
        found: whether the heads are known.
    """
    model, machine = estimator.model, estimator.machine
    costs = tuple(estimator.cost(each) for each in work)
    return Plan(model.name, machine, model.shape, costs, tuple(assumptions(estimator, found)))


def assumptions(estimator: Estimator, found: bool) -> list[str]:
    """What a plan rests on, in words."""
    machine, shape = estimator.machine, estimator.shape
    told = [
        f"texts are as long as they may become, but no longer than "
        f"{segment_for(estimator.model.name)} tokens per panel; nothing is done already"
    ]
    if not found:
        told.append(
            f"the heads are unknown (--heads): all {shape.heads * shape.attention_layers} live, "
            f"and the best lie in layers {band(shape)[0]} to {band(shape)[1]}"
        )
    if machine.measured:
        told.append(
            f"this processor now: {machine.flops / 1e9:,.0f} GFLOP/s on prompts, "
            f"{machine.bandwidth / 1e9:,.1f} GB/s on weights, "
            f"{machine.operation * 1e6:.1f} us per small operation"
        )
    else:
        told.append(
            f"{machine.name} by its data sheet, {machine.flops / 1e12:,.0f} TFLOP/s of its peak "
            f"and {machine.bandwidth / 1e12:,.2f} TB/s of its bandwidth reached, "
            f"{machine.operation * 1e6:.0f} us per kernel: not measured"
        )
    told.append("judging by a service, loading the model and drawing the report are not counted")
    return told
