"""Turning the order of reading: one direction added to the residual stream, nothing said in text.

A plain question about the label of the k-th panel is answered while the direction "read in
reverse" is added after ONE layer; the answer flips when it names the label that reverse reading
would. The same with other orders, and during a free narration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.judges import Judge, chosen_judge
from gazeheads.judges.narration import narrated, order_narrated
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments import reading_directions
from gazeheads.study.experiments.labelled import Layout, labelled
from gazeheads.study.experiments.reading_directions import LAYOUTS, SEED, TUNING_SEED
from gazeheads.study.experiments.reading_probe import (
    flip_record,
    follow,
    order_direction,
    orders_of,
)
from gazeheads.study.experiments.reading_summary import (
    FLIP,
    NARRATION,
    ORDER,
    ReadingRecord,
    chosen_layers,
    of_kind,
    results,
)
from gazeheads.study.identity import model_fingerprint, strips_fingerprint
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "reading-order"


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
        "strips_mark": strips_fingerprint([*every, *material.tuning[: settings.order_strips]]),
        "directions_mark": _directions_sums(material.directions),
        "model_mark": model_fingerprint(vlm),
        "judge_settings": dict(judge.about),
    }

    def work(folder: RunFolder) -> Iterator[Work[Any]]:
        batch = options.batch_size
        yield _flips(vlm, material, settings, batch, settings.layouts[:1], shared=True)
        yield _flips(vlm, material, settings, batch, settings.layouts[1:])
        layer, band = chosen_layers(of_kind(folder.ordered(), FLIP, settings.layouts[0].name))
        yield _orders(vlm, material, settings, batch, layer)
        yield _narrations(vlm, material, settings, band, judge)

    return READING_ORDER.carry_out(vlm.name, whole, options, work)


def _directions_sums(directions: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: round(float(np.abs(own).sum()), 3) for name, own in directions.items()}


def _flips(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    batch: int,
    layouts: Sequence[Layout],
    shared: bool = False,
) -> Work[tuple[Layout, int, Strip]]:
    def do(part: Sequence[tuple[Layout, int, Strip]]) -> list[dict[str, Any]]:
        ((layout, number, strip),) = part
        shown = labelled(strip, layout, settings.seed + 1, number)
        direction = settings.alpha * material.directions[layout.name]
        record = flip_record(vlm, shown, layout, direction, batch)
        return [{"kind": FLIP, **record}]

    units = [
        (f"{FLIP} {layout.name}: {strip.id}", (layout, number, strip))
        for layout in layouts
        for number, strip in enumerate(material.strips[layout.name])
    ]
    return Work(units, do, shared=shared)


def _orders(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    batch: int,
    layer: int,
) -> Work[tuple[int, ...]]:
    layout = settings.layouts[0]
    count = settings.order_strips
    strips = material.strips[layout.name][:count]
    built_on = [
        labelled(s, layout, settings.seed, i) for i, s in enumerate(material.tuning[:count])
    ]
    tried_on = [labelled(s, layout, settings.seed + 1, i) for i, s in enumerate(strips)]

    def do(part: Sequence[tuple[int, ...]]) -> list[dict[str, Any]]:
        (order,) = part
        direction, prompted = order_direction(vlm, built_on, layout, order, batch)
        chosen = np.zeros_like(direction)
        chosen[layer] = settings.alpha * direction[layer]
        steered = follow(vlm, tried_on, layout, order, chosen, batch)
        told = {"kind": ORDER, "order": list(order), "layer": layer}
        return [{**told, "prompted": prompted, "steered": steered}]

    units = [
        (f"{ORDER} {'-'.join(map(str, order))}", order)
        for order in orders_of(layout.panels, settings.orders, settings.seed)
    ]
    return Work(units, do)


def _narrations(
    vlm: VLM,
    material: Material,
    settings: OrderSettings,
    band: Sequence[int],
    judge: Judge,
) -> Work[Strip]:
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
    return Work(units, do)


@dataclass(frozen=True)
class ReadingOptions:
    """Options of the command, and what `reproduce` does.

    Attributes:
        orders: tried besides the reverse one.
        all_orders: try all there are.
        alpha: factor of the direction.
        layouts, each, order_strips, max_new_tokens: for `reproduce`: kinds of strips and strips of
            each kind, strips each order is built on, and the length of narrations.
    """

    orders: Annotated[int, Option("Orders tried besides the reverse.", least=0)] = 23
    all_orders: Annotated[bool, Option("Try all 720 orders.", name="--all-orders")] = False
    alpha: Annotated[float, Option("Factor of the direction.")] = 1.0
    layouts: tuple[Layout, ...] = LAYOUTS
    each: int | None = None
    order_strips: int = OrderSettings.order_strips
    max_new_tokens: int = OrderSettings.max_new_tokens


def _turned(context: ExperimentContext, options: ReadingOptions) -> list[RunFolder]:
    """The direction of reading: found on some drawn strips, tried on others."""
    layouts, count, seed = options.layouts, options.each or context.limit, context.seed
    tuning, strips = (
        {
            layout.name: draw_strips(count, seed + distance + i, layout.panels)
            for i, layout in enumerate(layouts)
        }
        for distance in (TUNING_SEED, SEED)
    )
    found = reading_directions.run(
        context.vlm,
        tuning,
        reading_directions.ReadingSettings(layouts, seed),
        context.whole.announced("Collecting directions of reading"),
    )
    directions = reading_directions.load_directions(found.path)
    settings = OrderSettings(
        layouts,
        options.alpha,
        None if options.all_orders else options.orders,
        options.order_strips,
        options.max_new_tokens,
        seed,
        context.judge.name,
    )
    material = Material(strips, tuning[layouts[0].name], directions)
    announced = context.announced("Turning the order of reading")
    return [found, run(context.vlm, material, settings, announced, context.judge)]


READING_ORDER = register(
    Experiment(
        EXPERIMENT,
        "The order of reading, turned by a direction in the residual stream",
        OrderSettings,
        results,
        ReadingRecord,
        Command(
            "reading-order",
            "Turn the order of reading with a direction in the residual stream "
            "(drawn strips only).",
            _turned,
            ReadingOptions,
            draws_strips=True,
            place=70,
            full=(ReadingOptions(each=8),),
            quick=(
                ReadingOptions(
                    orders=2,
                    layouts=(Layout(6), Layout(3)),
                    each=2,
                    order_strips=1,
                    max_new_tokens=80,
                ),
            ),
        ),
        {
            "flips": published.FLIPS,
            "narration": published.NARRATION_RHO,
            "starts_at_last": published.STARTS_AT_LAST,
        },
    )
)
