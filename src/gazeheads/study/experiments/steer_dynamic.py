"""Dynamic narration: the gaze moves to another panel every so many tokens of a text.

Only decode steps are steered, and the schedule counts them: the prefill's token comes before it, so
the first token of a segment is still written under the panel before, as by the study's released
code. The schedule is a random derangement of the panels, so reading in order is never right. The
judge sees the segments and never the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments import prior_heads
from gazeheads.study.experiments.controls import (
    DRAWS,
    Draws,
    DrawStrips,
    check_draws,
    control_heads,
)
from gazeheads.study.experiments.counting import GAZE, RANDOM
from gazeheads.study.experiments.question import LONG_TEXT_STRIPS
from gazeheads.study.experiments.scheduled import (
    SCHEDULED_AGAIN,
    ScheduledRecord,
    narration_record,
    sets_summary,
)
from gazeheads.study.identity import whole_settings
from gazeheads.study.pictures import keep_picture
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.rows import Generation
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "steer-dynamic"
STUDY_SEGMENT = 50
DIGITS = 4
"""Of attention shares in records."""
OTHER_SEGMENTS = {"comic-tiny": 10}
"""Models that tell a panel in fewer words than the study's need other segments."""


@dataclass(frozen=True)
class DynamicSettings:
    """Settings of `run`.

    Attributes:
        segment: decode steps between two switches, and tokens of a judged segment; the study's 50.
        prompt: asks for a narration.
        mode, delta: of the steering; the defaults are the study's.
        draw_strips: random heads of several draws are measured on so many of the first strips.
        seed: of the schedules.
        judge: name of the judge.
    """

    segment: int = STUDY_SEGMENT
    prompt: str = prompts.FREE_NARRATION
    mode: Literal["soft", "hard", "paper", "within"] = "paper"
    delta: float = 10_000.0
    draw_strips: int | None = LONG_TEXT_STRIPS
    seed: int = 0
    judge: str = "label"


def segment_for(model: str) -> int:
    """Tokens between two switches that suit a model: the study's, unless it is known to differ."""
    return OTHER_SEGMENTS.get(model, STUDY_SEGMENT)


def derangement(panels: int, rng: np.random.Generator) -> list[int]:
    """An order of the panels (from 1) in which none stands at its own place.

    Raises:
        GazeheadsError: there is none for fewer than two panels.
    """
    if panels < 2:
        raise GazeheadsError(f"a schedule needs strips of at least 2 panels, not {panels}")
    while True:
        order = rng.permutation(panels) + 1
        if (order != np.arange(1, panels + 1)).all():
            return [int(panel) for panel in order]


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    head_sets: Mapping[str, HeadSet | Sequence[HeadSet]],
    settings: DynamicSettings,
    options: RunOptions,
    judge: Judge | None = None,
) -> RunFolder:
    """Narrates every strip once per head set; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to narrate.
        head_sets: heads to steer, by name; "gaze" first. Several sets under one name are draws of
            a control, measured on the first strips.
        settings: see there.
        options: where to and how.
        judge: default: the label judge.
    """
    judge = chosen_judge(judge, settings.judge)
    if settings.segment < 1:
        raise GazeheadsError(f"a segment has at least 1 token, not {settings.segment}")
    check_draws(1, settings.draw_strips)
    sets = {
        name: (heads,) if isinstance(heads, HeadSet) else tuple(heads)
        for name, heads in head_sets.items()
    }
    whole = whole_settings(settings, vlm, strips, sets, judge)
    whole |= {"panels": len(strips[0]), **options.heads_from}

    def work(folder: RunFolder) -> list[Work[tuple[int, Strip]]]:
        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            order = derangement(len(strip), np.random.default_rng((settings.seed, number)))
            few = settings.draw_strips is not None and number >= settings.draw_strips
            asked = {n: draws for n, draws in sets.items() if len(draws) == 1 or not few}
            unsteered, told, attention = _narrate(
                vlm, strip, order, asked, settings, options.batch_size, watched=number == 0
            )
            judged = {
                name: [
                    narration_record(judge, strip, order, *parts, settings.segment)
                    for parts in several
                ]
                for name, several in told.items()
            }
            return [
                {
                    "strip": keep_picture(folder.path, strip),
                    "schedule": order,
                    "unsteered": unsteered,
                    "narrations": {n: own[0] for n, own in judged.items() if len(sets[n]) == 1},
                    "controls": {n: own for n, own in judged.items() if len(sets[n]) > 1},
                    "attention": attention,
                }
            ]

        return [Work([(strip.id, (i, strip)) for i, strip in enumerate(strips)], do)]

    return STEER_DYNAMIC.carry_out(vlm.name, whole, options, work)


