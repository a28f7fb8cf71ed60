"""One question about a strip, unsteered and steered to every panel by several head sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsWarning
from gazeheads.heads import HeadError, HeadScores, HeadSet, Pool
from gazeheads.judges import Judge, Verdict, judge_answers, worth_asking
from gazeheads.judges.verdict import Asked
from gazeheads.study.experiment import Rejudging, Values
from gazeheads.study.pictures import keep_picture
from gazeheads.study.schema import JudgedText, KeptStrip, Record
from gazeheads.study.stats import Estimate, share

if TYPE_CHECKING:
    from gazeheads.attention.intervention import Mode, When
    from gazeheads.models import VLM

GAZE, RANDOM, ALL = "gaze", "random", "all"
GAZE_SHARE = 100 / 1152
"""The study's gaze heads as a share of its model; at least so many never serve as controls."""
RECOMMENDED = "recommended_k"
"""Where a file of scores may say in its provenance how many heads to steer."""


@dataclass(frozen=True)
class Condition:
    """Heads to steer.

    Attributes:
        name: "gaze", "random", "all", or another score's name.
        k: number of heads.
        draws: the heads; several sets for random heads, used in turn by the strips, so that a
            lucky draw does not make the result.
    """

    name: str
    k: int
    draws: tuple[HeadSet, ...]

    @property
    def key(self) -> str:
        """Name in records."""
        return f"{self.name}-{self.k}"

    def heads(self, strip_number: int) -> HeadSet:
        """The heads to steer on the n-th strip."""
        return self.draws[strip_number % len(self.draws)]


class Answer(JudgedText):
    """A steered answer.

    Attributes:
        condition: key of the heads that were steered.
        target: the panel they were pointed at.
    """

    condition: str
    target: int


class AnswersRecord(Record):
    """One strip: what was answered unsteered, and under every condition at every panel."""

    strip: KeptStrip
    baseline: JudgedText
    answers: list[Answer]


def number_of_heads(scores: HeadScores) -> tuple[int, str]:
    """How many heads to steer unless told, and why so many: it follows from the scores alone."""
    recommended = scores.provenance.get(RECOMMENDED)
    if isinstance(recommended, int) and 1 <= recommended <= len(scores):
        return recommended, "as the file of scores recommends"
    return max(1, round(GAZE_SHARE * len(scores))), "the study's share of all heads"


def control_heads(
    scores: HeadScores, k: int, draws: int, seed: int, pool: Pool
) -> tuple[HeadSet, ...]:
    """Random heads by the study's protocol; none if the model has too few for `k`.

    The excluded gaze heads are the top `k`, and never fewer than the study's share of the model:
    otherwise the controls of a small `k` would be gaze heads too. If their layers hold too few
    other heads, more of the ranking is excluded; if that never helps, the nearest layers serve too,
    and it is said, as it is that there are none.
    """
    least = max(k, round(GAZE_SHARE * len(scores)))
    for count in range(least, len(scores)):
        try:
            return tuple(scores.random(k, seed + i, scores.top(count), pool) for i in range(draws))
        except HeadError:  # the layers of these heads hold too few others
            continue
    seeds, gaze = range(seed, seed + draws), scores.top(least)
    try:
        drawn = tuple(scores.random(k, each, gaze, pool, widen=True) for each in seeds)
    except HeadError as error:
        warnings.warn(f"no random heads beside {k} gaze heads: {error}", GazeheadsWarning, 2)
        return ()
    few = f"too few living heads in the layers of the top {least}"
    warnings.warn(f"{few}: as controls {drawn[0].name}", GazeheadsWarning, 2)
    return drawn


