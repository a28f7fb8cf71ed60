"""Other ways of choosing heads under the same intervention: is it the gaze that matters?"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.discovery.gaze import DiscoveryError
from gazeheads.discovery.overlap import overlap
from gazeheads.discovery.rankings import contrastive, without_highest_half
from gazeheads.discovery.text_heads import TEXT
from gazeheads.heads import Head, HeadScores, HeadSet
from gazeheads.judges import Judge
from gazeheads.study import published
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Command, Experiment, Option, Values, register
from gazeheads.study.experiments import causal_heads, prior_heads, steer_vqa, text_heads
from gazeheads.study.experiments.causal_heads import CausalHeadsSettings
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.experiments.discover import LIVING
from gazeheads.study.experiments.question import SteerVqaSettings, check_sizes
from gazeheads.study.experiments.steered_answers import (
    AnswersRecord,
    Condition,
    answers_again,
    conditions_again,
)
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.tournament import compared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "head-sets"
SMALL = 10
"""The smaller of the two sizes at which the study compares the sets."""
SHARES = (1 / 12, 1 / 8)
"""Sizes of the curves as shares of the living heads."""
DRAW_STRIPS = 2
"""Strips that the random heads are measured on: a band beside the curves, not the control."""
HALVED = "without highest half"


@dataclass(frozen=True)
class HeadSetsOptions:
    """Options of the command."""

    curve_strips: Annotated[
        int, Option("Strips that the rankings are compared on, at most.", least=1)
    ] = 10
    causal_strips: Annotated[
        int, Option("Strips that heads are scored on by their effect; 0: not at all.", least=0)
    ] = 6
    causal_pairs: Annotated[
        int, Option("Pairs of strip and panel that elimination decides by; 0: none.", least=0)
    ] = 18
    greedy_heads: Annotated[
        int, Option("Heads chosen one by one for their effect; slow; 0: none.", least=0)
    ] = 0


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
        for name, ranking in {**others, HALVED: without_highest_half(scores, k)}.items()
    ]
    conditions = [*own, *prior]
    living = None if scores.living is None else packed(scores.living, "u1")
    extra = {} if living is None else {LIVING: living}
    return steer_vqa.ask_strips(
        vlm, strips, conditions, settings, options, HEAD_SETS, judge, extra=extra
    )


def sizes(k: int, living: int, heads: int) -> tuple[int, ...]:
    """Sizes of the curves, as shares of the living heads; the study's small size and the peak."""
    shares = {max(1, round(share * living)) for share in SHARES}
    return tuple(sorted(shares | {min(SMALL, heads), k}))


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: accuracies, the tournament, and how many heads the sets share."""
    own = steer_vqa.results(folder)
    ks = [int(k) for k in folder.settings["ks"]]
    return {
        **own,
        "tournament": _tournament(own["conditions"], ks, folder.ordered()),
        "overlaps": [overlaps(folder.settings, k) for k in ks],
    }


def _tournament(
    conditions: Sequence[dict[str, Any]], ks: Sequence[int], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    names = dict.fromkeys(c["condition"] for c in conditions)
    return compared([name for name in names if name not in (RANDOM, ALL)], ks, records, GAZE)


def overlaps(settings: Mapping[str, Any], k: int) -> dict[str, Any]:
    """How many heads each pair of sets of size `k` shares, and all of them.

    Random heads are left out: their overlap with anything is chance.

    Args:
        settings: of the run: its sets, and where it is known which heads live.
        k: size of the sets.
    """
    own = {
        key.removesuffix(f"-{k}"): HeadSet.of(map(_head, draws[0]))
        for key, draws in settings["head_sets"].items()
        if key.endswith(f"-{k}") and key != f"{RANDOM}-{k}" and len(draws[0]) == k
    }
    names = [name for name in own if name != ALL]
    living = unpacked(settings, LIVING) > 0 if LIVING in settings else None
    pairs = [
        {"sets": [a, b], **_overlap(own[a], own[b], living)}
        for a, b in itertools.combinations(names, 2)
    ]
    shared = set.intersection(*(set(own[name]) for name in names)) if names else set()
    return {"k": k, "pairs": pairs, "shared_by_all": len(shared), "reference": GAZE}


def _head(name: str) -> Head:
    """From its name, such as "L3H1"."""
    layer, _, number = name.removeprefix("L").partition("H")
    return Head(int(layer), int(number))


def _overlap(a: HeadSet, b: HeadSet, living: np.ndarray | None) -> dict[str, Any]:
    if living is None:  # a run of 0.1
        return {"shared": len(set(a) & set(b))}
    return asdict(overlap(a, b, HeadScores(living.astype(float), living=living)))


def rankings(
    context: ExperimentContext, options: HeadSetsOptions
) -> tuple[list[RunFolder], dict[str, HeadScores]]:
    """The runs that score heads on tuning strips, and their rankings by name."""
    gaze = context.scores
    runs: list[RunFolder] = []
    found: dict[str, HeadScores] = {}
    if gaze.matrices is not None:
        found |= {
            "selectivity": gaze.selectivity(),
            "normalised selectivity": gaze.selectivity(normalise=True),
            "contrastive": contrastive(gaze),
        }
    if all(strip.captions and all(strip.captions) for strip in context.tuning):
        runs.append(text_heads.scored(context))
        found[TEXT] = text_heads.load_scores(runs[-1])
    runs.append(prior_heads.scored(context))
    found |= prior_heads.load_rankings(runs[-1])
    if options.causal_strips:
        strips = context.tuning[: options.causal_strips]
        settings = CausalHeadsSettings(
            greedy_heads=options.greedy_heads,
            pairs=options.causal_pairs,
            seed=context.seed,
        )
        try:
            runs.append(causal_heads.scored(context, strips, settings))
        except DiscoveryError as error:
            told = f"{error} (`gazeheads head-sets --causal-strips 0` goes without these rankings)"
            raise DiscoveryError(told) from error
        found |= causal_heads.load_rankings(runs[-1])
    return runs, found


def _asked(context: ExperimentContext, options: HeadSetsOptions) -> list[RunFolder]:
    """Every ranking of heads under the same intervention, on strips that none was found on."""
    runs, others = rankings(context, options)
    living = len(context.scores.living_ranking())
    compared_runs = run(
        context.vlm,
        context.strips[: options.curve_strips],
        context.scores,
        others,
        SteerVqaSettings(
            sizes(context.k, living, len(context.scores)),
            draw_strips=DRAW_STRIPS,
            seed=context.seed,
            judge=context.judge.name,
        ),
        context.announced("Steering heads chosen in other ways"),
        context.judge,
    )
    return [*runs, compared_runs]


def _results_again(before: Values, records: Sequence[Values]) -> Values:
    new = conditions_again(before, records)
    ks = [own["k"] for own in before["overlaps"]]
    return {**new, "tournament": _tournament(new["conditions"], ks, records)}


HEAD_SETS = register(
    Experiment(
        EXPERIMENT,
        "Heads chosen in other ways under the same intervention",
        SteerVqaSettings,
        results,
        AnswersRecord,
        Command(
            "head-sets",
            "Rankings of heads under the same intervention: gaze, causal, image and more.",
            _asked,
            HeadSetsOptions,
            place=40,
            full=(HeadSetsOptions(),),
            quick=(HeadSetsOptions(curve_strips=2, causal_strips=1, causal_pairs=2),),
        ),
        {"accuracy": published.SET_ACCURACY, "overlaps": published.OVERLAPS},
        rejudging=answers_again(_results_again),
    )
)
