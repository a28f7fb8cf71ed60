"""Sweeps: the question of `steer_vqa` again and again with one thing changed.

Strength, wording of the prompt, pool of the random heads, number of panels. (The sweep over the
number of heads is `steer_vqa` itself with several K.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_args

from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores, Pool
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Values, Work, register
from gazeheads.study.experiments.controls import DRAWS, MATCHED, ControlPool, Draws, DrawStrips
from gazeheads.study.experiments.counting import GAZE, RANDOM, conditions_summary, counted
from gazeheads.study.experiments.question import SWEEP_STRIPS, SteerVqaSettings, check_sizes
from gazeheads.study.experiments.steer_vqa import SWEEP, sweep_k
from gazeheads.study.experiments.steered_answers import (
    AnswersRecord,
    Condition,
    answers_again,
    ask_strip,
)
from gazeheads.study.identity import model_fingerprint, strips_fingerprint
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

DELTA, PROMPTS, POOLS, PANELS = "sweep-delta", "sweep-prompts", "sweep-pools", "sweep-panels"
NAMES = (DELTA, PROMPTS, POOLS, PANELS)
LENGTHS = tuple(range(2, 9))
"""Panels of the strips in the sweep over panels."""
LENGTH_SEED = 10_007
"""Distance of the seeds of strips of different lengths."""
WORDINGS = (prompts.VQA, *prompts.VQA_VARIANTS)
DELTAS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


class SweepRecord(AnswersRecord):
    """The same under one variant."""

    variant: str


@dataclass(frozen=True)
class SweepSettings:
    """What a sweep keeps among its settings.

    Attributes:
        seed: of the random heads.
        variants: by variant everything its records depend on, as JSON values.
    """

    seed: int
    variants: list[dict[str, Any]]


@dataclass(frozen=True)
class Variant:
    """One setting of the thing that is changed.

    Attributes:
        name: in records and reports.
        settings: of the question.
        strips: to ask about.
    """

    name: str
    settings: SteerVqaSettings
    strips: tuple[Strip, ...]


def over_delta(base: SteerVqaSettings, strips: Sequence[Strip]) -> list[Variant]:
    """Strengths from 1 to the study's 10,000."""
    own = replace(base, conditions=(GAZE,))
    return [Variant(f"{d:,.0f}", replace(own, delta=d), tuple(strips)) for d in DELTAS]


def over_prompts(base: SteerVqaSettings, strips: Sequence[Strip]) -> list[Variant]:
    """The study's wordings of the question, the default first."""
    own = replace(base, conditions=(GAZE,))
    return [Variant(words, replace(own, prompt=words), tuple(strips)) for words in WORDINGS]


def over_pools(base: SteerVqaSettings, strips: Sequence[Strip]) -> list[Variant]:
    """Where random heads come from, the gaze heads beside them."""
    own = replace(base, conditions=(GAZE, RANDOM))
    pools: tuple[ControlPool, ...] = (MATCHED, *get_args(Pool))
    return [Variant(pool, replace(own, pool=pool), tuple(strips)) for pool in pools]


def over_panels(base: SteerVqaSettings, strips: Sequence[Strip]) -> list[Variant]:
    """Strips of each length on their own; the heads stay those found on one length."""
    own = replace(base, conditions=(GAZE, RANDOM))
    lengths = sorted({len(strip) for strip in strips})
    return [
        Variant(f"{n} panels", own, tuple(strip for strip in strips if len(strip) == n))
        for n in lengths
    ]


VARIANTS = {DELTA: over_delta, PROMPTS: over_prompts, POOLS: over_pools, PANELS: over_panels}
"""Experiment -> its variants, from the settings of the question and the strips."""


def run(
    name: str,
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    base: SteerVqaSettings,
    options: RunOptions,
    judge: Judge | None = None,
) -> RunFolder:
    """Runs one sweep; goes on where an earlier run stopped.

    Args:
        name: of the sweep, one of `NAMES`.
        vlm: the model.
        strips: to ask about; for the sweep over panels of several lengths.
        scores: of the heads.
        base: settings of the question that all variants share.
        options: where to and how.
        judge: default: the label judge.
    """
    judge = chosen_judge(judge, base.judge)
    check_sizes(base.ks, len(scores))
    variants = VARIANTS[name](base, strips)
    conditions = {v.name: v.settings.conditions_of(scores) for v in variants}
    whole = {
        "seed": base.seed,
        "model_mark": model_fingerprint(vlm),
        "judge_settings": dict(judge.about),
        "variants": [_as_setting(v, conditions[v.name]) for v in variants],
        **options.heads_from,
    }

    def work(folder: RunFolder) -> list[Work[tuple[Variant, int, Strip]]]:
        def do(part: Sequence[tuple[Variant, int, Strip]]) -> list[dict[str, Any]]:
            ((variant, number, strip),) = part
            own, asked = conditions[variant.name], variant.settings.question
            size, few = options.batch_size, variant.settings.draw_strips
            record = ask_strip(vlm, strip, number, own, asked, judge, folder.path, size, few)
            return [{"variant": variant.name, **record}]

        units = [
            (f"{variant.name}: {strip.id}", (variant, number, strip))
            for variant in variants
            for number, strip in enumerate(variant.strips)
        ]
        return [Work(units, do)]

    return SWEEPS[name].carry_out(vlm.name, whole, options, work)


