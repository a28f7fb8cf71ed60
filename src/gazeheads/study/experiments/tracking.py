"""How well heads follow a narration: the summary of the staircase, from its records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gazeheads.study.experiments.controls import distribution
from gazeheads.study.stats import share_of

GAZE, CONTROL = "gaze", "control"


def summary_of(
    records: Sequence[dict[str, Any]], head_sets: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, Any]:
    """Tracking of both head sets, and how the strips were narrated."""
    panels = len(records[0]["strip"]["panels"])
    natural = [record["order"] == sorted(set(record["order"])) for record in records]
    return {
        "panels": panels,
        "chance": 1 / panels,
        "heads": {name: list(draws[0]) for name, draws in head_sets.items()},
        "tracking": {name: _tracking(records, "attention", name) for name in head_sets},
        "tracking_raw": {name: _tracking(records, "raw", name) for name in head_sets},
        "controls": _of_draws(records, "attention", "looked_at"),
        "controls_raw": _of_draws(records, "raw", "looked_at_raw"),
        "steps": sum(len(record["narrated"]) for record in records),
        "judged_steps": sum(
            panel is not None for record in records for panel in record["narrated"]
        ),
        "panels_narrated": sum(len(set(record["order"])) for record in records),
        "panels_shown": sum(len(record["strip"]["panels"]) for record in records),
        "in_order": sum(natural),
        "in_reverse": sum(
            record["order"] == sorted(set(record["order"]), reverse=True) for record in records
        ),
        "strips": len(records),
    }


def _tracking(records: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Share of decode steps whose most-attended panel is the one being narrated."""
    return _followed(
        records, [[row.index(max(row)) + 1 for row in record[kind][name]] for record in records]
    )


def _followed(
    records: Sequence[dict[str, Any]], looked_at: Sequence[Sequence[int]]
) -> dict[str, Any]:
    judged = [
        [
            panel == seen
            for panel, seen in zip(record["narrated"], own, strict=True)
            if panel is not None
        ]
        for record, own in zip(records, looked_at, strict=True)
    ]
    return share_of(judged).as_dict()


def _of_draws(
    records: Sequence[dict[str, Any]], kind: str, looked_at: str
) -> dict[str, Any] | None:
    """The distribution of tracking over the draws of control heads; None for one draw."""
    draws = min((len(record.get(looked_at, ())) for record in records), default=0)
    if draws < 2:
        return None
    found = [
        _followed(records, [record[looked_at][draw] for record in records]) for draw in range(draws)
    ]
    return distribution(found, _tracking(records, kind, GAZE), len(records))
