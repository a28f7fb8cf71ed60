"""From run folders to the sections of a report; a new experiment adds one function here."""

from __future__ import annotations

from collections.abc import Callable

from gazeheads.experiments import (
    discover,
    head_sets,
    published,
    staircase,
    steer_dynamic,
    steer_vqa,
    sweeps,
)
from gazeheads.experiments.discover import load_scores
from gazeheads.experiments.steered_answers import GAZE
from gazeheads.heads import Head
from gazeheads.report import figures, tables, variants
from gazeheads.report.blocks import (
    FigureBlock,
    Section,
    Tile,
)
from gazeheads.report.dynamic import dynamic_section
from gazeheads.report.numbers import Runs, percent, steered_heads
from gazeheads.report.staircase import staircase_section
from gazeheads.report.steered import conditions_section, steering_section
from gazeheads.report.theme import save

SHOWN_HEADS = 4


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


def heads_section(runs: Runs) -> Section:
    """The matrices, the map and the histogram."""
    run = runs[discover.EXPERIMENT]
    results, scores, k = run.summary["results"], load_scores(run.path), steered_heads(runs)
    chosen: list[Head] = list(scores.ranking()[:k]) if k else []
    best = results["top"][0]
    listed = tables.write_scores(run.path, scores)
    shown = FigureBlock(
        save(run.path, "matrices", lambda theme: figures.matrices(theme, scores, SHOWN_HEADS)),
        f"Attention matrices; the best head, {best['head']}, scores {best['score']:.2f}.",
        "Each square: when asked about one panel (rows), how much attention goes to each panel "
        "(columns). A gaze head is a diagonal: it looks at the panel in question.",
        (tables.write_matrices(run.path, scores, SHOWN_HEADS),),
    )
    mapped = FigureBlock(
        save(run.path, "head-map", lambda theme: figures.head_map(theme, scores, chosen)),
        "Map of gaze scores by layer and head.",
        "Every head of the model by its gaze score.",
        (listed,),
    )
    counted = FigureBlock(
        save(run.path, "histogram", lambda theme: figures.histogram(theme, scores, k)),
        "Histogram of gaze scores.",
        "How many heads have which gaze score; the count is logarithmic.",
        (listed,),
    )
    units = run.summary["units"]
    return Section(
        "heads",
        "The heads that look",
        (
            f"Asked about each panel of {units} strips in turn, every head is scored by how much "
            "of its attention goes to the panel in question. The best head, "
            f"{best['head']}, gives that panel {best['score']:.2f} of its attention on average and "
            f"at most {best['largest_off_diagonal']:.2f} to any other; "
            f"{100 * results['low_share']:.0f}% of all heads score {results['low_score']} or less.",
        ),
        (shown, mapped, counted),
    )


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
    (steer_vqa.SWEEP, sweep_section),
    *((name, variants.sweep_section(name)) for name in sweeps.NAMES),
    (head_sets.EXPERIMENT, variants.head_sets_section),
    (steer_vqa.NARRATION, variants.narration_section),
    (steer_dynamic.EXPERIMENT, dynamic_section),
    (staircase.EXPERIMENT, staircase_section(staircase.EXPERIMENT)),
    (staircase.REVERSE, staircase_section(staircase.REVERSE)),
)
"""Which experiment fills which section, in reading order."""


def sections_of(runs: Runs) -> list[Section]:
    """The sections that the runs of one model fill; draws their figures into the run folders."""
    return [build(runs) for experiment, build in SECTIONS if experiment in runs]
