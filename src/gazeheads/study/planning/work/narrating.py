"""Work of the experiments that watch and steer narrations, and of those that turn their order."""

from __future__ import annotations

from dataclasses import replace

from gazeheads import prompts
from gazeheads.study.experiments import (
    prior_heads,
    reading_directions,
    reading_order,
    staircase,
    steer_dynamic,
)
from gazeheads.study.experiments.labelled import Layout, forward_questions
from gazeheads.study.experiments.question import LONG_TEXT_STRIPS
from gazeheads.study.experiments.reading_order import ReadingOptions
from gazeheads.study.experiments.reading_probe import orders_of
from gazeheads.study.experiments.staircase import StaircaseOptions
from gazeheads.study.experiments.steer_dynamic import DynamicOptions, segment_for
from gazeheads.study.planning.loads import Load, PromptLike, Scale, Workload, plans
from gazeheads.study.planning.work.answers import controls
from gazeheads.study.planning.work.ranking import by_earlier_methods


@plans("steer-dynamic")
def moved(scale: Scale, options: DynamicOptions) -> list[Workload]:
    """Narrations under a moving gaze, by gaze heads, earlier methods' and random ones.

    Only decode steps are steered, so the prompt is read once for all rows; but the first strip's
    text under the gaze heads is watched, and written alone.
    """
    segment = options.segment or segment_for(scale.model)
    few = min(scale.strips, options.draw_strips or LONG_TEXT_STRIPS)
    new, single = segment * len(scale.strip), 2 + len(prior_heads.KINDS)
    draws = len(controls(scale, scale.k, options.draws))
    asked = PromptLike(prompts.FREE_NARRATION, (scale.strip.image,))
    loads = []
    alone = draws if draws == 1 else 0  # a single set is no draw: it is measured on every strip
    first = [(1, 1), (single + draws - 1, 1)]
    others = [(single + draws, few - 1), (single + alone, scale.strips - few)]
    for rows, times in first + others:
        batches = scale.plain(asked, rows, new, times) if times else []
        loads += [replace(load, layers=1.0, acted=True) for load in batches]
    return [
        by_earlier_methods(scale),
        Workload(steer_dynamic.EXPERIMENT, scale.strips, tuple(loads)),
    ]


@plans("staircase")
def watched(scale: Scale, options: StaircaseOptions) -> list[Workload]:
    """A narration of every strip, several strips at once."""
    text = prompts.REVERSE_NARRATION if options.reverse else prompts.FREE_NARRATION
    settings = staircase.StaircaseSettings(scale.k, text)
    asked = PromptLike(text, (scale.strip.image,))
    new = scale.said(len(scale.strip), settings.max_new_tokens)
    full, rest = divmod(scale.strips, staircase.STRIPS_AT_ONCE)
    batches = [(staircase.STRIPS_AT_ONCE, full), (rest, 1 if rest else 0)]
    loads = tuple(Load(asked, n, t, new, encoded=n) for n, t in batches if n and t)
    name = staircase.REVERSE if options.reverse else staircase.EXPERIMENT
    return [Workload(name, scale.strips, loads)]


@plans("reading-order")
def turned(scale: Scale, options: ReadingOptions) -> list[Workload]:
    """States collected, directions tried at every layer, states moved, orders, narrations."""
    each = options.each or scale.limit
    main = options.layouts[0]
    orders = orders_of(main.panels, None if options.all_orders else options.orders, scale.seed)
    built = min(options.order_strips, each)
    narrated = PromptLike(prompts.FREE_NARRATION, (scale.picture(main.panels),))
    patched = min(options.patch_strips, each)
    loads = [
        *(load for layout in options.layouts for load in _flips(scale, layout, each, main)),
        *_patches(scale, main, patched),
        *scale.plain(_asked(scale, main), 2 * main.panels, times=built * len(orders)),
        *(
            load
            for order in orders
            for load in scale.plain(
                _asked(scale, main), sum(n != k for k, n in enumerate(order, 1)), times=built
            )
        ),
        Load(narrated, 1, 2 * each, scale.said(main.panels, options.max_new_tokens), acted=False),
    ]
    collected = [
        load
        for layout in options.layouts
        for load in scale.plain(_asked(scale, layout), 2 * layout.panels, times=each)
    ]
    units = each * len(options.layouts)
    return [
        Workload(reading_directions.EXPERIMENT, units, tuple(collected)),
        Workload(reading_order.EXPERIMENT, units + patched + len(orders) + each, tuple(loads)),
    ]


def _asked(scale: Scale, layout: Layout) -> PromptLike:
    """A question about a label."""
    return PromptLike(forward_questions(layout)[0], (scale.picture(layout.panels),))


def _flips(scale: Scale, layout: Layout, each: int, main: Layout) -> list[Load]:
    """Every panel's question unsteered, and with its directions after every layer in turn.

    Of an odd number of panels the middle one stays where it is and is not steered.
    """
    loads = []
    for k in range(layout.panels):
        moves = 2 * k + 1 != layout.panels
        tried = 1 if layout != main else 2 + bool(k)
        rows = 1 + (tried * scale.num_layers if moves else 0)
        loads += scale.plain(_asked(scale, layout), rows, times=each)
    return loads


def _patches(scale: Scale, layout: Layout, strips: int) -> list[Load]:
    """Every token after the image in every layer, of every question that reverse reading moves."""
    moved = layout.panels - layout.panels % 2
    asked = _asked(scale, layout)
    encoded = scale.encode(asked)
    tail = len(encoded) - int(encoded.tokens.positions[-1]) - 1
    rows = scale.num_layers * tail
    return [
        *scale.plain(asked, moved, times=strips),
        *scale.plain(asked, rows, times=strips * moved),
    ]
