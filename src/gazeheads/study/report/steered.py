"""The sections about steering: examples, accuracy, and the published figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence

from gazeheads.study import published
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.counting import ALL, GAZE
from gazeheads.study.report import figures, profiles, tables
from gazeheads.study.report.blocks import (
    FigureBlock,
    Section,
    StripsBlock,
    TableBlock,
    Tile,
    example_of,
)
from gazeheads.study.report.confusion import confusion_blocks
from gazeheads.study.report.controls import (
    Distribution,
    controls_blocks,
    controls_told,
    no_controls_told,
)
from gazeheads.study.report.naming import called, heads_called
from gazeheads.study.report.numbers import Results, Runs, counts, followed, percent
from gazeheads.study.report.sections import headline_of, section
from gazeheads.study.report.theme import save

SHOWN_STRIPS, FOLDED_STRIPS = 4, 16


@headline_of(steer_vqa.EXPERIMENT, place=10)
def steering_tiles(runs: Runs) -> list[Tile]:
    """How many answers follow, condition by condition."""
    results = runs[steer_vqa.EXPERIMENT].summary["results"]
    tiles = []
    for condition in results["conditions"]:
        name, k = condition["condition"], condition["k"]
        share = 100 * k / results["heads"]
        own, drawn = condition["accuracy"], condition.get("controls")
        who = heads_called(name, k) if name != ALL else "all heads"
        living = f" ({results['living']} living)" if results.get("living") else ""
        note = f"{share:.3g}% of {results['heads']} heads{living}; "
        note += f"{own['hits']} of {own['total']} answers"
        value = percent(own)
        if drawn is not None:
            value = f"{100 * drawn['median']:.1f}%"
            p = "" if drawn["p"] is None else f", p = {drawn['p']:.3f}"
            note = (
                f"median of {len(drawn['draws'])} random sets, "
                f"{100 * drawn['least']:.1f} to {100 * drawn['most']:.1f}%{p}"
            )
        elif name == GAZE and condition.get("clean") is not None:
            note += f", {percent(condition['clean'])} clean"
        tiles.append(Tile(value, f"of answers follow when {who} are steered", note))
    return tiles


@section(steer_vqa.EXPERIMENT, place=10)
def steering_section(runs: Runs) -> Section:
    """Strips with one question and one answer per panel."""
    run = runs[steer_vqa.EXPERIMENT]
    results, settings = run.summary["results"], run.settings
    keys = [c["key"] for c in results["conditions"]]
    records = list(run.records.values())[: SHOWN_STRIPS + FOLDED_STRIPS]
    examples = [example_of(record, run.path, keys) for record in records]
    names = tuple(heads_called(c["condition"]) for c in results["conditions"])
    block = StripsBlock(
        settings["prompt"],
        names,
        tuple(examples[:SHOWN_STRIPS]),
        tuple(examples[SHOWN_STRIPS:]),
    )
    count = results["unsteered"]["strips"]
    return Section(
        "answers",
        "The same question, looking at each panel in turn",
        (
            "The model sees the whole strip as one picture and is asked the same question every "
            f"time. All that changes is where its {heads_called()} are made to look: under each "
            "panel stands what it answers then.",
            f"These are the first of {count} strips, not picked. The colour of an answer tells "
            "which panel it describes; a tick in brackets stands for a hit that is not clean: it "
            "says something twice, or something of another panel too. Of the random heads the "
            "first draw is shown.",
        ),
        (block,),
    )


@section(steer_vqa.EXPERIMENT, place=20)
def conditions_section(runs: Runs) -> Section:
    """Accuracy of the gaze heads and the controls, and the published figures."""
    run = runs[steer_vqa.EXPERIMENT]
    results = run.summary["results"]
    conditions, folder = results["conditions"], run.path
    picture = save(
        folder,
        "conditions",
        lambda theme: figures.condition_bars(theme, conditions, results["chance"]),
    )
    told = "; ".join(f"{heads_called(c['condition'])} {followed(c)}" for c in conditions)
    distributions = {
        f"{c['k']} random heads": Distribution("accuracy", c["k"], c["controls"])
        for c in conditions
        if c.get("controls")
    }
    drawn = controls_blocks(folder, distributions, results["chance"], "answers that follow")
    data = (
        tables.write_conditions(folder / "conditions.csv", conditions),
        tables.write_by_panel(folder, conditions),
    )
    bars = FigureBlock(
        picture,
        f"Bars of steering accuracy: {told}.",
        "Share of answers that describe the panel the heads were pointed at, with 95% intervals "
        "over strips (bootstrap, at 0 and 100% Wilson's); of random heads the median and range of "
        "all sets. The dotted line is chance.",
        data,
    )
    unsteered = results["unsteered"]
    return Section(
        "accuracy",
        "How often the answer follows",
        (
            "By the study's rules an incoherent answer is a miss, and so is one that equals the "
            "unsteered answer, even where that describes the panel in question. The pale bars "
            "count content alone.",
            *(told for c in conditions if c["condition"] == "random" for told in controls_told(c)),
            *no_controls_told(conditions),
            unsteered_told(unsteered),
        ),
        (
            bars,
            *drawn,
            _counts_table(conditions),
            *profiles.profile_blocks(folder, conditions, unsteered),
            *confusion_blocks(run),
            _beside_published(run.model, results),
        ),
    )


def unsteered_told(own: Results) -> str:
    """What the unsteered answers describe, from the same numbers as the table."""
    described = sum(own["by_panel"])
    told = (
        (described, ("describes", "describe"), f"one panel ({_counts(own['by_panel'])})"),
        (own["ties"], ("fits", "fit"), "several panels equally"),
        (own["junk"], ("describes", "describe"), "none"),
        (own.get("unjudged", 0), ("was", "were"), "not judged"),
    )
    parts = [f"{n} {verbs[n > 1]} {what}" for n, verbs, what in told if n]
    return f"Of the {own['strips']} unsteered answers {', '.join(parts)}."


def _counts(by_panel: Sequence[int]) -> str:
    told = [f"panel {panel} {_times(n)}" for panel, n in enumerate(by_panel, 1) if n]
    return ", ".join(told) if told else "no panel"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _counts_table(conditions: Sequence[Results]) -> TableBlock:
    named, cells = counts(conditions)
    rows = tuple(
        (f"{heads_called(c['condition'])} ({c['k']})", *told)
        for c, told in zip(conditions, cells, strict=True)
    )
    return TableBlock(("steered", *named), rows)


def _beside(ranking: str) -> str:
    return GAZE if ranking == GAZE else f"{ranking} (published: {GAZE})"


def _beside_published(model: str, results: Results) -> TableBlock:
    by_name = {c["condition"]: c for c in results["conditions"]}
    gaze = by_name.get(GAZE)
    k = gaze["k"] if gaze else 0
    ours = [
        followed(by_name[name]) if name in by_name else "not run" for name in published.VQA_ACCURACY
    ]
    theirs = [f"{value:.1f}%" for value in published.VQA_ACCURACY.values()]
    rows = (
        (
            f"{model}, here",
            f"{k} of {results['heads']} ({100 * k / results['heads']:.1f}%)",
            *ours,
        ),
        (
            f"{published.MODEL}, published",
            f"{published.PEAK_K} of {published.HEADS:,} "
            f"({100 * published.PEAK_K / published.HEADS:.1f}%)",
            *theirs,
        ),
    )
    return TableBlock(
        ("model", "heads steered", _beside(called(GAZE)), "random", "all"),
        rows,
        f"{published.MODEL} is another model, far larger, on other comics with another judge: its "
        f"figures are those of {published.STUDY} and show the shape to expect, not a score to "
        "beat.",
    )
