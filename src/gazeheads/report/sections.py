"""From run folders to the sections of a report; a new experiment adds one function here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gazeheads.experiments import discover, published, staircase, steer_vqa
from gazeheads.experiments.discover import load_scores
from gazeheads.experiments.runs import RunFolder
from gazeheads.experiments.steered_answers import GAZE
from gazeheads.heads import Head
from gazeheads.report import figures, tables
from gazeheads.report.blocks import (
    FigureBlock,
    NarrationBlock,
    Section,
    StripsBlock,
    TableBlock,
    Tile,
    colour_of,
    example_of,
)
from gazeheads.report.theme import save

SHOWN_STRIPS, FOLDED_STRIPS = 4, 16
SHOWN_HEADS = 4

Results = dict[str, Any]
Runs = dict[str, RunFolder]
"""The runs of one model by experiment."""


def percent(own: Results, interval: bool = False) -> str:
    """A share as "95.0%", or as "95.0% (90.8-98.3)"."""
    text = f"{100 * own['value']:.1f}%"
    if interval:
        text += f" ({100 * own['low']:.1f}\N{EN DASH}{100 * own['high']:.1f})"
    return text


def steered_heads(runs: Runs) -> int | None:
    """How many gaze heads were steered, if they were."""
    run = runs.get(steer_vqa.EXPERIMENT) or runs.get(steer_vqa.SWEEP)
    peak = run.summary["results"]["peak"] if run else None
    return int(peak["k"]) if peak else None


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


def steering_section(runs: Runs) -> Section:
    """Strips with one question and one answer per panel."""
    run = runs[steer_vqa.EXPERIMENT]
    results, settings = run.summary["results"], run.settings
    keys = [c["key"] for c in results["conditions"]]
    records = list(run.records.values())[: SHOWN_STRIPS + FOLDED_STRIPS]
    examples = [
        example_of(record, run.path, keys, f"strip-{number}")
        for number, record in enumerate(records, 1)
    ]
    names = tuple(figures.CONDITIONS[c["condition"]] for c in results["conditions"])
    block = StripsBlock(
        settings["prompt"],
        names,
        tuple(examples[:SHOWN_STRIPS]),
        tuple(examples[SHOWN_STRIPS:]),
    )
    count = results["unsteered"]["strips"]
    return Section(
        "answers",
        "One question, a different answer for every panel",
        (
            "The model sees the whole strip as one picture and is asked the same question every "
            "time. All that changes is where its gaze heads are made to look: under each panel "
            "stands what it answers then.",
            f"These are the first of {count} strips, not picked. The colour of an answer tells "
            "which panel it describes.",
        ),
        (block,),
    )


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
    told = "; ".join(
        f"{figures.CONDITIONS[c['condition']]} {percent(c['accuracy'])}" for c in conditions
    )
    data = (
        tables.write_conditions(folder, "conditions.csv", conditions),
        tables.write_by_panel(folder, conditions),
    )
    bars = FigureBlock(
        picture,
        f"Bars of steering accuracy: {told}.",
        "Share of answers that describe the panel the heads were pointed at, with 95% bootstrap "
        "intervals over strips. The dotted line is chance.",
        data,
    )
    unsteered = results["unsteered"]
    return Section(
        "accuracy",
        "How often the answer follows",
        (
            "By the study's rules an incoherent answer is a miss, and so is one that equals the "
            "unsteered answer. A strip whose unsteered answer describes one of its panels can "
            "therefore score five out of six at most; the pale bars count content alone.",
            f"Unsteered, the {unsteered['strips']} answers describe "
            f"{_counts(unsteered['by_panel'])}; {unsteered['ties']} of them mix several panels and "
            f"{unsteered['junk']} describe none.",
        ),
        (bars, _counts_table(conditions), _beside_published(run.model, results)),
    )


def _counts(by_panel: Sequence[int]) -> str:
    told = [f"panel {panel} {_times(n)}" for panel, n in enumerate(by_panel, 1) if n]
    return ", ".join(told) if told else "no panel"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _counts_table(conditions: Sequence[Results]) -> TableBlock:
    rows = tuple(
        (
            f"{figures.CONDITIONS[c['condition']]} ({c['k']})",
            percent(c["accuracy"], interval=True),
            percent(c["content"], interval=True),
            str(c["pairs"]),
            str(c["junk"]),
            str(c["ties"]),
            str(c["baseline_matches"]),
        )
        for c in conditions
    )
    head = (
        "steered", "follow", "by content alone", "pairs", "no panel", "several panels",
        "as unsteered",
    )  # fmt: skip
    return TableBlock(head, rows)


def _beside_published(model: str, results: Results) -> TableBlock:
    by_name = {c["condition"]: c for c in results["conditions"]}
    gaze = by_name.get(GAZE)
    k = gaze["k"] if gaze else 0
    ours = [
        percent(by_name[name]["accuracy"], interval=True) if name in by_name else "not run"
        for name in published.VQA_ACCURACY
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
        ("model", "heads steered", "gaze", "random", "all"),
        rows,
        f"{published.MODEL} is another model, far larger, on other comics with another judge: its "
        f"figures are those of {published.STUDY} and show the shape to expect, not a score to "
        "beat.",
    )


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


def staircase_section(runs: Runs) -> Section:
    """Where the heads look during a narration."""
    run = runs[staircase.EXPERIMENT]
    results = run.summary["results"]
    record = _telling(list(run.records.values()))
    tracking = {name: percent(own, interval=True) for name, own in results["tracking"].items()}
    figure = FigureBlock(
        save(run.path, "staircase", lambda theme: figures.staircase(theme, record)),
        "Attention by panel over the words of a narration.",
        f"Strip {record['unit']}: share of attention on each panel (rows) as each new token is "
        "written. The outline is the panel the words are about.",
        (tables.write_staircase(run.path, record),),
    )
    pieces = tuple(
        (piece, colour_of(panel))
        for piece, panel in zip(record["pieces"], record["narrated"], strict=True)
        if piece
    )
    told = NarrationBlock(pieces, "The narration, coloured by the panel each sentence is about.")
    against = f", random heads for {tracking[staircase.CONTROL]}" if len(tracking) > 1 else ""
    return Section(
        "staircase",
        "Nobody steering: the gaze moves with the story",
        (
            f"Asked to tell the whole strip, the model is only watched. For {tracking['gaze']} of "
            "the tokens that describe a panel the gaze heads look at that panel more than at any "
            f"other{against}; chance is {100 * results['chance']:.0f}%.",
            f"{results['in_order']} of {results['strips']} narrations go through their panels in "
            f"order; {results['panels_narrated']} of {results['panels_shown']} panels are told.",
        ),
        (figure, told),
    )


def _telling(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first narration that tells most of its panels."""
    return max(records, key=lambda record: len(set(record["order"])))


SECTIONS: tuple[tuple[str, Callable[[Runs], Section]], ...] = (
    (steer_vqa.EXPERIMENT, steering_section),
    (steer_vqa.EXPERIMENT, conditions_section),
    (discover.EXPERIMENT, heads_section),
    (steer_vqa.SWEEP, sweep_section),
    (staircase.EXPERIMENT, staircase_section),
)
"""Which experiment fills which section, in reading order."""
