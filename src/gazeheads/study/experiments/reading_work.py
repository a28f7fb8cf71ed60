"""The parts of `reading_order`: what they work on, and what is done to one strip or one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.judges import Judge
from gazeheads.judges.narration import narrated, order_narrated
from gazeheads.study.experiment import Work
from gazeheads.study.experiments.labelled import Layout, labelled
from gazeheads.study.experiments.reading_directions import LAYOUTS
from gazeheads.study.experiments.reading_patching import patch_record
from gazeheads.study.experiments.reading_probe import (
    flip_record,
    follow,
    order_directions,
    orders_of,
)
from gazeheads.study.experiments.reading_summary import (
    FLIP,
    NARRATION,
    ORDER,
    PATCH,
)

if TYPE_CHECKING:
    from gazeheads.models import VLM


@dataclass(frozen=True)
class OrderSettings:
    """Settings of `run`.

    Attributes:
        layouts: kinds of strips, the main one first.
        alpha: factor of the direction.
        orders: orders tried besides the reverse one; None: all there are.
        order_strips: strips each order is built on, and as many it is tried on.
        patch_strips: strips that states are moved between the prompts of.
        max_new_tokens: of narrations.
        seed: of labels and orders.
        judge: name of the judge of narrations.
    """

    layouts: tuple[Layout, ...] = LAYOUTS
    alpha: float = 1.0
    orders: int | None = 23
    order_strips: int = 4
    patch_strips: int = 3
    max_new_tokens: int = 300
    seed: int = 0
    judge: str = "label"


@dataclass(frozen=True)
class Material:
    """What `run` works on.

    Attributes:
        strips: by name of the layout, to try directions on.
        tuning: of the main layout, to build the directions of other orders on.
        directions: (panels, L, D) "read in reverse" by name of the layout.
    """

    strips: Mapping[str, Sequence[Strip]]
    tuning: Sequence[Strip]
    directions: Mapping[str, np.ndarray]


def flips(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    batch: int,
    layouts: Sequence[Layout],
    shared: bool = False,
) -> Work[tuple[Layout, int, Strip]]:
    """Directions on the questions of some layouts."""

    def do(part: Sequence[tuple[Layout, int, Strip]]) -> list[dict[str, Any]]:
        ((layout, number, strip),) = part
        shown = labelled(strip, layout, settings.seed + 1, number)
        directions = settings.alpha * material.directions[layout.name]
        record = flip_record(vlm, shown, layout, directions, batch, shared)
        return [{"kind": FLIP, **record}]

    units = [
        (f"{FLIP} {layout.name}: {strip.id}", (layout, number, strip))
        for layout in layouts
        for number, strip in enumerate(material.strips[layout.name])
    ]
    return Work(units, do, shared=shared)


def patches(
    vlm: VLM, material: Material, settings: OrderSettings, batch: int
) -> Work[tuple[int, Strip]]:
    """States moved from one prompt to another, in the main layout."""
    layout = settings.layouts[0]

    def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
        ((number, strip),) = part
        shown = labelled(strip, layout, settings.seed + 1, number)
        return [{"kind": PATCH, **patch_record(vlm, shown, layout, batch)}]

    strips = material.strips[layout.name][: settings.patch_strips]
    return Work([(f"{PATCH}: {strip.id}", (i, strip)) for i, strip in enumerate(strips)], do)


def orders(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    batch: int,
    layer: int,
) -> Work[tuple[int, ...]]:
    """Other orders of reading, at the layer that flips most."""
    layout = settings.layouts[0]
    count = settings.order_strips
    strips = material.strips[layout.name][:count]
    built_on = [
        labelled(s, layout, settings.seed, i) for i, s in enumerate(material.tuning[:count])
    ]
    tried_on = [labelled(s, layout, settings.seed + 1, i) for i, s in enumerate(strips)]

    def do(part: Sequence[tuple[int, ...]]) -> list[dict[str, Any]]:
        (order,) = part
        found, prompted = order_directions(vlm, built_on, layout, order, batch)
        steered = follow(vlm, tried_on, layout, order, settings.alpha * found, layer, batch)
        told = {"kind": ORDER, "order": list(order), "layer": layer}
        return [{**told, "prompted": prompted, "steered": steered}]

    units = [
        (f"{ORDER} {'-'.join(map(str, order))}", order)
        for order in orders_of(layout.panels, settings.orders, settings.seed)
    ]
    return Work(units, do)


def narrations(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    band: Sequence[int],
    judge: Judge,
) -> Work[Strip]:
    """Free narrations with the first panel's direction in a band of layers."""
    from gazeheads.residual import adding  # noqa: PLC0415 - loads torch

    main = settings.layouts[0].name
    direction = settings.alpha * material.directions[main][0]  # to start at the last panel

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
    return Work(units, do)
