"""The sections about the order of reading: the directions, and what adding them does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gazeheads.study import published
from gazeheads.study.experiments import reading_directions, reading_order
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock, colour_of
from gazeheads.study.report.dynamic import rho
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.numbers import Results, Runs, percent
from gazeheads.study.report.reading_map import flips_by_panel, layer_sentence, patching_map
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import Estimated, number, part, write_estimates
from gazeheads.study.report.theme import Theme, save
from gazeheads.study.report.variants import ANOTHER_MODEL


@section(reading_directions.EXPERIMENT, place=120)
def directions_section(runs: Runs) -> Section:
    """Whether the model answers in both orders, and where it keeps which panel is meant."""
    run = runs[reading_directions.EXPERIMENT]
    results = run.summary["results"]
    head = ("labels on panels", "right, plain", "right, asked to read in reverse")
    rows = tuple(
        (own["name"], percent(own["plain"], interval=True), percent(own["reverse"], interval=True))
        for own in results["layouts"]
    )
    blocks: list[FigureBlock | TableBlock] = []
    if results["positions"]["layer"] is not None:
        blocks.append(_positions(run.path, results["positions"]))
    return Section(
        "reading-directions",
        "Which panel is meant: states before the answer",
        (
            "Letters or digits are painted on the panels and the model is asked for one of them, "
            "plainly and with the request to read in reverse. Everything below rests on the "
            "model answering such questions; the table tells how often it does.",
        ),
        (TableBlock(head, rows), *blocks),
    )


def _positions(folder: Path, positions: Results) -> FigureBlock:
    layer = positions["layer"]
    count = len(positions["panels"])
    rows = [
        ((layer_, "silhouette"), number(score, count))
        for layer_, score in enumerate(positions["silhouette"])
    ]
    return FigureBlock(
        save(folder, "positions", lambda theme: _positions_figure(theme, positions)),
        "States by panel asked about, and silhouette score by layer.",
        f"Left: states at the last token on their first two principal components at layer {layer}, "
        "coloured by the panel asked about. Right: how well they are told apart, layer by layer. "
        f"The silhouette of {published.MODEL}, another model, peaks at layer "
        f"{published.SILHOUETTE_LAYER} of {published.LAYERS}.",
        (write_estimates(folder / "silhouette.csv", ("layer", "measure"), rows),),
    )


def _positions_figure(theme: Theme, positions: Results) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.7))
    left, right = figure.subplots(1, 2)
    points, panels = np.array(positions["points"]), np.array(positions["panels"])
    for panel in sorted(set(positions["panels"])):
        own = points[panels == panel]
        left.scatter(own[:, 0], own[:, 1], s=14, color=colour_of(panel), label=str(panel))
    left.set_xticks([])
    left.set_yticks([])
    left.legend(title="panel", loc="best", handletextpad=0.1, fontsize=7.5)
    left.set_title(f"layer {positions['layer']}")
    right.plot(positions["silhouette"], marker="o", markersize=3.5, color=theme.gaze)
    right.set_xlabel("layer")
    right.set_title("silhouette score")
    right.grid(axis="y")
    return figure


@section(reading_order.EXPERIMENT, place=130)
def order_section(runs: Runs) -> Section:
    """What the directions do: flips by layer, other orders, narration."""
    run = runs[reading_order.EXPERIMENT]
    results = run.summary["results"]
    layouts = results["layouts"]
    main = layouts[0]
    return Section(
        "reading-order",
        "Turning the order of reading without a word",
        (
            "The direction from plain reading to reading in reverse is added to the residual "
            "stream after one layer while the plain question about the first panel is asked. An "
            "answer flips when it names the label of the last panel, as reading in reverse would.",
            f"{_best(main)} {layer_sentence(main['by_layer'])} Unsteered, "
            f"{percent(main['plain'])} of the answers about all panels are right.{_unread(main)}",
        ),
        (
            _by_layer(run.path, layouts),
            _flip_table(run.model, layouts),
            *([flips_by_panel(run.path, main["tried"])] if main.get("tried") else []),
            *([patching_map(run.path, own)] if (own := results.get("patching")) else []),
            _orders_table(run.path, results["orders"]),
            _narration_table(results["narration"], results["band"]),
        ),
    )


def _best(main: Results) -> str:
    if not main["best"]["hits"]:
        return "Here no answer flips at any layer."
    rate = percent(main["best"], interval=True)
    return f"Here {rate} flip at layer {main['best_layer']}, the best one."


def _unread(main: Results) -> str:
    """Said when flips mean little, because the labels are not read to begin with."""
    if main["plain"]["value"] >= 0.5:
        return ""
    return " That is too few: the model does not read these labels, and flips say little about it."


def _by_layer(folder: Path, layouts: Sequence[Results]) -> FigureBlock:
    layers = range(len(layouts[0]["by_layer"]))
    lines = {own["name"]: [rate["value"] for rate in own["by_layer"]] for own in layouts}
    rows = [row for own in layouts for row in _flips(own)]
    return FigureBlock(
        save(
            folder,
            "flips",
            lambda theme: charts.curves(
                theme, layers, lines, xlabel="layer", ylabel="answers that flip"
            ),
        ),
        "Flip rate by layer.",
        "Share of answers about the first panel that flip when the direction is added after one "
        "layer. The file also has the difference of the two labels' logits.",
        (write_estimates(folder / "flips.csv", ("variant", "layer", "measure"), rows),),
    )


def _flips(own: Results) -> list[Estimated]:
    """Flips and difference of the logits by layer; without a layer that of plain questions."""
    name, count = own["name"], own["by_layer"][0]["total"]
    flips = [((name, i, "flips"), rate) for i, rate in enumerate(own["by_layer"])]
    gaps = [((name, i, "logit_difference"), number(gap, count)) for i, gap in enumerate(own["gap"])]
    return [*flips, *gaps, ((name, None, "logit_difference"), number(own["gap_unsteered"], count))]


def _flip_table(model: str, layouts: Sequence[Results]) -> TableBlock:
    ours = [
        (
            f"{model}, {own['name']}",
            percent(own["best"], interval=True),
            str(own["best_layer"]) if own["best"]["hits"] else "none",
            f"{own['gap_unsteered']:+.2f}",
            f"{own['gap'][own['best_layer']]:+.2f}",
            percent(own["plain"]),
        )
        for own in layouts
    ]
    theirs = [
        (f"{name}, published", f"{rate:.1f}%", str(layer), "", "", "")
        for name, (rate, layer) in published.FLIPS.items()
    ]
    panels = ", ".join(f"{n}: {rate:.0f}%" for n, rate in published.FLIPS_BY_PANELS.items())
    note = (
        f"{published.MODEL} by number of panels: {panels}; digits instead of letters: "
        f"{published.FLIPS_DIGITS:.0f}%. {ANOTHER_MODEL}"
    )
    head = (
        "model and labels", "flip", "layer", "logit difference unsteered", "at that layer",
        "right unsteered",
    )  # fmt: skip
    return TableBlock(head, (*ours, *theirs), note)


def _orders_table(folder: Path, orders: Sequence[Results]) -> TableBlock:
    def rate(own: Sequence[int]) -> float:
        return own[0] / own[1] if own[1] else 0.0

    rows = [
        (("-".join(map(str, own["order"])), kind), part(*own[kind]))
        for own in orders
        for kind in ("steered", "prompted")
    ]
    write_estimates(folder / "orders.csv", ("order", "measure"), rows)
    reverse, *others = orders
    steered = [rate(own["steered"]) for own in others]
    prompted = [rate(own["prompted"]) for own in others]
    table = (
        (
            "reverse",
            f"{100 * rate(reverse['steered']):.1f}%",
            f"{published.ORDERS_REVERSE:.1f}%",
            f"{100 * rate(reverse['prompted']):.1f}%",
        ),
        (
            f"{len(others)} others, on average",
            f"{100 * float(np.mean(steered or [0])):.1f}%",
            f"{published.ORDERS_OTHERS:.1f}% of 719",
            f"{100 * float(np.mean(prompted or [0])):.1f}%",
        ),
        (
            "the best of them",
            f"{100 * max(steered, default=0):.1f}%",
            f"{published.ORDERS_BEST:.1f}%",
            f"{100 * max(prompted, default=0):.1f}%",
        ),
    )
    head = ("order", "follow the direction", "published", "follow when asked in text")
    note = (
        "Directions of other orders are built the same way, for every panel asked about, from the "
        "order asked for in text; a model that does not follow an order in text has no direction "
        f"for it. In the study every order asked for in text is followed. {ANOTHER_MODEL}"
    )
    return TableBlock(head, table, note)


def _narration_table(narration: Results, band: Sequence[int]) -> TableBlock:
    before, after = published.NARRATION_RHO
    rows = tuple(
        (
            name,
            rho(narration[kind]["rho_reverse"]),
            f"{theirs:+.2f}",
            percent(narration[kind]["starts_at_last"], interval=True),
            last,
        )
        for name, kind, theirs, last in (
            ("unsteered", "plain", before, ""),
            ("with the direction", "turned", after, f"{published.STARTS_AT_LAST:.0f}%"),
        )
    )
    layers = f"layer{'s' if len(band) > 1 else ''} {', '.join(map(str, band))}"
    head = (
        "free narration", "rho with reverse order", "published", "start at the last panel",
        "published, start",
    )  # fmt: skip
    told = narration["turned"]["rho_reverse"]
    counted = told["count"] if told else 0
    total = narration["turned"]["starts_at_last"]["total"]
    note = (
        f"The first panel's direction is added after {layers}, at every token. With it {counted} "
        f"of {total} texts tell three panels or more, which rho needs. {ANOTHER_MODEL}"
    )
    return TableBlock(head, rows, note)
