"""What a run of `grounding` says: points inside boxes, boxes found, control, presence."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gazeheads.locating.cells import holds, iou
from gazeheads.locating.located import LIKELY, METHODS, NAMING
from gazeheads.study.runs import RunFolder
from gazeheads.study.stats import add_one_p, mean, share_of

ENOUGH = 0.5
"""Intersection over union from which a box counts as found."""


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: how often a point lies in the box and a box is found, by method.

    A phrase that the model cannot say counts as missed.
    """
    records = folder.ordered()
    present = [place["score"] >= LIKELY for place in _all(records, NAMING)]
    absent = [record["absent"][1] >= LIKELY for record in records if record["absent"]]
    return {
        "phrases": sum(len(record["phrases"]) for record in records),
        "unsayable": sum(each["unsayable"] is not None for each in _phrases(records)),
        "methods": {method: _scored(records, method) for method in METHODS},
        "random": _against_random(records),
        "named_where_present": share_of([[each] for each in present]).as_dict(),
        "named_where_absent": share_of([[each] for each in absent]).as_dict(),
        "left_out": folder.settings["left_out"],
    }


def _phrases(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [phrase for record in records for phrase in record["phrases"]]


def _all(records: Sequence[Mapping[str, Any]], method: str) -> list[Mapping[str, Any]]:
    return [each["places"][method] for each in _phrases(records) if method in each["places"]]


def _scored(records: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """Pointing by both points, boxes found, and the mean overlap; strips are pictures here."""

    def by_picture(measure: Any) -> list[list[Any]]:
        return [
            [
                measure(phrase["box"], phrase["places"][method]) if phrase["places"] else 0
                for phrase in record["phrases"]
            ]
            for record in records
        ]

    def inside(point: str) -> dict[str, Any]:
        own = by_picture(lambda box, place: holds(box, place[point]))
        return share_of(own).as_dict()

    overlaps = by_picture(lambda box, place: iou(box, place["box"]))
    average = mean([float(np.mean(own)) for own in overlaps if own])
    found = share_of([[value >= ENOUGH for value in own] for own in overlaps])
    return {
        "point": inside("point"),
        "peak": inside("peak"),
        "found": found.as_dict(),
        "iou": average.as_dict() if average is not None else None,
    }


def _against_random(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The gaze heads' points beside those of random heads, on the pictures of those."""
    own = [each for each in _phrases(records) if each["random"]]
    if not own:
        return None
    draws = list(zip(*(each["random"] for each in own), strict=True))
    boxes = [each["box"] for each in own]
    gaze = [each["places"][NAMING] for each in own]
    points = [_inside(boxes, places) for places in draws]
    named = [_named(places) for places in draws]
    return {
        "phrases": len(own),
        "draws": len(draws),
        "gaze": _inside(boxes, gaze),
        "median": statistics.median(points),
        "least": min(points),
        "most": max(points),
        "p": add_one_p(_inside(boxes, gaze), points),
        "named_gaze": _named(gaze),
        "named_median": statistics.median(named),
        "named_most": max(named),
        "named_p": add_one_p(_named(gaze), named),
    }


def _inside(boxes: Sequence[Any], places: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([holds(b, at["point"]) for b, at in zip(boxes, places, strict=True)]))


def _named(places: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([at["score"] >= LIKELY for at in places]))
