"""Steering one question: the same prompt, the gaze pointed at each panel in turn.

With one K this is the study's main table; with several it is the sweep over K, which gives the
curve and its peak.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments.controls import DRAWS, Draws, DrawStrips
from gazeheads.study.experiments.counting import (
    conditions_summary,
    peak_of,
    unsteered_summary,
)
from gazeheads.study.experiments.question import (
    SteerVqaSettings,
    check_sizes,
    default_ks,
    narration,
    own_conditions,
    sweep_settings,
)
from gazeheads.study.experiments.steered_answers import (
    ANSWERS_AGAIN,
    AnswersRecord,
    Condition,
    ask_strip,
)
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT, SWEEP, NARRATION = "steer-vqa", "sweep-k", "steer-narration"


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
    if settings.own:
        vlm.check_heads(*(each.condition.draws[0] for each in settings.own))
    own = next(each for each in (STEER_VQA, SWEEP_K, STEER_NARRATION) if each.name == experiment)
    conditions = settings.conditions_of(scores)
    extra = {} if scores.living is None else {"living": int(scores.living.sum())}
    return ask_strips(
        vlm,
        strips,
        conditions,
        settings,
        options,
        own,
        judge,
        shared,
        extra,
    )


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
    whole |= {**options.heads_from, **(extra or {})}
    if shared:
        options = options_for_shared(options, experiment.name, vlm.name, whole, claims=True)

    def work(folder: RunFolder) -> list[Work[tuple[int, Strip]]]:
        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            asked = settings.question
            size, few = options.batch_size, settings.draw_strips
            return [ask_strip(vlm, strip, number, conditions, asked, judge, folder.path, size, few)]

        return [Work([(strip.id, (i, strip)) for i, strip in enumerate(strips)], do)]

    return experiment.carry_out(vlm.name, whole, options, work)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records = folder.ordered()
    conditions = conditions_summary(folder.settings["head_sets"], records)
    return {
        "heads": folder.settings["model_heads"],
        **({"living": folder.settings["living"]} if "living" in folder.settings else {}),
        "chance": 1 / folder.settings["panels"],
        "conditions": conditions,
        "peak": peak_of(conditions),
        "unsteered": unsteered_summary(records),
    }


def sweep_k(
    context: ExperimentContext,
    shared: bool = False,
    draws: int = DRAWS,
    draw_strips: int | None = None,
) -> RunFolder:
    """How many heads to steer, tried on the tuning strips; `shared` if other runs take its peak."""
    sizes = default_ks(len(context.scores))
    settings = sweep_settings(sizes, context.seed, draws, draw_strips)
    told = "Trying how many heads to steer"
    return _asked(context, context.tuning, settings, told, SWEEP, shared)


def answers(
    context: ExperimentContext, settings: SteerVqaSettings | None = None, shared: bool = False
) -> RunFolder:
    """The study's main table: one question, the gaze pointed at every panel.

    Args:
        context: the model and the strips.
        settings: default: the study's, with the context's number of heads.
        shared: another job builds on it: see `options_for_shared`.
    """
    own = settings or SteerVqaSettings((context.k,), seed=context.seed)
    told = f"Steering {own.ks[0]} heads to every panel"
    return _asked(context, context.strips, own, told, EXPERIMENT, shared)


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
    draws: Draws = DRAWS
    draw_strips: DrawStrips = None
    condition: Annotated[
        list[str] | None,
        Option("NAME=HEADS: steer these too, from a file or such as L3H1,L4H0; repeatable."),
    ] = None

    def __post_init__(self) -> None:
        own_conditions(self.condition or ())

    def changed(self, settings: SteerVqaSettings) -> SteerVqaSettings:
        """The settings with what was asked for."""
        few = settings.draw_strips if self.draw_strips is None else self.draw_strips
        return replace(
            settings,
            prompt=self.prompt or settings.prompt,
            delta=self.delta,
            draws=self.draws,
            draw_strips=few,
            own=own_conditions(self.condition or (), settings.ks[0]),
        )


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
