"""Turning the order of reading: one direction added to the residual stream, nothing said in text.

A plain question about the label of the k-th panel is answered while the direction "read in
reverse" is added after ONE layer; the answer flips when it names the label that reverse reading
would. The same with other orders, and during a free narration.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.judges import Judge, chosen_judge
from gazeheads.judges.narration import narrated, order_narrated
from gazeheads.study.experiments.labelled import Layout, labelled
from gazeheads.study.experiments.reading_directions import LAYOUTS
from gazeheads.study.experiments.reading_probe import flip_record, follow, order_direction
from gazeheads.study.identity import model_mark, strips_mark, versions
from gazeheads.study.runs import RunError, RunFolder, RunOptions
from gazeheads.study.stats import mean, share

if TYPE_CHECKING:
    from gazeheads.models import VLM

EXPERIMENT = "reading-order"
FLIP, ORDER, NARRATION = "flip", "order", "narration"


@dataclass(frozen=True)
class OrderSettings:
    """Settings of `run`.

    Attributes:
        layouts: kinds of strips, the main one first.
        alpha: factor of the direction.
        orders: orders tried besides the reverse one; None: all there are.
        order_strips: strips each order is built on, and as many it is tried on.
        max_new_tokens: of narrations.
        seed: of labels and orders.
        judge: name of the judge of narrations.
    """

    layouts: tuple[Layout, ...] = LAYOUTS
    alpha: float = 1.0
    orders: int | None = 23
    order_strips: int = 4
    max_new_tokens: int = 300
    seed: int = 0
    judge: str = "label"


def orders_of(panels: int, count: int | None, seed: int) -> list[tuple[int, ...]]:
    """The reverse order, then others without the natural one: `count` at random, or all."""
    natural = tuple(range(1, panels + 1))
    others = [o for o in itertools.permutations(natural) if o not in (natural, natural[::-1])]
    if count is not None and count < len(others):
        drawn = np.random.default_rng(seed).choice(len(others), count, replace=False)
        others = [others[int(i)] for i in sorted(drawn)]
    return [natural[::-1], *others]


@dataclass(frozen=True)
class Material:
    """What `run` works on.

    Attributes:
        strips: by name of the layout, to try directions on.
        tuning: of the main layout, to build the directions of other orders on.
        directions: (L, D) "read in reverse" by name of the layout.
    """

    strips: Mapping[str, Sequence[Strip]]
    tuning: Sequence[Strip]
    directions: Mapping[str, np.ndarray]


def run(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    options: RunOptions,
    judge: Judge | None = None,
) -> RunFolder:
    """Tries the directions; goes on where an earlier run stopped.

    A shard does its share of everything but the main layout's flips: those it does all, because
    the other orders and the narrations need the layer that flips most.
    """
    judge = chosen_judge(judge, settings.judge)
    every = [strip for own in material.strips.values() for strip in own]
    whole = {
        **asdict(settings),
        "layers": vlm.num_layers,
        "strips": {name: len(own) for name, own in material.strips.items()},
        "strips_mark": strips_mark([*every, *material.tuning[: settings.order_strips]]),
        "directions_mark": _mark(material.directions),
        "model_mark": model_mark(vlm),
        "judge_settings": dict(judge.about),
    }
    with RunFolder.open(options, EXPERIMENT, vlm.name, whole, versions()) as folder:
        _flips(vlm, material, settings, options, folder, settings.layouts[:1], shared=True)
        _flips(vlm, material, settings, options, folder, settings.layouts[1:])
        layer, band = _chosen_layers(_of(folder.ordered(), FLIP, settings.layouts[0].name))
        _orders(vlm, material, settings, options, folder, layer)
        _narrations(vlm, material, settings, options, folder, band, judge)
        folder.finish(results)
    return folder


def _mark(directions: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: round(float(np.abs(own).sum()), 3) for name, own in directions.items()}


def _flips(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    options: RunOptions,
    folder: RunFolder,
    layouts: Sequence[Layout],
    shared: bool = False,
) -> None:
    def do(part: Sequence[tuple[Layout, int, Strip]]) -> list[dict[str, Any]]:
        ((layout, number, strip),) = part
        shown = labelled(strip, layout, settings.seed + 1, number)
        direction = settings.alpha * material.directions[layout.name]
        record = flip_record(vlm, shown, layout, direction, options.batch_size)
        return [{"kind": FLIP, **record}]

    units = [
        (f"{FLIP} {layout.name}: {strip.id}", (layout, number, strip))
        for layout in layouts
        for number, strip in enumerate(material.strips[layout.name])
    ]
    folder.work(units, do, options.progress, shared=shared)


def _chosen_layers(records: Sequence[dict[str, Any]]) -> tuple[int, list[int]]:
    """The layer that flips most answers (ties: the largest logit gain), and all half as good."""
    flips = np.sum([record["flips"] for record in records], axis=0)
    gaps = np.mean([record["gap"] for record in records], axis=0)
    best = int(np.lexsort((gaps, flips))[-1])
    band = [layer for layer, n in enumerate(flips) if n and n >= flips[best] / 2]
    return best, band or [best]


def _of(records: Sequence[dict[str, Any]], kind: str, layout: str = "") -> list[dict[str, Any]]:
    return [r for r in records if r["kind"] == kind and (not layout or r["layout"] == layout)]


def _orders(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    options: RunOptions,
    folder: RunFolder,
    layer: int,
) -> None:
    layout = settings.layouts[0]
    count = settings.order_strips
    strips = material.strips[layout.name][:count]
    built_on = [
        labelled(s, layout, settings.seed, i) for i, s in enumerate(material.tuning[:count])
    ]
    tried_on = [labelled(s, layout, settings.seed + 1, i) for i, s in enumerate(strips)]

    def do(part: Sequence[tuple[int, ...]]) -> list[dict[str, Any]]:
        (order,) = part
        direction, prompted = order_direction(vlm, built_on, layout, order, options.batch_size)
        chosen = np.zeros_like(direction)
        chosen[layer] = settings.alpha * direction[layer]
        steered = follow(vlm, tried_on, layout, order, chosen, options.batch_size)
        told = {"kind": ORDER, "order": list(order), "layer": layer}
        return [{**told, "prompted": prompted, "steered": steered}]

    units = [
        (f"{ORDER} {'-'.join(map(str, order))}", order)
        for order in orders_of(layout.panels, settings.orders, settings.seed)
    ]
    folder.work(units, do, options.progress)


def _narrations(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    options: RunOptions,
    folder: RunFolder,
    band: Sequence[int],
    judge: Judge,
) -> None:
    from gazeheads.residual import adding  # noqa: PLC0415 - loads torch

    main = settings.layouts[0].name
    direction = settings.alpha * material.directions[main]

    def do(part: Sequence[Strip]) -> list[dict[str, Any]]:
        (strip,) = part
        prompt = vlm.encode(strip.image, prompts.FREE_NARRATION)
        length = settings.max_new_tokens
        (plain,) = vlm.generate(prompt, max_new_tokens=length)
        with adding(vlm, direction, band):
            (turned,) = vlm.generate(prompt, max_new_tokens=length)
        told = {
            name: {"text": g.text, "order": order_narrated(narrated(judge, strip, g.text))}
            for name, g in (("plain", plain), ("turned", turned))
        }
        return [{"kind": NARRATION, "layers": list(band), "panels": len(strip), **told}]

    units = [(f"{NARRATION}: {strip.id}", strip) for strip in material.strips[main]]
    folder.work(units, do, options.progress)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records, settings = folder.ordered(), folder.settings
    names = [Layout(**own).name for own in settings["layouts"]]
    layer, band = _chosen_layers(_of(records, FLIP, names[0]))
    told = _of(records, NARRATION)
    if any(record["layer"] != layer for record in _of(records, ORDER)):
        raise RunError(f"{folder.path}: orders were tried at another layer than {layer}")
    return {
        "layer": layer,
        "band": band,
        "layouts": [_flip_summary(name, _of(records, FLIP, name)) for name in names],
        "orders": [
            {key: record[key] for key in ("order", "prompted", "steered")}
            for record in _of(records, ORDER)
        ],
        "narration": {kind: _narration_summary(told, kind) for kind in ("plain", "turned")},
    }


def _flip_summary(name: str, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    asked_by_strip = [record["asked"] for record in records]
    layers = range(len(records[0]["flips"]))
    rates = [share([r["flips"][layer] for r in records], asked_by_strip) for layer in layers]
    best, _ = _chosen_layers(records)
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
