"""Other ways of choosing heads under the same intervention: is it the gaze that matters?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores
from gazeheads.judges import Judge
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.experiments.steered_answers import GAZE, RANDOM, Condition
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

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
    steer_vqa.check_sizes(settings.ks, len(scores))
    own = settings.conditions_of(scores)
    prior = [
        Condition(name, k, (ranking.top(k),))
        for k in settings.ks
        for name, ranking in others.items()
    ]
    conditions = [*own, *prior]
    return steer_vqa.ask_strips(
        vlm, strips, conditions, settings, options, EXPERIMENT, judge, results
    )


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