def _as_setting(variant: Variant, conditions: Sequence[Condition]) -> dict[str, Any]:
    return {
        "name": variant.name,
        **asdict(variant.settings),
        "strips": len(variant.strips),
        "strips_mark": strips_fingerprint(variant.strips),
        "panels": len(variant.strips[0]),
        "head_sets": {
            c.key: [[str(head) for head in heads] for heads in c.draws] for c in conditions
        },
    }


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records = folder.ordered()
    return {
        "variants": [
            {
                "name": variant["name"],
                "chance": 1 / variant["panels"],
                "conditions": conditions_summary(
                    variant["head_sets"],
                    [record for record in records if record["variant"] == variant["name"]],
                ),
            }
            for variant in folder.settings["variants"]
        ]
    }


def strips_of_lengths(each: int, seed: int, lengths: Sequence[int] = LENGTHS) -> list[Strip]:
    """Drawn strips of every length."""
    return [s for n in lengths for s in draw_strips(each, seed + n * LENGTH_SEED, n)]


@dataclass(frozen=True)
class SweepOptions:
    """Which sweeps, and what `reproduce` does of the one over panels."""

    names: Annotated[
        list[str] | None, Option("k, delta, prompts, pools, panels; default: all.", argument=True)
    ] = None
    draws: Draws = DRAWS
    draw_strips: DrawStrips = None
    lengths: tuple[int, ...] = LENGTHS
    each: int | None = None

    def __post_init__(self) -> None:
        for name in self.names or ():
            if f"sweep-{name}" not in (SWEEP, *NAMES):
                known = ", ".join(each.removeprefix("sweep-") for each in (SWEEP, *NAMES))
                raise GazeheadsError(f"no sweep {name!r}: choose from {known}")

    @property
    def chosen(self) -> list[str]:
        """The experiments asked for."""
        return [f"sweep-{name}" for name in self.names] if self.names else [SWEEP, *NAMES]


def _swept(context: ExperimentContext, options: SweepOptions) -> list[RunFolder]:
    return [
        sweep_k(context, draws=options.draws, draw_strips=options.draw_strips)
        if name == SWEEP
        else _sweep(context, name, options)
        for name in options.chosen
    ]


def _sweep(context: ExperimentContext, name: str, options: SweepOptions) -> RunFolder:
    """One of the sweeps; that over panels draws strips of several lengths."""
    strips = context.strips
    if name == PANELS:
        strips = strips_of_lengths(options.each or context.limit, context.seed, options.lengths)
    few = SWEEP_STRIPS if options.draw_strips is None else options.draw_strips
    settings = SteerVqaSettings(
        (context.k,),
        draws=options.draws,
        draw_strips=few,
        seed=context.seed,
        judge=context.judge.name,
    )
    announced = context.announced(f"Sweep over {name.removeprefix('sweep-')}")
    return run(name, context.vlm, strips, context.scores, settings, announced, context.judge)


def _results_again(before: Values, records: Sequence[Values]) -> Values:
    variants = []
    for variant in before["variants"]:
        own = [record for record in records if record["variant"] == variant["name"]]
        conditions = [{**c, **counted(c["key"], own)} for c in variant["conditions"]]
        variants.append({**variant, "conditions": conditions})
    return {"variants": variants}


_AGAIN = answers_again(
    _results_again,
    strip_of=lambda record: record["unit"].removeprefix(f"{record['variant']}: "),
)
_OTHERS = [name.removeprefix("sweep-") for name in NAMES]
_COMMAND = Command(
    "sweeps",
    "The question with one thing changed: heads, strength, wording, controls, panels.",
    _swept,
    SweepOptions,
    place=30,
    full=(SweepOptions(_OTHERS, each=6),),
    quick=(SweepOptions(_OTHERS, lengths=(3, 6), each=2),),
)
_THEIRS = {**published.SWEEPS, PROMPTS: dict(zip(WORDINGS, published.PROMPT_ACCURACY, strict=True))}


def _registered(name: str, title: str) -> Experiment:
    theirs = {"accuracy": _THEIRS.get(name, {})}
    return register(
        Experiment(
            name, title, SweepSettings, results, SweepRecord, _COMMAND, theirs, rejudging=_AGAIN
        )
    )


SWEEPS = {
    DELTA: _registered(DELTA, "The question by strength"),
    PROMPTS: _registered(PROMPTS, "The question in other words"),
    POOLS: _registered(POOLS, "Random heads from other pools"),
    PANELS: _registered(PANELS, "Strips of other lengths"),
}
