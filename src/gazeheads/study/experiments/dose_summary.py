"""What the strengths of a dose run buy and cost, and the one recommended, from records alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gazeheads.study.experiments.counting import counted
from gazeheads.study.stats import mean

ENOUGH = 0.95
"""The smallest strength that reaches this share of the peak is recommended."""


def summary_of(records: Sequence[dict[str, Any]], doses: Sequence[Sequence[str]]) -> dict[str, Any]:
    """By dose what became of the answers and their quality; and the recommendation.

    Args:
        records: of the strips.
        doses: name, mode and strength, as the settings of the run hold them.
    """
    told = [
        {
            "name": name,
            "mode": mode,
            "delta": float(delta) if math.isfinite(float(delta)) else None,
            **counted(name, records),
            "quality": _mean_quality(
                [
                    [
                        answer["quality"]
                        for answer in record["answers"]
                        if answer["condition"] == name
                    ]
                    for record in records
                ]
            ),
        }
        for name, mode, delta in doses
    ]
    return {
        "doses": told,
        "alone": _mean_quality([record["alone"] for record in records]),
        "recommended": recommendation(told),
        "strips": len(records),
    }


def _priced(record: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The qualities of a strip's answers at one dose."""
    return [own["quality"] for own in record["answers"] if own["condition"] == name]


def _mean_quality(by_strip: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Means over strips with intervals, of the means over a strip's texts."""
    found: dict[str, Any] = {}
    for key in ("log_prob", "distinct", "loop"):
        own = [[float(q[key]) for q in strip if q[key] is not None] for strip in by_strip]
        estimate = mean([sum(each) / len(each) for each in own if each])
        found[key] = None if estimate is None else estimate.as_dict()
    return found


def recommendation(doses: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The smallest finite strength within `ENOUGH` of the best accuracy of the study's mode.

    None if no strength makes a single answer follow.
    """
    own = [dose for dose in doses if dose["mode"] == "paper"]
    peak = max((dose["accuracy"]["value"] for dose in own), default=0.0)
    if not peak:
        return None
    best = min(
        (dose for dose in own if dose["accuracy"]["value"] >= ENOUGH * peak),
        key=lambda dose: float(dose["delta"]),
    )
    return {"delta": best["delta"], "accuracy": best["accuracy"], "peak": peak}
