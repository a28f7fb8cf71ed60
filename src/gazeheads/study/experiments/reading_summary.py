"""The summary of a run of `reading_order`: flips by layer, other orders, narrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.runs import RunError, RunFolder
from gazeheads.study.schema import Record, Stored
from gazeheads.study.stats import mean, share

FLIP, ORDER, NARRATION = "flip", "order", "narration"
"""Kinds of records."""


class NarratedOrder(Stored):
    """A narration, and the panels it tells in their order."""

    text: str
    order: list[int]


class ReadingRecord(Record):
    """One of three kinds; each has its own fields.

    Attributes:
        kind: "flip", "order" or "narration".
        layout, asked, flips, gap, gap_unsteered, plain_right: of a flip: one strip, by layer.
        order, layer, prompted, steered: of an order: [hits, asked] in text and by direction.
        layers, panels, plain, turned: of a narration, without the direction and with it.
    """

    kind: Literal["flip", "order", "narration"]
    layout: str | None = None
    asked: int | None = None
    flips: list[int] | None = None
    gap: list[float] | None = None
    gap_unsteered: float | None = None
    plain_right: int | None = None
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
        if there != needed:
            raise ValueError(f"{self.kind} has the fields {sorted(needed)}, not {sorted(there)}")
        return self


_FIELDS = {
    FLIP: {"layout", "asked", "flips", "gap", "gap_unsteered", "plain_right"},
    ORDER: {"order", "layer", "prompted", "steered"},
    NARRATION: {"layers", "panels", "plain", "turned"},
}


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
    }


def _narration_summary(records: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    """How far narrations go in reverse, and how many start at the last panel."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to load

    orders = [record[kind]["order"] for record in records]
    rhos = [
        float(spearmanr(range(len(order)), [-panel for panel in order]).statistic)
        for order in orders
        if len(order) >= 3 and len(set(order)) > 1
    ]
    found = mean(rhos)
    starts = [
        bool(order) and order[0] == record["panels"]
        for order, record in zip(orders, records, strict=True)
    ]
    return {
        "rho_reverse": found.as_dict() if found else None,
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
