"""Small things every section needs: the runs of a model, and how shares are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gazeheads.study.experiments import steer_vqa
from gazeheads.study.runs import RunFolder

Results = dict[str, Any]
Runs = dict[str, RunFolder]
"""The runs of one model by experiment."""


def percent(own: Results, interval: bool = False) -> str:
    """A share as "95.0%", or as "95.0% (90.8-98.3)"."""
    text = f"{100 * own['value']:.1f}%"
    if interval:
        text += f" ({100 * own['low']:.1f}\N{EN DASH}{100 * own['high']:.1f})"
    return text


def counted(count: int, total: int) -> str:
    """A count with its share: "5 (42%)"."""
    return f"{count} ({100 * count / total:.0f}%)" if total else str(count)


def out_of(count: int, total: int) -> str:
    """A count out of others with its share: "5 of 12 (42%)"."""
    return f"{count} of {total} ({100 * count / total:.0f}%)" if total else f"{count} of 0"


def followed(condition: Results) -> str:
    """Accuracy of a condition with its interval; of many draws their median and range."""
    own = condition.get("controls")
    if own is None:
        return percent(condition["accuracy"], interval=True)
    least, most = (f"{100 * own[end]:.1f}" for end in ("least", "most"))
    drawn = f"{len(own['draws'])} draws on {own['strips']} strips"
    return f"{100 * own['median']:.1f}% ({least}\N{EN DASH}{most}, {drawn})"


def clean(condition: Results) -> str:
    """Clean hits: share of all answers, or "not known" where the judge cannot say."""
    own = condition.get("clean")
    return "not known" if own is None else percent(own, interval=True)


def counts(conditions: Sequence[Results]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What became of the answers: column names, and the cells of every condition.

    Answers that a judge declined to judge get a column only if there are any.
    """
    numbers = {
        "answers": "pairs", "no panel": "junk", "several panels": "ties",
        "as unsteered": "baseline_matches", "unjudged": "unjudged",
    }  # fmt: skip
    if not any(condition["unjudged"] for condition in conditions):
        del numbers["unjudged"]
    cells = [
        (
            followed(condition),
            clean(condition),
            percent(condition["content"], interval=True),
            str(condition["pairs"]),
            *(counted(condition[key], condition["pairs"]) for key in list(numbers.values())[1:]),
        )
        for condition in conditions
    ]
    return ("follow", "follow, clean", "by content alone", *numbers), cells


def steered_heads(runs: Runs) -> int | None:
    """How many gaze heads were steered, if they were."""
    run = runs.get(steer_vqa.EXPERIMENT) or runs.get(steer_vqa.SWEEP)
    peak = run.summary["results"]["peak"] if run else None
    return int(peak["k"]) if peak else None
