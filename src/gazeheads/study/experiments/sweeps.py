"""Sweeps: the question of `steer_vqa` again and again with one thing changed.

Strength, wording of the prompt, pool of the random heads, number of panels. (The sweep over the
number of heads is `steer_vqa` itself with several K.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores, Pool
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings, check_sizes
from gazeheads.study.experiments.steered_answers import (
    GAZE,
    RANDOM,
    Condition,
    ask_strip,
    conditions_summary,
)
from gazeheads.study.identity import model_mark, strips_mark, versions
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

DELTA, PROMPTS, POOLS, PANELS = "sweep-delta", "sweep-prompts", "sweep-pools", "sweep-panels"
NAMES = (DELTA, PROMPTS, POOLS, PANELS)
DELTAS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


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
    wordings = (prompts.VQA, *prompts.VQA_VARIANTS)
    return [Variant(words, replace(own, prompt=words), tuple(strips)) for words in wordings]


def over_pools(base: SteerVqaSettings, strips: Sequence[Strip]) -> list[Variant]:
    """Where random heads come from."""
    own = replace(base, conditions=(RANDOM,))
    return [Variant(pool, replace(own, pool=pool), tuple(strips)) for pool in get_args(Pool)]


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
        "model_mark": model_mark(vlm),
        "judge_settings": dict(judge.about),
        "variants": [_as_setting(v, conditions[v.name]) for v in variants],
    }
    with RunFolder.open(options, name, vlm.name, whole, versions()) as folder:

        def do(part: Sequence[tuple[Variant, int, Strip]]) -> list[dict[str, Any]]:
            ((variant, number, strip),) = part
            own, asked = conditions[variant.name], variant.settings.question
            size = options.batch_size
            record = ask_strip(vlm, strip, number, own, asked, judge, folder.path, size)
            return [{"variant": variant.name, **record}]

        units = [
            (f"{variant.name}: {strip.id}", (variant, number, strip))
            for variant in variants
            for number, strip in enumerate(variant.strips)
        ]
        folder.work(units, do, options.progress)
        folder.finish(results)
    return folder


def _as_setting(variant: Variant, conditions: Sequence[Condition]) -> dict[str, Any]:
    return {
        "name": variant.name,
        **asdict(variant.settings),
        "strips": len(variant.strips),
        "strips_mark": strips_mark(variant.strips),
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
