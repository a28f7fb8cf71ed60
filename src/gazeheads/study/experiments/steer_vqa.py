"""Steering one question: the same prompt, the gaze pointed at each panel in turn.

With one K this is the study's main table; with several it is the sweep over K, which gives the
curve and its peak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores, Pool
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments.steered_answers import (
    ALL,
    ANSWERS_AGAIN,
    GAZE,
    RANDOM,
    AnswersRecord,
    Condition,
    Question,
    ask_strip,
    conditions_of,
    conditions_summary,
    peak_of,
    unsteered_summary,
)
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

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
    shared: bool = False,
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
        shared: other runs build on this one: see `options_for_shared`.
    """
    check_sizes(settings.ks, len(scores))
    own = next(each for each in (STEER_VQA, SWEEP_K, STEER_NARRATION) if each.name == experiment)
    conditions = settings.conditions_of(scores)
    return ask_strips(vlm, strips, conditions, settings, options, own, judge, shared)


def ask_strips(
    vlm: VLM,
    strips: Sequence[Strip],
    conditions: Sequence[Condition],
    settings: SteerVqaSettings,
    options: RunOptions,
    experiment: Experiment,
    judge: Judge | None = None,
    shared: bool = False,
    extra: Mapping[str, Any] | None = None,
) -> RunFolder:
    """`run` with conditions made elsewhere, such as other head sets, for any experiment.

    `extra` is kept among the settings of the run.
    """
    judge = chosen_judge(judge, settings.judge)
    sets = {condition.key: condition.draws for condition in conditions}
    whole = whole_settings(settings, vlm, strips, sets, judge)
    whole["panels"] = len(strips[0])
    whole["model_heads"] = vlm.num_layers * vlm.num_heads
    whole |= extra or {}
    if shared:
        options = options_for_shared(options, experiment.name, vlm.name, whole, claims=True)

    def work(folder: RunFolder) -> list[Work[tuple[int, Strip]]]:
        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            asked = settings.question
            size = options.batch_size
            return [ask_strip(vlm, strip, number, conditions, asked, judge, folder.path, size)]

        return [Work([(strip.id, (i, strip)) for i, strip in enumerate(strips)], do)]

    return experiment.carry_out(vlm.name, whole, options, work)


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


def sweep_k(context: ExperimentContext, shared: bool = False) -> RunFolder:
    """How many heads to steer, tried on the tuning strips; `shared` if other runs take its peak."""
    sizes = default_ks(len(context.scores))
    settings = SteerVqaSettings(sizes, (GAZE, RANDOM), seed=context.seed)
    told = "Trying how many heads to steer"
    return _asked(context, context.tuning, settings, told, SWEEP, shared)


def answers(context: ExperimentContext, settings: SteerVqaSettings | None = None) -> RunFolder:
    """The study's main table: one question, the gaze pointed at every panel."""
    own = settings or SteerVqaSettings((context.k,), seed=context.seed)
    told = f"Steering {own.ks[0]} heads to every panel"
    return _asked(context, context.strips, own, told, EXPERIMENT)


def _asked(
    context: ExperimentContext,
    strips: Sequence[Strip],
    settings: SteerVqaSettings,
    title: str,
    experiment: str,
    shared: bool = False,
) -> RunFolder:
    return run(
        context.vlm,
        strips,
        context.scores,
        replace(settings, judge=context.judge.name),
        context.announced(title),
        experiment=experiment,
        judge=context.judge,
        shared=shared,
    )


@dataclass(frozen=True)
class QuestionOptions:
    """Options of the commands that ask one question."""

    prompt: Annotated[str | None, Option("The question; default: the study's.")] = None
    delta: Annotated[float, Option("Strength; the study's is 10,000.", least=0)] = 10_000.0

    def changed(self, settings: SteerVqaSettings) -> SteerVqaSettings:
        """The settings with what was asked for."""
        return replace(settings, prompt=self.prompt or settings.prompt, delta=self.delta)


def _main_table(context: ExperimentContext, options: QuestionOptions) -> list[RunFolder]:
    settings = SteerVqaSettings((context.k,), seed=context.seed)
    return [answers(context, options.changed(settings))]


def _narrations(context: ExperimentContext, options: QuestionOptions) -> list[RunFolder]:
    settings = options.changed(narration((context.k,), context.seed))
    told = "Steering narrations of one panel"
    return [_asked(context, context.strips, settings, told, NARRATION)]


STEER_VQA = register(
    Experiment(
        EXPERIMENT,
        "One question, the gaze pointed at every panel in turn",
        SteerVqaSettings,
        results,
        AnswersRecord,
        Command(
            "steer-vqa",
            "One question, the gaze pointed at every panel in turn, with controls.",
            _main_table,
            QuestionOptions,
            place=10,
        ),
        {"accuracy": published.VQA_ACCURACY},
        rejudging=ANSWERS_AGAIN,
    )
)
SWEEP_K = register(
    Experiment(
        SWEEP,
        "The question by the number of heads steered",
        SteerVqaSettings,
        results,
        AnswersRecord,
        published={"accuracy": published.K_CURVE},
        rejudging=ANSWERS_AGAIN,
    )
)
STEER_NARRATION = register(
    Experiment(
        NARRATION,
        'A hundred tokens about "this panel"',
        SteerVqaSettings,
        results,
        AnswersRecord,
        Command(
            "steer-narration",
            'Static narration: a hundred tokens about "this panel", steered to every panel.',
            _narrations,
            QuestionOptions,
            place=20,
            full=(QuestionOptions(),),
            quick=(QuestionOptions(),),
        ),
        {"accuracy": published.NARRATION_ACCURACY},
        rejudging=ANSWERS_AGAIN,
    )
)