def conditions_of(
    scores: HeadScores,
    ks: Iterable[int],
    names: Sequence[str],
    draws: int,
    seed: int,
    pool: Pool,
) -> list[Condition]:
    """Gaze heads and as many random ones for every k, then all heads once."""
    found: list[Condition] = []
    for k in ks:
        if GAZE in names:
            found.append(Condition(GAZE, k, (scores.top(k),)))
        if RANDOM in names and (drawn := control_heads(scores, k, draws, seed, pool)):
            found.append(Condition(RANDOM, k, drawn))
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
) -> dict[str, Any]:
    """The record of one strip: the unsteered answer and one per condition and panel, judged.

    Args:
        vlm, judge: who answers and who judges.
        strip, number: the strip, and its number in the run from 0.
        conditions, question: what is asked.
        folder: of the run, where the strip's picture goes.
        batch_size: rows generated at once; halved when memory runs out.
    """
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(strip.image, question.prompt)
    pairs = [(condition, target) for condition in conditions for target in range(1, len(strip) + 1)]
    rows: list[Any] = [(encoded, None)]
    for condition, target in pairs:
        heads, region = condition.heads(number), strip.panel(target)
        steering = Steering(heads, region, question.delta, question.mode, question.when)
        rows.append((encoded, steering))
    done = halving(
        lambda part: vlm.generate(part, max_new_tokens=question.max_new_tokens), rows, batch_size
    )
    baseline, *texts = (generation.text.strip() for generation in done)
    own, verdicts = judge_answers(judge, strip, baseline, texts)
    answers = [
        {"condition": condition.key, "target": target, "text": text, **verdict.as_record()}
        for (condition, target), text, verdict in zip(pairs, texts, verdicts, strict=True)
    ]
    return {
        "strip": keep_picture(folder, strip),
        "baseline": {"text": baseline, **own.as_record()},
        "answers": answers,
    }


def conditions_summary(
    head_sets: Mapping[str, Sequence[Sequence[str]]], records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Accuracy of every condition, as the study counts it and by content alone.

    Args:
        head_sets: the heads of every condition, as the settings of the run hold them.
        records: of the strips.
    """
    return [_condition_summary(key, draws, records) for key, draws in head_sets.items()]


def _condition_summary(
    key: str, draws: Sequence[Sequence[str]], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    name, _, k = key.rpartition("-")
    return {
        "condition": name,
        "k": int(k),
        "key": key,
        "heads": [list(heads) for heads in draws],
        **counted(key, records),
    }


def counted(key: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy under the condition of this key, as the study counts it and by content alone."""
    judged = [
        [
            (int(answer["target"]), Verdict.of_record(answer))
            for answer in record["answers"]
            if answer["condition"] == key
        ]
        for record in records
    ]
    flat = [pair for strip in judged for pair in strip]
    panels = max((target for target, _ in flat), default=0)
    return {
        "accuracy": _share([[v.hits(t) for t, v in strip] for strip in judged]).as_dict(),
        "content": _share([[v.shows(t) for t, v in strip] for strip in judged]).as_dict(),
        "by_panel": [
            _share([[v.hits(t) for t, v in strip if t == panel] for strip in judged]).as_dict()
            for panel in range(1, panels + 1)
        ],
        "pairs": len(flat),
        "junk": sum(v.reason == "junk" for _, v in flat),
        "ties": sum(v.reason == "tie" for _, v in flat),
        "baseline_matches": sum(v.reason == "baseline" for _, v in flat),
        "unjudged": sum(v.reason == "unjudged" for _, v in flat),
    }


def _share(by_strip: Sequence[Sequence[bool]]) -> Estimate:
    return share([sum(strip) for strip in by_strip], [len(strip) for strip in by_strip])


def unsteered_summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Which panels the unsteered answers describe."""
    panels = max((len(record["strip"]["panels"]) for record in records), default=0)
    said = [Verdict.of_record(record["baseline"]) for record in records]
    return {
        "by_panel": [sum(v.panel == panel for v in said) for panel in range(1, panels + 1)],
        "junk": sum(v.reason == "junk" for v in said),
        "ties": sum(v.reason == "tie" for v in said),
        "strips": len(said),
    }


def peak_of(conditions: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The K with the best accuracy of the gaze heads; ties go to content, then to the smaller."""
    curve = [result for result in conditions if result["condition"] == GAZE]
    if not curve:
        return None

    def merit(result: dict[str, Any]) -> tuple[float, float, int]:
        return result["accuracy"]["value"], result["content"]["value"], -result["k"]

    best = max(curve, key=merit)
    return {"k": best["k"], "accuracy": best["accuracy"]["value"]}


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


def _judged_again(record: Values, strip: Strip, judge: Judge, _: Mapping[str, Any]) -> Values:
    own, verdicts = judge_answers(judge, strip, *_texts(record))
    answers = [
        {**answer, **verdict.as_record()}
        for answer, verdict in zip(record["answers"], verdicts, strict=True)
    ]
    return {"baseline": {**record["baseline"], **own.as_record()}, "answers": answers}


def conditions_again(before: Values, records: Sequence[Values]) -> Values:
    """What of a summary changes with new verdicts."""
    conditions = [{**c, **counted(c["key"], records)} for c in before["conditions"]]
    results = {"conditions": conditions, "unsteered": unsteered_summary(records)}
    return {**results, "peak": peak_of(conditions)} if "peak" in before else results


ANSWERS_AGAIN = answers_again(conditions_again)
