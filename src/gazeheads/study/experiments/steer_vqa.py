"""Steering one question: the same prompt, the gaze pointed at each panel in turn.

With one K this is the study's main table; with several it is the sweep over K, which gives the
curve and its peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores, Pool
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study.experiments.steered_answers import (
    ALL,
    GAZE,
    RANDOM,
    Condition,
    Question,
    ask_strip,
    conditions_of,
    conditions_summary,
    unsteered_summary,
)
from gazeheads.study.identity import versions, whole_settings
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

EXPERIMENT, SWEEP, NARRATION = "steer-vqa", "sweep-k", "steer-narration"
SWEEP_SHARES = (0.0125, 0.025, 0.05, 0.075, 0.1, 0.12, 0.15, 0.25, 0.5)
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

    @property
    def question(self) -> Question:
        """What is asked, and how the heads are steered meanwhile."""
        return Question(self.prompt, self.max_new_tokens, self.mode, self.delta, self.when)

    def conditions_of(self, scores: HeadScores) -> list[Condition]:
        """The heads to steer."""
        return conditions_of(scores, self.ks, self.conditions, self.draws, self.seed, self.pool)


def narration(ks: tuple[int, ...], seed: int = 0) -> SteerVqaSettings:
    """Settings of the static narration: "this panel" without saying which, a hundred tokens."""
    return SteerVqaSettings(ks, prompt=prompts.STATIC_NARRATION, max_new_tokens=100, seed=seed)


def default_ks(heads: int) -> tuple[int, ...]:
    """Sizes of a sweep that suit a model with so many heads."""
    return tuple(sorted({max(1, math.floor(share * heads)) for share in SWEEP_SHARES}))


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    settings: SteerVqaSettings,
    options: RunOptions,
    *,
    experiment: str = EXPERIMENT,
    judge: Judge | None = None,
) -> RunFolder:
    """Asks about every strip under every condition; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to ask about; other strips than the heads were found on.
        scores: of the heads, best first.
        settings: see there.
        options: where to and how.
        experiment: name of the run folder: that of this experiment, the sweep or the narration.
        judge: default: the label judge.
    """
    check_sizes(settings.ks, len(scores))
    return ask_strips(
        vlm, strips, settings.conditions_of(scores), settings, options, experiment, judge
    )


def ask_strips(
    vlm: VLM,
    strips: Sequence[Strip],
    conditions: Sequence[Condition],
    settings: SteerVqaSettings,
    options: RunOptions,
    experiment: str,
    judge: Judge | None = None,
    summary: Callable[[RunFolder], dict[str, Any]] | None = None,
) -> RunFolder:
    """`run` with conditions made elsewhere, such as other head sets, and a summary of their own."""
    judge = chosen_judge(judge, settings.judge)
    sets = {condition.key: condition.draws for condition in conditions}
    whole = whole_settings(settings, vlm, strips, sets, judge)
    whole["panels"] = len(strips[0])
    whole["model_heads"] = vlm.num_layers * vlm.num_heads
    with RunFolder.open(options, experiment, vlm.name, whole, versions()) as folder:

        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            asked = settings.question
            size = options.batch_size
            return [ask_strip(vlm, strip, number, conditions, asked, judge, folder.path, size)]

        folder.work(
            [(strip.id, (i, strip)) for i, strip in enumerate(strips)], do, options.progress
        )
        folder.finish(summary or results)
    return folder


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records = folder.ordered()
    conditions = conditions_summary(folder.settings["head_sets"], records)
    return {
        "heads": folder.settings["model_heads"],
        "chance": 1 / folder.settings["panels"],
        "conditions": conditions,
        "peak": peak_of(conditions),
        "unsteered": unsteered_summary(records),
    }


def check_sizes(ks: Sequence[int], heads: int) -> None:
    """Raises GazeheadsError unless every K is between 1 and the number of heads."""
    if not ks:
        raise GazeheadsError("no number of heads given: K must be at least 1")
    for k in ks:
        if not 1 <= k <= heads:
            raise GazeheadsError(f"K = {k} does not exist: the model has {heads} heads")


def peak_of(conditions: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The K with the best accuracy of the gaze heads; ties go to content, then to the smaller."""
    curve = [result for result in conditions if result["condition"] == GAZE]
    if not curve:
        return None

    def merit(result: dict[str, Any]) -> tuple[float, float, int]:
        return result["accuracy"]["value"], result["content"]["value"], -result["k"]

    best = max(curve, key=merit)
    return {"k": best["k"], "accuracy": best["accuracy"]["value"]}
