"""Turning the order of reading: one direction added to the residual stream, nothing said in text.

A plain question about the label of the k-th panel is answered while the direction "read in
reverse" found on questions about the k-th panel is added after ONE layer; the answer flips when it
names the label that reverse reading would. The study's figures are of the first panel. The same
with other orders, and during a free narration; and where in the prompt the order is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.judges import Judge, chosen_judge
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments import reading_directions
from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.experiments.reading_directions import LAYOUTS, SEED, TUNING_SEED
from gazeheads.study.experiments.reading_probe import orders_of as orders_of  # noqa: PLC0414
from gazeheads.study.experiments.reading_summary import (
    FLIP,
    ReadingRecord,
    chosen_layers,
    of_kind,
    results,
)
from gazeheads.study.experiments.reading_work import (
    Material,
    OrderSettings,
    flips,
    narrations,
    orders,
    patches,
)
from gazeheads.study.identity import model_fingerprint, strips_fingerprint
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "reading-order"


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
        yield flips(vlm, material, settings, batch, settings.layouts[:1], shared=True)
        yield flips(vlm, material, settings, batch, settings.layouts[1:])
        layer, band = chosen_layers(of_kind(folder.ordered(), FLIP, settings.layouts[0].name))
        yield patches(vlm, material, settings, batch)
        yield orders(vlm, material, settings, batch, layer)
        yield narrations(vlm, material, settings, band, judge)

    return READING_ORDER.carry_out(vlm.name, whole, options, work)


def _directions_sums(directions: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: round(float(np.abs(own).sum()), 3) for name, own in directions.items()}


@dataclass(frozen=True)
class ReadingOptions:
    """Options of the command, and what `reproduce` does.

    Attributes:
        orders: tried besides the reverse one.
        all_orders: try all there are.
        alpha: factor of the direction.
        layouts, each, order_strips, patch_strips, max_new_tokens: for `reproduce`: kinds of strips
            and strips of each kind, strips each order is built on and states are moved on, and the
            length of narrations.
    """

    orders: Annotated[int, Option("Orders tried besides the reverse.", least=0)] = 23
    all_orders: Annotated[bool, Option("Try all 720 orders.", name="--all-orders")] = False
    alpha: Annotated[float, Option("Factor of the direction.")] = 1.0
    layouts: tuple[Layout, ...] = LAYOUTS
    each: int | None = None
    order_strips: int = OrderSettings.order_strips
    patch_strips: int = OrderSettings.patch_strips
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
        options.patch_strips,
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
            full=(ReadingOptions(each=12),),
            quick=(
                ReadingOptions(
                    orders=2,
                    layouts=(Layout(6), Layout(3)),
                    each=2,
                    order_strips=1,
                    patch_strips=1,
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
