"""From run folders to the sections of a report; a new experiment adds one function here."""

from __future__ import annotations

from collections.abc import Callable

from gazeheads.study import published
from gazeheads.study.experiments import (
    discover,
    discover_layouts,
    head_sets,
    natural,
    reading_directions,
    reading_order,
    staircase,
    steer_dynamic,
    steer_vqa,
    sweeps,
)
from gazeheads.study.experiments.steered_answers import GAZE
from gazeheads.study.report import figures, tables, variants
from gazeheads.study.report.blocks import (
    FigureBlock,
    Section,
    Tile,
)
from gazeheads.study.report.dynamic import dynamic_section
from gazeheads.study.report.heads import heads_section, layouts_section
from gazeheads.study.report.natural import natural_section
from gazeheads.study.report.numbers import Runs, percent
from gazeheads.study.report.reading import directions_section, order_section
from gazeheads.study.report.staircase import staircase_section
from gazeheads.study.report.steered import conditions_section, steering_section
from gazeheads.study.report.theme import save


def headline(runs: Runs) -> list[Tile]:
    """The numbers to see first."""
    tiles: list[Tile] = []
    if run := runs.get(steer_vqa.EXPERIMENT):
        results = run.summary["results"]
        for condition in results["conditions"]:
            name, k = condition["condition"], condition["k"]
            share = 100 * k / results["heads"]
            own = condition["accuracy"]
            who = f"{k} {'gaze' if name == GAZE else name} heads" if name != "all" else "all heads"
            note = f"{share:.3g}% of {results['heads']}; {own['hits']} of {own['total']} answers"
            tiles.append(Tile(percent(own), f"of answers follow when {who} are steered", note))
    if run := runs.get(staircase.EXPERIMENT):
        tracking = run.summary["results"]["tracking"]
        other = tracking.get(staircase.CONTROL)
        note = f"random heads: {percent(other)}" if other else ""
        tiles.append(
            Tile(
                percent(tracking[staircase.GAZE]),
                "of a free narration is written with the gaze heads on the panel it tells",
                note,
            )
        )
    return tiles


def sweep_section(runs: Runs) -> Section:
    """Accuracy by the number of heads."""
    run = runs[steer_vqa.SWEEP]
    results = run.summary["results"]
    conditions, heads = results["conditions"], results["heads"]
    peak = results["peak"]
    picture = save(
        run.path,
        "k-curve",
        lambda theme: figures.k_curve(theme, conditions, heads, results["chance"]),
    )
    pairs = conditions[0]["pairs"]
    figure = FigureBlock(
        picture,
        f"Curve of accuracy by number of heads; the peak is {100 * peak['accuracy']:.0f}% at "
        f"{peak['k']} heads.",
        f"Accuracy by the study's rules against the number of heads steered, {pairs} answers each; "
        f"the dashed line is {published.MODEL} as published, by share of its own heads.",
        (tables.write_conditions(run.path, "k-curve.csv", conditions),),
    )
    return Section(
        "how-many",
        "How many heads it takes",
        (
            f"Steering {peak['k']} of {heads} heads ({100 * peak['k'] / heads:.1f}%) works best. "
            "That number was chosen here, on the strips the heads were found on; everything under "
            "the other headings was measured on other strips.",
        ),
        (figure,),
    )


SECTIONS: tuple[tuple[str, Callable[[Runs], Section]], ...] = (
    (steer_vqa.EXPERIMENT, steering_section),
    (steer_vqa.EXPERIMENT, conditions_section),
    (discover.EXPERIMENT, heads_section),
    (discover_layouts.EXPERIMENT, layouts_section),
    (steer_vqa.SWEEP, sweep_section),
    *((name, variants.sweep_section(name)) for name in sweeps.NAMES),
    (head_sets.EXPERIMENT, variants.head_sets_section),
    (steer_vqa.NARRATION, variants.narration_section),
    (steer_dynamic.EXPERIMENT, dynamic_section),
    (staircase.EXPERIMENT, staircase_section(staircase.EXPERIMENT)),
    (staircase.REVERSE, staircase_section(staircase.REVERSE)),
    (reading_directions.EXPERIMENT, directions_section),
    (reading_order.EXPERIMENT, order_section),
    (natural.EXPERIMENT, natural_section),
)
"""Which experiment fills which section, in reading order."""


def sections_of(runs: Runs) -> list[Section]:
    """The sections that the runs of one model fill; draws their figures into the run folders."""
    return [build(runs) for experiment, build in SECTIONS if experiment in runs]
