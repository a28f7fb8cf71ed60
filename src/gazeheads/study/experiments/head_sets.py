"""Other ways of choosing heads under the same intervention: is it the gaze that matters?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores
from gazeheads.judges import Judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, NoOptions, register
from gazeheads.study.experiments import prior_heads, steer_vqa
from gazeheads.study.experiments.counting import GAZE, RANDOM
from gazeheads.study.experiments.question import SteerVqaSettings, check_sizes
from gazeheads.study.experiments.steered_answers import ANSWERS_AGAIN, AnswersRecord, Condition
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "head-sets"
SMALL = 10
"""The smaller of the two sizes at which the study compares the sets."""


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    others: Mapping[str, HeadScores],
    settings: SteerVqaSettings,
    options: RunOptions,
    judge: Judge | None = None,
) -> RunFolder:
    """Asks the question of `steer_vqa` with every set of heads.

    Args:
        vlm, strips, options, judge: as in `steer_vqa.run`.
        scores: gaze scores.
        others: rankings to compare with, by name.
        settings: of the question; the sets are compared at each of its `ks`.
    """
    check_sizes(settings.ks, len(scores))
    own = settings.conditions_of(scores)
    prior = [
        Condition(name, k, (ranking.top(k),))
        for k in settings.ks
        for name, ranking in others.items()
    ]
    conditions = [*own, *prior]
    return steer_vqa.ask_strips(vlm, strips, conditions, settings, options, HEAD_SETS, judge)


def sizes(k: int, heads: int) -> tuple[int, ...]:
    """The study's small size and the peak, in order."""
    return tuple(sorted({min(SMALL, heads), k}))


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: accuracies, and how many heads the sets share."""
    sets = folder.settings["head_sets"]
    return {
        **steer_vqa.results(folder),
        "overlaps": [overlaps(sets, int(k)) for k in folder.settings["ks"]],
    }


def overlaps(head_sets: Mapping[str, Sequence[Sequence[str]]], k: int) -> dict[str, Any]:
    """How many heads each pair of sets of size `k` shares, and all of them.

    Random heads are left out: their overlap with anything is chance.
    """
    own = {
        key.removesuffix(f"-{k}"): set(draws[0])
        for key, draws in head_sets.items()
        if key.endswith(f"-{k}") and key != f"{RANDOM}-{k}" and len(draws[0]) == k
    }
    names = [name for name in own if name != "all"]
    pairs = [
        {"sets": [a, b], "shared": len(own[a] & own[b])}
        for a, b in itertools.combinations(names, 2)
    ]
    shared = set.intersection(*(own[name] for name in names)) if names else set()
    return {"k": k, "pairs": pairs, "shared_by_all": len(shared), "reference": GAZE}


def _asked(context: ExperimentContext, options: NoOptions) -> list[RunFolder]:
    """Gaze heads against image heads, localization heads, random heads and all heads."""
    del options
    scored = prior_heads.scored(context)
    compared = run(
        context.vlm,
        context.strips,
        context.scores,
        prior_heads.load_rankings(scored),
        SteerVqaSettings(
            sizes(context.k, len(context.scores)), seed=context.seed, judge=context.judge.name
        ),
        context.announced("Steering heads chosen in other ways"),
        context.judge,
    )
    return [scored, compared]


HEAD_SETS = register(
    Experiment(
        EXPERIMENT,
        "Heads chosen in other ways under the same intervention",
        SteerVqaSettings,
        results,
        AnswersRecord,
        Command(
            "head-sets",
            "Gaze heads against image heads, localization heads, random heads and all heads.",
            _asked,
            place=40,
            full=(NoOptions(),),
            quick=(NoOptions(),),
        ),
        {"accuracy": published.SET_ACCURACY, "overlaps": published.OVERLAPS},
        rejudging=ANSWERS_AGAIN,
    )
)
