"""Every experiment of the study on one model, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from gazeheads.data.strip import Strip
from gazeheads.study import catalogue
from gazeheads.study.context import Bench, finished
from gazeheads.study.experiments import discover, sweeps
from gazeheads.study.experiments.discover_layouts import LAYOUTS as STRIP_LAYOUTS
from gazeheads.study.experiments.discover_layouts import MAIN, StripLayout
from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.experiments.reading_directions import LAYOUTS
from gazeheads.study.experiments.reading_order import OrderSettings
from gazeheads.study.runs import RunFolder


@dataclass(frozen=True)
class Scale:
    """How much of everything is done.

    Attributes:
        strips: to steer on.
        lengths, per_length: of strips in the sweep over panels, and how many of each.
        layouts, per_layout: of discovery, and strips of each.
        reading: strips per layout of the reading order.
        labels: layouts of the reading order.
        orders: of the reading order, and the strips each is built on.
        objects: pictures with objects.
    """

    strips: int = 20
    lengths: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    per_length: int = 6
    layouts: tuple[StripLayout, ...] = STRIP_LAYOUTS
    per_layout: int = 6
    reading: int = 8
    labels: tuple[Layout, ...] = LAYOUTS
    orders: OrderSettings = field(default_factory=OrderSettings)
    objects: int = 30


FULL = Scale()
QUICK = Scale(
    strips=3,
    lengths=(3, 6),
    per_length=2,
    layouts=(StripLayout(3), MAIN, StripLayout(6, 3)),
    per_layout=2,
    reading=2,
    labels=(Layout(6), Layout(3)),
    orders=OrderSettings(orders=2, order_strips=1, max_new_tokens=80),
    objects=4,
)


def run(
    bench: Bench, scale: Scale, lengths: Sequence[Strip], segment: int, sweep_k: bool
) -> Iterator[RunFolder]:
    """Runs everything; each part goes on where it stopped and is given out when it is done.

    Args:
        bench: the model; its `k` is used unless `sweep_k`.
        scale: how much.
        lengths: strips of several lengths.
        segment: tokens between switches of the dynamic narration.
        sweep_k: choose the number of heads by a sweep on the tuning strips first.
    """
    *core_runs, answers = core(bench, sweep_k)
    yield from (*core_runs, answers)
    bench = replace(bench, k=int(answers.settings["ks"][0]))
    yield catalogue.narration(bench)
    for name in sweeps.NAMES:
        yield catalogue.sweep(bench, name, lengths if name == sweeps.PANELS else bench.strips)
    yield from catalogue.other_head_sets(bench)
    yield catalogue.dynamic(bench, segment)[-1]
    yield catalogue.watched(bench)
    yield catalogue.watched(bench, reverse=True)
    yield catalogue.layouts(bench, scale.per_layout, scale.layouts)
    yield from catalogue.reading(bench, scale.reading, scale.orders, scale.labels)
    yield catalogue.objects(bench, scale.objects)


def core(bench: Bench, sweep_k: bool) -> Iterator[RunFolder]:
    """What is compared between models: the heads, how many to steer, and the main table."""
    if found := finished(bench.vlm, bench.options, discover.EXPERIMENT):
        yield found
    if sweep_k:
        swept = catalogue.sweep_k(bench)
        yield swept
        bench = replace(bench, k=int(swept.summary["results"]["peak"]["k"]))
    yield catalogue.answers(bench)
