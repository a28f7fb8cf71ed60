"""One question about a strip, unsteered and steered to every panel by several head sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.control_draws import study_size
from gazeheads.data.strip import Strip
from gazeheads.head_rankings import RECOMMENDED
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.judges import Judge, judge_answers, worth_asking
from gazeheads.judges.verdict import VERDICT_FIELDS, Asked
from gazeheads.study.experiment import Rejudging, Values
from gazeheads.study.experiments.controls import ControlPool, draw_controls, say
from gazeheads.study.experiments.counting import (
    ALL,
    GAZE,
    RANDOM,
    counted,
    peak_of,
    unsteered_summary,
)
from gazeheads.study.pictures import keep_picture
from gazeheads.study.schema import JudgedText, KeptStrip, Record

if TYPE_CHECKING:
    from gazeheads.attention.intervention import Mode, When
    from gazeheads.models import VLM


@dataclass(frozen=True)
class Condition:
    """Heads to steer.

    Attributes:
        name: "gaze", "random", "all", or another score's name.
        k: number of heads.
        draws: the heads; several sets for random heads, all measured on the same strips.
    """

    name: str
    k: int
    draws: tuple[HeadSet, ...]

    @property
    def key(self) -> str:
        """Name in records."""
        return f"{self.name}-{self.k}"

    def draws_on(self, strip_number: int, draw_strips: int | None) -> range:
        """The draws to measure on the n-th strip from 0; several on the first strips only."""
        measured = len(self.draws) == 1 or draw_strips is None or strip_number < draw_strips
        return range(len(self.draws) if measured else 0)


class Answer(JudgedText):
    """A steered answer.

    Attributes:
        condition: key of the heads that were steered.
        target: the panel they were pointed at.
        draw: which of the condition's head sets, from 0.
    """

    condition: str
    target: int
    draw: int = 0


class AnswersRecord(Record):
    """One strip: what was answered unsteered, and under every condition at every panel."""

    strip: KeptStrip
    baseline: JudgedText
    answers: list[Answer]


def number_of_heads(scores: HeadScores) -> tuple[int, str]:
    """How many heads to steer unless told, and why so many: it follows from the scores alone."""
    recommended = scores.provenance.get(RECOMMENDED)
    if isinstance(recommended, int) and 1 <= recommended <= len(scores):
        return recommended, "as these heads recommend"
    return study_size(len(scores)), "the study's share of all heads"


def conditions_of(
    scores: HeadScores,
    ks: Iterable[int],
    names: Sequence[str],
    draws: int,
    seed: int,
    pool: ControlPool,
) -> list[Condition]:
    """Gaze heads and as many random ones for every k, then all heads once."""
    found: list[Condition] = []
    notes = []
    for k in ks:
        if GAZE in names:
            found.append(Condition(GAZE, k, (scores.top(k),)))
        if RANDOM in names:
            drawn = draw_controls(scores, k, draws, seed, pool)
            notes.append(drawn.note)
            found += [Condition(RANDOM, k, drawn.sets)] if drawn.sets else []
    say(notes)
    if ALL in names:
        found.append(Condition(ALL, len(scores), (scores.all(),)))
    return found


@dataclass(frozen=True)
class Question:
    """What is asked, and how the heads are steered meanwhile."""

    prompt: str
    max_new_tokens: int
    mode: Mode
    delta: float
    when: When


def ask_strip(
    vlm: VLM,
    strip: Strip,
    number: int,
    conditions: Sequence[Condition],
    question: Question,
    judge: Judge,
    folder: Path,
    batch_size: int,
    draw_strips: int | None = None,
) -> dict[str, Any]:
    """The record of one strip: the unsteered answer and one per condition and panel, judged.

    Args:
        vlm, judge: who answers and who judges.
        strip, number: the strip, and its number in the run from 0.
        conditions, question: what is asked.
        folder: of the run, where the strip's picture goes.
        batch_size: rows generated at once; halved when memory runs out.
        draw_strips: conditions of several draws are asked about so many strips only.
    """
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(strip.image, question.prompt)
    asked = [
        (condition, draw, target)
        for condition in conditions
        for draw in condition.draws_on(number, draw_strips)
        for target in range(1, len(strip) + 1)
    ]
    rows: list[Any] = [(encoded, None)]
    for condition, draw, target in asked:
        heads, region = condition.draws[draw], strip.panel(target)
        steering = Steering(heads, region, question.delta, question.mode, question.when)
        rows.append((encoded, steering))
    done = halving(
        lambda part: vlm.generate(part, max_new_tokens=question.max_new_tokens), rows, batch_size
    )
    baseline, *texts = (generation.text.strip() for generation in done)
    own, verdicts = judge_answers(judge, strip, baseline, texts)
    answers = [
        {
            "condition": condition.key,
            "target": target,
            **({"draw": draw} if draw else {}),
            "text": text,
            **verdict.as_record(),
        }
        for (condition, draw, target), text, verdict in zip(asked, texts, verdicts, strict=True)
    ]
    return {
        "strip": keep_picture(folder, strip),
        "baseline": {"text": baseline, **own.as_record()},
        "answers": answers,
    }


def answers_again(results: Callable[[Values, Sequence[Values]], Values], **rest: Any) -> Rejudging:
    """How records of steered answers are judged again, with a summary of an experiment's own."""
    return Rejudging(
        lambda record: list[Asked](worth_asking(*_texts(record))),
        _judged_again,
        results,
        lambda record: [answer["panel"] for answer in record["answers"]],
        **rest,
    )


def _texts(record: Values) -> tuple[str, list[str]]:
    return record["baseline"]["text"], [answer["text"] for answer in record["answers"]]


def without_verdict(judged: Values) -> Values:
    """A judged text as it was before: a later judge may not know what an earlier one did."""
    return {key: value for key, value in judged.items() if key not in VERDICT_FIELDS}


def _judged_again(record: Values, strip: Strip, judge: Judge, _: Mapping[str, Any]) -> Values:
    own, verdicts = judge_answers(judge, strip, *_texts(record))
    answers = [
        {**without_verdict(answer), **verdict.as_record()}
        for answer, verdict in zip(record["answers"], verdicts, strict=True)
    ]
    baseline = {**without_verdict(record["baseline"]), **own.as_record()}
    return {"baseline": baseline, "answers": answers}


def conditions_again(before: Values, records: Sequence[Values]) -> Values:
    """What of a summary changes with new verdicts."""
    conditions = [{**c, **counted(c["key"], records)} for c in before["conditions"]]
    results = {"conditions": conditions, "unsteered": unsteered_summary(records)}
    return {**results, "peak": peak_of(conditions)} if "peak" in before else results


ANSWERS_AGAIN = answers_again(conditions_again)
