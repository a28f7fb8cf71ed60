"""The summary of a run of `reading_order`: flips by layer, the patching map, orders, narrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.runs import RunError, RunFolder
from gazeheads.study.schema import Record, Stored
from gazeheads.study.stats import constant, mean, share, spearman

FLIP, PATCH, ORDER, NARRATION = "flip", "patch", "order", "narration"
"""Kinds of records."""


class NarratedOrder(Stored):
    """A narration, and the panels it tells in their order."""

    text: str
    order: list[int]


class Tried(Stored):
    """How many of the answers asked for flipped, by layer."""

    asked: int
    flips: list[int]


class ReadingRecord(Record):
    """One of four kinds; each has its own fields.

    Attributes:
        kind: "flip", "patch", "order" or "narration".
        layout, asked, flips, gap, gap_unsteered, plain_right: of a flip: one strip, by layer, the
            question about the first panel under the direction of the first panel.
        by_panel: flips of the other questions, each under its own panel's direction.
        first, averaged: of the main layout: the first panel's direction on questions about the
            others, and the mean of all directions on all questions.
        layout, asked, words, patched, patched_gap: of a patch: one strip, by layer and word.
        order, layer, prompted, steered: of an order: [hits, asked] in text and by direction.
        layers, panels, plain, turned: of a narration, without the direction and with it.
    """

    kind: Literal["flip", "patch", "order", "narration"]
    layout: str | None = None
    asked: int | None = None
    flips: list[int] | None = None
    gap: list[float] | None = None
    gap_unsteered: float | None = None
    plain_right: int | None = None
    by_panel: dict[str, list[int]] | None = None
    first: Tried | None = None
    averaged: Tried | None = None
    words: list[str] | None = None
    patched: list[list[int]] | None = None
    patched_gap: list[list[float]] | None = None
    order: list[int] | None = None
    layer: int | None = None
    prompted: tuple[int, int] | None = None
    steered: tuple[int, int] | None = None
    layers: list[int] | None = None
    panels: int | None = None
    plain: NarratedOrder | None = None
    turned: NarratedOrder | None = None

    @model_validator(mode="after")
    def _has_the_fields_of_its_kind(self) -> Self:
        needed = _FIELDS[self.kind]
        there = self.model_fields_set - {"unit", "number", "kind"}
        if there - _ALSO.get(self.kind, set()) != needed:
            raise ValueError(f"{self.kind} has the fields {sorted(needed)}, not {sorted(there)}")
        return self


_FIELDS = {
    FLIP: {"layout", "asked", "flips", "gap", "gap_unsteered", "plain_right"},
    PATCH: {"layout", "asked", "words", "patched", "patched_gap"},
    ORDER: {"order", "layer", "prompted", "steered"},
    NARRATION: {"layers", "panels", "plain", "turned"},
}

_ALSO = {FLIP: {"by_panel", "first", "averaged"}}  # not in records of 0.1


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records, settings = folder.ordered(), folder.settings
    names = [Layout(**own).name for own in settings["layouts"]]
    layer, band = chosen_layers(of_kind(records, FLIP, names[0]))
    told = of_kind(records, NARRATION)
    if any(record["layer"] != layer for record in of_kind(records, ORDER)):
        raise RunError(f"{folder.path}: orders were tried at another layer than {layer}")
    return {
        "layer": layer,
        "band": band,
        "layouts": [_flip_summary(name, of_kind(records, FLIP, name)) for name in names],
        "patching": _patching_summary(of_kind(records, PATCH)),
        "orders": [
            {key: record[key] for key in ("order", "prompted", "steered")}
            for record in of_kind(records, ORDER)
        ],
        "narration": {kind: _narration_summary(told, kind) for kind in ("plain", "turned")},
    }


def _flip_summary(name: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    asked_by_strip = [record["asked"] for record in records]
    layers = range(len(records[0]["flips"]))
    rates = [share([r["flips"][layer] for r in records], asked_by_strip) for layer in layers]
    best, _ = chosen_layers(records)
    panels = int(name.split(maxsplit=1)[0])
    return {
        "name": name,
        "by_layer": [rate.as_dict() for rate in rates],
        "gap": np.mean([r["gap"] for r in records], axis=0).round(4).tolist(),
        "gap_unsteered": float(np.mean([r["gap_unsteered"] for r in records])),
        "best_layer": best,
        "best": rates[best].as_dict(),
        "plain": share([r["plain_right"] for r in records], [panels] * len(records)).as_dict(),
        "tried": _tried(records),
    }


def _tried(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per direction and questions it was tried on, the share of flips by layer."""

    def rates(name: str, own: Sequence[tuple[int, Sequence[int]]]) -> dict[str, Any]:
        asked, layers = [total for total, _ in own], range(len(own[0][1]))
        by_layer = [share([flips[layer] for _, flips in own], asked).as_dict() for layer in layers]
        return {"name": name, "by_layer": by_layer}

    found = [
        rates(f"panel {k}", [(1, r["by_panel"][k]) for r in records])
        for k in records[0].get("by_panel") or {}
    ]
    for key, name in (
        ("first", "panel 1, asked about the others"),
        ("averaged", "the mean of all, asked about every panel"),
    ):
        if records[0].get(key):
            found.append(rates(name, [(r[key]["asked"], r[key]["flips"]) for r in records]))
    return found


def _patching_summary(records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Share of flips and mean logit difference by layer and word of the question."""
    if not records:
        return None
    flips = np.sum([record["patched"] for record in records], axis=0)
    asked = sum(record["asked"] for record in records)
    gaps = np.average(
        [record["patched_gap"] for record in records],
        axis=0,
        weights=[record["asked"] for record in records],
    )
    return {
        "words": records[0]["words"],
        "asked": asked,
        "flips": flips.tolist(),
        "gap": gaps.round(4).tolist(),
    }


def _narration_summary(records: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    """How far narrations go in reverse, and how many start at the last panel."""
    orders = [record[kind]["order"] for record in records]
    told = [order for order in orders if len(order) >= 3]
    found = mean([spearman(range(len(order)), [-panel for panel in order]) for order in told])
    same = {"constant": sum(constant(order) for order in told)}
    starts = [
        bool(order) and order[0] == record["panels"]
        for order, record in zip(orders, records, strict=True)
    ]
    return {
        "rho_reverse": {**found.as_dict(), **same} if found else None,
        "starts_at_last": share([int(s) for s in starts], [1] * len(starts)).as_dict(),
    }


def chosen_layers(records: Sequence[dict[str, Any]]) -> tuple[int, list[int]]:
    """The layer that flips most answers (ties: the largest logit gain), and all half as good."""
    flips = np.sum([record["flips"] for record in records], axis=0)
    gaps = np.mean([record["gap"] for record in records], axis=0)
    best = int(np.lexsort((gaps, flips))[-1])
    band = [layer for layer, n in enumerate(flips) if n and n >= flips[best] / 2]
    return best, band or [best]


def of_kind(records: Sequence[dict[str, Any]], kind: str, layout: str = "") -> list[dict[str, Any]]:
    """The records of one kind, of one layout or of all."""
    return [r for r in records if r["kind"] == kind and (not layout or r["layout"] == layout)]
