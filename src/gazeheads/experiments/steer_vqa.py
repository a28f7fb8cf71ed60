"""Steering one question: the same prompt, the gaze pointed at each panel in turn.

With one K this is the study's main table; with several it is the sweep over K, which gives the
curve and its peak.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gazeheads import prompts
from gazeheads.errors import GazeheadsError
from gazeheads.experiments.identity import versions, whole_settings
from gazeheads.experiments.runs import Progress, RunFolder
from gazeheads.experiments.steered_answers import (
    ALL,
    GAZE,
    RANDOM,
    Question,
    ask_strip,
    conditions_of,
    summary_of,
    unsteered_summary,
)
from gazeheads.heads import HeadScores, Pool
from gazeheads.judging import Judge, chosen_judge
from gazeheads.strips.strip import Strip

if TYPE_CHECKING:
    from gazeheads.vlm import VLM

EXPERIMENT, SWEEP = "steer-vqa", "sweep-k"
SWEEP_SHARES = (0.0125, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5)
"""Default sizes of the sweep, as shares of all heads; the study's peak is at 0.087."""


@dataclass(frozen=True)
class SteerVqaSettings:
    """Settings of `run`.

    Attributes:
        ks: numbers of heads to steer.
        conditions: which of "gaze", "random" and "all".
        prompt, max_new_tokens: the question.
        mode, delta, when: of the steering; the defaults are the study's.
        pool, draws: of the random heads: where from, and how many sets the strips take in turn.
        seed: of the random heads.
        judge: name of the judge.
    """

    ks: tuple[int, ...]
    conditions: tuple[str, ...] = (GAZE, RANDOM, ALL)
    prompt: str = prompts.VQA
    max_new_tokens: int = 15
    mode: Literal["soft", "hard", "paper"] = "paper"
    delta: float = 10_000.0
    when: Literal["prefill", "decode", "both"] = "both"
    pool: Pool = "layers"
    draws: int = 5
    seed: int = 0
    judge: str = "label"


def default_ks(heads: int) -> tuple[int, ...]:
    """Sizes of a sweep that suit a model with so many heads."""
    return tuple(sorted({max(1, math.floor(share * heads)) for share in SWEEP_SHARES}))


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    settings: SteerVqaSettings,
    out: str | os.PathLike[str],
    *,
    experiment: str = EXPERIMENT,
    judge: Judge | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    batch_size: int = 64,
) -> RunFolder:
    """Asks about every strip under every condition; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to ask about; other strips than the heads were found on.
        scores: of the heads, best first.
        settings: see there.
        out: folder of all runs.
        experiment: name of the run folder, "steer-vqa" or "sweep-k".
        judge: default: the label judge.
        progress: called with (strips done, strips in all).
        fresh: start over.
        batch_size: rows generated at once.
    """
    judge = chosen_judge(judge, settings.judge)
    check_sizes(settings.ks, len(scores))
    own = conditions_of(
        scores, settings.ks, settings.conditions, settings.draws, settings.seed, settings.pool
    )
    question = Question(
        settings.prompt, settings.max_new_tokens, settings.mode, settings.delta, settings.when
    )
    heads = [each for condition in own for each in condition.draws]
    whole = whole_settings(settings, vlm, strips, heads)
    with RunFolder.open(out, experiment, vlm.name, whole, versions(), fresh) as folder:

        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            return [ask_strip(vlm, strip, number, own, question, judge, folder.path, batch_size)]

        units = [(strip.id, (i, strip)) for i, strip in enumerate(strips)]
        records = folder.work(units, do, progress)
        results = [summary_of(condition, records) for condition in own]
        folder.summarise(
            {
                "heads": len(scores),
                "chance": 1 / len(strips[0]),
                "conditions": results,
                "peak": peak_of(results),
                "unsteered": unsteered_summary(records),
            }
        )
    return folder


def check_sizes(ks: Sequence[int], heads: int) -> None:
    """Raises GazeheadsError unless every K is between 1 and the number of heads."""
    if not ks:
        raise GazeheadsError("no number of heads given: K must be at least 1")
    for k in ks:
        if not 1 <= k <= heads:
            raise GazeheadsError(f"K = {k} does not exist: the model has {heads} heads")


def peak_of(results: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The K with the best accuracy of the gaze heads; ties go to content, then to the smaller."""
    curve = [result for result in results if result["condition"] == GAZE]
    if not curve:
        return None

    def merit(result: dict[str, Any]) -> tuple[float, float, int]:
        return result["accuracy"]["value"], result["content"]["value"], -result["k"]

    best = max(curve, key=merit)
    return {"k": best["k"], "accuracy": best["accuracy"]["value"]}