def _narrate(
    vlm: VLM,
    strip: Strip,
    order: Sequence[int],
    sets: Mapping[str, Sequence[HeadSet]],
    settings: DynamicSettings,
    batch_size: int,
    watched: bool,
) -> tuple[str, dict[str, list[tuple[str, tuple[str, ...]]]], dict[str, list[list[float]]]]:
    """The unsteered text; text and pieces of every head set, and its attention, by name.

    If `watched`, the attention of the first set is recorded: its text is then written alone, so
    that nothing is kept of the other rows.
    """
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Schedule, Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(strip.image, settings.prompt)
    schedule = Schedule.every_decoded(settings.segment, [strip.panel(panel) for panel in order])
    rows: list[Any] = [(encoded, None)]
    for heads in (each for several in sets.values() for each in several):
        rows.append((encoded, Steering(heads, schedule, settings.delta, settings.mode, "decode")))
    length = settings.segment * len(order)
    first, (heads, *_) = next(iter(sets.items()))
    alone = vlm.generate([rows.pop(1)], watch=heads, max_new_tokens=length) if watched else []
    unsteered, *rest = halving(
        lambda part: vlm.generate(part, max_new_tokens=length), rows, batch_size
    )
    traces = [generation.trace for generation in alone if generation.trace is not None]
    shares = [trace.by_panel(strip, True).values.round(DIGITS).tolist() for trace in traces]
    attention = dict(zip([first], shares, strict=False))
    told = iter([(g.text, _pieces(vlm, g)) for g in (*alone, *rest)])
    texts = {name: [next(told) for _ in sets[name]] for name in sets}
    return unsteered.text, texts, attention


def _pieces(vlm: VLM, generation: Generation) -> tuple[str, ...]:
    from gazeheads.models.generate import pieces  # noqa: PLC0415 - loads torch

    return pieces(vlm.tokenizer, generation.tokens)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records = folder.ordered()
    sets = folder.settings["head_sets"]
    return {
        "chance": 1 / folder.settings["panels"],
        "sets": sets_summary({name: len(heads[0]) for name, heads in sets.items()}, records),
    }


@dataclass(frozen=True)
class DynamicOptions:
    """Options of the command."""

    segment: Annotated[
        int | None, Option("Tokens between switches; default: 50, comic-tiny: 10.", least=1)
    ] = None
    draws: Draws = DRAWS
    draw_strips: DrawStrips = None


def _moved(context: ExperimentContext, options: DynamicOptions) -> list[RunFolder]:
    """A gaze that moves while the text is written, for every way of choosing heads."""
    scored = prior_heads.scored(context)
    scores, k = context.scores, context.k
    sets: dict[str, HeadSet | tuple[HeadSet, ...]] = {GAZE: scores.top(k)}
    sets |= {name: own.top(k) for name, own in prior_heads.load_rankings(scored).items()}
    if drawn := control_heads(scores, k, options.draws, context.seed, "matched"):
        sets[RANDOM] = drawn
    segment = options.segment or segment_for(context.vlm.name)
    few = options.draw_strips or LONG_TEXT_STRIPS
    settings = DynamicSettings(
        segment, draw_strips=few, seed=context.seed, judge=context.judge.name
    )
    announced = context.announced("Moving the gaze while a text is written")
    moved = run(context.vlm, context.strips, sets, settings, announced, context.judge)
    return [scored, moved]


STEER_DYNAMIC = register(
    Experiment(
        EXPERIMENT,
        "A gaze that moves while the text is written",
        DynamicSettings,
        results,
        ScheduledRecord,
        Command(
            "steer-dynamic",
            "Move the gaze to another panel every so many tokens while a text is written.",
            _moved,
            DynamicOptions,
            place=50,
            full=(DynamicOptions(),),
            quick=(DynamicOptions(),),
        ),
        {"rho_schedule": published.RHO_DYNAMIC, "blind": published.BLIND},
        rejudging=SCHEDULED_AGAIN,
    )
)
