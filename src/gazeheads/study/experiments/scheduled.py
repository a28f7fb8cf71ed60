"""Narrations along a schedule: their segments judged blindly, and how well they follow it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from pydantic import Field

from gazeheads.data.strip import Strip
from gazeheads.judges import Judge, judge_segments
from gazeheads.judges.narration import narrated, panel_per_step, sentences
from gazeheads.judges.rules import segments_shown
from gazeheads.judges.verdict import Asked
from gazeheads.study.experiment import Rejudging, Values
from gazeheads.study.experiments.controls import distribution
from gazeheads.study.experiments.counting import GAZE
from gazeheads.study.schema import JudgedText, KeptStrip, Record, Stored
from gazeheads.study.stats import constant, mean, share, spearman

NOTHING = {"value": 0.0, "low": 0.0, "high": 0.0, "count": 0, "constant": 0}
"""The correlation of texts that never tell three panels: they follow nothing."""


class ScheduledNarration(Stored):
    """A narration under one head set.

    Attributes:
        text, pieces: whole, and as the tokens wrote it.
        segments: judged one by one.
        follows_after: by segment, tokens until it is about its panel; None: it never is.
    """

    text: str
    pieces: list[str]
    segments: list[JudgedText]
    follows_after: list[int | None]


class ScheduledRecord(Record):
    """The narrations of one strip.

    Attributes:
        strip: they are about.
        schedule: the panels that the heads were pointed at, in their order.
        unsteered: the text without steering.
        narrations: by head set.
        controls: by name the narrations of a control's draws, on the strips they are measured on.
        attention: of the run's first strip, by head set and step the share of attention per panel,
            weighted; of the first head set. Runs of before have none.
    """

    strip: KeptStrip
    schedule: list[int]
    unsteered: str
    narrations: dict[str, ScheduledNarration]
    controls: dict[str, list[ScheduledNarration]] = Field(default_factory=dict)
    attention: dict[str, list[list[float]]] = Field(default_factory=dict)


def narration_record(
    judge: Judge,
    strip: Strip,
    order: Sequence[int],
    text: str,
    pieces: Sequence[str],
    segment: int,
) -> dict[str, Any]:
    """One narration: its segments judged blindly, and how soon the text followed each switch.

    The schedule is compared with the verdicts afterwards; the judge is never told it.
    """
    texts = ["".join(pieces[i * segment : (i + 1) * segment]).strip() for i in range(len(order))]
    verdicts = judge_segments(judge, strip, texts)
    ends = list(accumulate(map(len, pieces), initial=0))
    told = panel_per_step(narrated(judge, strip, "".join(pieces)), list(pairwise(ends)))
    return {
        "text": text,
        "pieces": list(pieces),
        "segments": [
            {"text": words, **verdict.as_record()}
            for words, verdict in zip(texts, verdicts, strict=True)
        ],
        "follows_after": [
            _delay(told[i * segment : (i + 1) * segment], panel) for i, panel in enumerate(order)
        ],
    }


def _delay(told: Sequence[int | None], panel: int) -> int | None:
    """Tokens until a segment is about the panel; None if it never is."""
    return told.index(panel) if panel in told else None


def sets_summary(
    sizes: Mapping[str, int], records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """How well the narrations of every head set follow their schedules.

    Those of several draws count together, and stand one by one under "controls".

    Args:
        sizes: heads by name of the set.
        records: of the strips.
    """
    return [_of_draws(name, k, records) or _alone(name, k, records) for name, k in sizes.items()]


def _alone(name: str, k: int, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    pairs = [(r["schedule"], r["narrations"][name]) for r in records if name in r["narrations"]]
    return _summary(name, k, pairs)


def _of_draws(name: str, k: int, records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    own = [record for record in records if name in record.get("controls", {})]
    if not own:
        return None
    several = [[(r["schedule"], told) for told in r["controls"][name]] for r in own]
    draws = [_summary(name, k, list(pairs)) for pairs in zip(*several, strict=True)]
    rhos = [draw["rho_schedule"] or NOTHING for draw in draws]
    gaze = _alone(GAZE, k, own)["rho_schedule"] if GAZE in own[0]["narrations"] else None
    pooled = _summary(name, k, [pair for pairs in several for pair in pairs])
    return {**pooled, "controls": distribution(rhos, gaze, len(own))}


def _summary(name: str, k: int, pairs: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    judged = [(order, [s["panel"] for s in told["segments"]]) for order, told in pairs]
    reasons = Counter(s["reason"] for _, told in pairs for s in told["segments"])
    delays = [d for _, told in pairs for d in told["follows_after"][1:]]
    followed = [d for d in delays if d is not None]
    panels = len(pairs[0][0])
    return {
        "name": name,
        "k": k,
        "segments": _hits(judged),
        "by_segment": [
            _hits([(order[i : i + 1], said[i : i + 1]) for order, said in judged])
            for i in range(panels)
        ],
        "rho_schedule": _mean_rho(judged),
        "rho_natural": _mean_rho([(range(1, panels + 1), said) for _, said in judged]),
        "junk": reasons["junk"],
        "unjudged": reasons["unjudged"],
        "switches": len(delays),
        "followed": len(followed),
        "tokens_until_followed": statistics.median(followed) if followed else None,
    }


def _hits(judged: Sequence[tuple[Sequence[int], Sequence[int | None]]]) -> dict[str, Any]:
    hits = [sum(a == b for a, b in zip(*pair, strict=True)) for pair in judged]
    return share(hits, [len(order) for order, _ in judged]).as_dict()


def _mean_rho(
    judged: Sequence[tuple[Sequence[int], Sequence[int | None]]],
) -> dict[str, Any] | None:
    """Mean over strips of Spearman's rho between an order and the panels told, or None.

    A strip counts when at least three segments are about single panels; if they are all about the
    same one its rho is 0, and `constant` counts it.
    """
    known = [
        [(a, b) for a, b in zip(order, said, strict=True) if b is not None]
        for order, said in judged
    ]
    pairs = [tuple(zip(*own, strict=True)) for own in known if len(own) >= 3]
    found = mean([spearman(order, told) for order, told in pairs])
    return {**found.as_dict(), "constant": sum(constant(*p) for p in pairs)} if found else None


def _texts(record: Values) -> list[Asked]:
    """All segments of every narration together, and its sentences for the delays."""
    several: list[Asked] = []
    drawn = [told for several in record.get("controls", {}).values() for told in several]
    for told in (*record["narrations"].values(), *drawn):
        shown = segments_shown([segment["text"] for segment in told["segments"]])
        several += [*([shown] if shown else []), *sentences(told["text"])]
    return list(dict.fromkeys(several))


def _judged_again(
    record: Values, strip: Strip, judge: Judge, settings: Mapping[str, Any]
) -> Values:
    def again(told: Values) -> Values:
        return narration_record(
            judge, strip, record["schedule"], told["text"], told["pieces"], settings["segment"]
        )

    drawn = record.get("controls", {})
    return {
        "narrations": {name: again(told) for name, told in record["narrations"].items()},
        "controls": {name: [again(told) for told in own] for name, own in drawn.items()},
    }


def _results_again(before: Values, records: Sequence[Values]) -> Values:
    sizes = {own["name"]: own["k"] for own in before["sets"]}
    return {"sets": sets_summary(sizes, records)}


SCHEDULED_AGAIN = Rejudging(
    _texts,
    _judged_again,
    _results_again,
    lambda record: [
        segment["panel"] for told in record["narrations"].values() for segment in told["segments"]
    ],
)
