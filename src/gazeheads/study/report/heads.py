"""The sections about finding heads: the gaze heads, and the same on other layouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gazeheads.head_set import head_named
from gazeheads.heads import Head
from gazeheads.study import published
from gazeheads.study.experiments import discover, discover_layouts
from gazeheads.study.experiments.discover import load_scores
from gazeheads.study.report import figures, tables
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.numbers import Results, Runs, out_of, steered_heads
from gazeheads.study.report.sections import section
from gazeheads.study.report.theme import Theme, save
from gazeheads.study.runs import RunFolder

SHOWN_HEADS = 4


@section(discover.EXPERIMENT, place=30)
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
        save(
            run.path,
            "histogram",
            lambda theme: figures.histogram(theme, scores, k, discover.CUT_OFFS),
        ),
        "Histogram of gaze scores.",
        "How many heads have which gaze score; the count is logarithmic. Dotted: the cut-offs of "
        "the table below.",
        (listed,),
    )
    units = run.summary["units"]
    null = _null(run, results)
    return Section(
        "heads",
        "The heads that look",
        (
            f"Asked about each panel of {units} strips in turn, every head is scored by how much "
            "of its attention goes to the panel in question. The best head, "
            f"{best['head']}, gives that panel {best['score']:.2f} of its attention on average and "
            f"at most {best['largest_off_diagonal']:.2f} to any other; "
            f"{100 * results['low_share']:.0f}% of all heads score {results['low_score']} or less.",
            *((discover.count_text(results), discover.stability_text(results)) if null else ()),
        ),
        (shown, mapped, counted, *null, _by_layer(run, results), *_tables(results, len(scores))),
    )


def _null(run: RunFolder, results: Results) -> tuple[FigureBlock, ...]:
    """The p values of the heads tested; nothing for runs of earlier versions."""
    if "null" not in results:
        return ()
    scores, own = load_scores(run.path), results["null"]
    rows = [
        (h.layer, h.head, scores[h], own["p"][h.layer][h.head], own["q"][h.layer][h.head])
        for h in scores.living_ranking()
    ]
    return (
        FigureBlock(
            save(run.path, "null", lambda theme: _null_figure(theme, rows, own["rate"])),
            "Which heads look more than chance.",
            "p of every living head: how often its score is as high with the panels asked about "
            "shuffled within each strip. Dotted: the largest p counted at a false-discovery rate "
            f"of {100 * own['rate']:.0f}%. Heads that give all panels much attention whatever is "
            "asked are not counted. Dead heads are not tested.",
            (tables.write_csv(run.path / "null.csv", ("layer", "head", "score", "p", "q"), rows),),
        ),
    )


def _null_figure(
    theme: Theme, rows: Sequence[tuple[int, int, float, float, float]], rate: float
) -> Figure:
    figure = Figure(figsize=(figures.WIDTH, 2.4))
    axes = figure.subplots()
    edges = [i / 40 for i in range(41)]
    axes.hist([row[3] for row in rows], edges, color=theme.gaze, alpha=0.85, rwidth=0.92)
    if counted := [row[3] for row in rows if row[4] <= rate]:
        axes.axvline(max(counted), color=theme.all, linewidth=1.2, linestyle=":")
    axes.set_xlim(-0.01, 1)
    axes.set_xlabel("p")
    axes.set_ylabel("heads")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    return figure


def _by_layer(run: RunFolder, results: Results) -> FigureBlock:
    rows = list(enumerate(results["gaze_layers"]))
    return FigureBlock(
        save(run.path, "heads-per-layer", lambda theme: _layers_figure(theme, results)),
        "Gaze heads per layer.",
        f"In which layers the {results['gaze_heads']} best heads lie. Those of {published.MODEL}, "
        f"another model, lie in layers {published.GAZE_LAYERS[0]} to {published.GAZE_LAYERS[1]} of "
        f"{published.LAYERS}.",
        (tables.write_csv(run.path / "heads-per-layer.csv", ("layer", "count"), rows),),
    )


def _layers_figure(theme: Theme, results: Results) -> Figure:
    figure = Figure(figsize=(figures.WIDTH, 2.1))
    axes = figure.subplots()
    axes.bar(range(results["layers"]), results["gaze_layers"], color=theme.gaze, width=0.8)
    axes.set_xlabel("layer")
    axes.set_ylabel("gaze heads")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    return figure


def _tables(results: Results, heads: int) -> tuple[TableBlock, TableBlock]:
    cuts = tuple(
        (f"{own['score']:g}", str(own["heads"]), f"{100 * own['heads'] / heads:.1f}%")
        for own in results["cut_offs"]
    )
    shared = tuple(
        (name, *(out_of(n, int(k)) for k, n in own.items()))
        for name, own in results["overlaps"].items()
    )
    sizes = next(iter(results["overlaps"].values()))
    return (
        TableBlock(("gaze score of at least", "heads", "of all"), cuts),
        TableBlock(
            ("heads shared with the ranking by", *(f"top {k}" for k in sizes)),
            shared,
            "Selectivity is the mean of a matrix's diagonal minus that of the rest; normalised, "
            "after dividing every row by its sum.",
        ),
    )


@section(discover_layouts.EXPERIMENT, place=40)
def layouts_section(runs: Runs) -> Section:
    """Whether other strip lengths and grids have the same gaze heads."""
    run = runs[discover_layouts.EXPERIMENT]
    results = run.summary["results"]
    k, tested = results["k"], "rate" in results
    rows = tuple(
        (
            own["name"],
            own["best"],
            f"{own['score']:.2f}",
            f"{own['mean_of_top']:.2f}",
            out_of(own["shared"], k),
            *(_chance(own) if tested else ()),
        )
        for own in results["layouts"]
    )
    head = (
        "panels", "best head", "its score", f"mean of the top {k}",
        f"in the top {k} of {discover_layouts.MAIN.name}",
        *(("more than chance", "correlation of two halves") if tested else ()),
    )  # fmt: skip
    _layout_numbers(run.path / "layouts.csv", results)
    return Section(
        "layouts",
        "The same heads on other layouts?",
        (
            "Discovery repeated on strips of other lengths and on panels in a grid.",
            *((_chance_text(results["rate"]),) if tested else ()),
        ),
        (TableBlock(head, rows),),
    )


def _layout_numbers(path: Path, results: Results) -> Path:
    head = (
        "variant", "layer", "head", "score", "mean_of_top", "k", "shared", "count", "tested",
        "spearman",
    )  # fmt: skip
    rows = [
        (own["name"], *head_named(own["best"]), own["score"], own["mean_of_top"], results["k"],
         own["shared"], own.get("count"), own.get("tested"),
         stability["spearman"] if (stability := own.get("stability")) else None)
        for own in results["layouts"]
    ]  # fmt: skip
    return tables.write_csv(path, head, rows)


def _chance_text(rate: float) -> str:
    return (
        "More than chance: heads whose score is above that of shuffled questions at a "
        f"false-discovery rate of {100 * rate:.0f}%; few panels and few strips leave few shuffles, "
        "and then none may be counted."
    )


def _chance(own: Results) -> tuple[str, str]:
    stability = own["stability"]
    halves = "-" if stability is None else f"{stability['spearman']:.2f}"
    return out_of(own["count"], own["tested"]), halves
