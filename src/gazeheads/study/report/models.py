"""Several models side by side: the peak of each, and how deep its gaze heads lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from gazeheads.errors import GazeheadsError
from gazeheads.figure_text import legend_label
from gazeheads.study import published
from gazeheads.study.experiments import discover, steer_vqa
from gazeheads.study.report import figures
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.naming import called, named_by, ranking_of
from gazeheads.study.report.numbers import Runs, percent
from gazeheads.study.report.tables import Estimated, write_csv, write_estimates
from gazeheads.study.report.theme import Theme, save

_NAMES = ("gaze", "random", "all")


def comparison_section(models: Mapping[str, Runs], folder: Path) -> Section | None:
    """The study's table of models, ours above the published ones; None if nothing is comparable.

    Args:
        models: the runs of every model.
        folder: for the figure and its numbers.
    """
    steered = {name: runs for name, runs in models.items() if steer_vqa.EXPERIMENT in runs}
    scored = {name: runs for name, runs in models.items() if discover.EXPERIMENT in runs}
    if not steered and not scored:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GazeheadsError(f"cannot write to {folder}: {error.strerror or error}") from error
    own = {ranking_of(runs[steer_vqa.EXPERIMENT].settings) for runs in steered.values()}
    tested = own.pop() if len(own) == 1 else "heads found"
    head = ("model", "heads steered", "of all", tested, *_NAMES[1:])
    rows = tuple(_ours(name, runs) for name, runs in steered.items())
    theirs = tuple(
        (
            f"{name}, published",
            str(k),
            "" if heads is None else f"{100 * k / heads:.1f}%",
            *("" if value is None else f"{value:.1f}%" for value in values),
        )
        for name, (k, *values, heads) in published.MODELS.items()
    )
    numbers = [row for name, runs in steered.items() for row in _accuracies(name, runs)]
    columns = ("model", "heads", "condition", "k", "measure")
    write_estimates(folder / "models.csv", columns, numbers)
    note = (
        f"Published rows are those of {published.STUDY}: other models on other comics with "
        "another judge."
    )
    blocks: list[FigureBlock | TableBlock] = [TableBlock(head, (*rows, *theirs), note)]
    if scored:
        blocks.append(_depth(scored, folder))
    return Section("models", "The models side by side", (), tuple(blocks))


def _ours(name: str, runs: Runs) -> tuple[str, ...]:
    results = runs[steer_vqa.EXPERIMENT].summary["results"]
    by_name = {c["condition"]: c for c in results["conditions"]}
    k, heads = by_name.get("gaze", results["conditions"][0])["k"], results["heads"]
    shown = (
        percent(by_name[each]["accuracy"], interval=True) if each in by_name else "not run"
        for each in _NAMES
    )
    return (f"{name}, here", str(k), f"{100 * k / heads:.1f}%", *shown)


def _accuracies(name: str, runs: Runs) -> list[Estimated]:
    run = runs[steer_vqa.EXPERIMENT]
    results = run.summary["results"]
    with named_by(run.settings):
        return [
            ((name, results["heads"], called(c["condition"]), c["k"], "accuracy"), c["accuracy"])
            for c in results["conditions"]
        ]


def _depth(scored: Mapping[str, Runs], folder: Path) -> FigureBlock:
    layers = {
        name: runs[discover.EXPERIMENT].summary["results"]["gaze_layers"]
        for name, runs in scored.items()
    }
    rows = [(name, i, n) for name, own in layers.items() for i, n in enumerate(own)]
    return FigureBlock(
        save(folder, "depth", lambda theme: _depth_figure(theme, layers)),
        "Gaze heads by relative depth.",
        "Share of each model's gaze heads (its best 8.7%) by depth, from the first layer (0) to "
        f"the last (1). The band is where those of {published.MODEL} lie, as published.",
        (write_csv(folder / "depth.csv", ("model", "layer", "count"), rows),),
    )


def _depth_figure(theme: Theme, layers: Mapping[str, list[int]]) -> Figure:
    figure = Figure(figsize=(figures.WIDTH, 2.8))
    axes = figure.subplots()
    first, last = (layer / (published.LAYERS - 1) for layer in published.GAZE_LAYERS)
    axes.axvspan(first, last, color=theme.muted, alpha=0.16, linewidth=0)
    markers = "os^DvP*X"
    colours = (theme.gaze, theme.all, theme.ink, theme.random)
    for i, (name, own) in enumerate(layers.items()):
        depth = [layer / max(1, len(own) - 1) for layer in range(len(own))]
        share = [n / max(1, sum(own)) for n in own]
        axes.plot(
            depth, share, marker=markers[i % len(markers)], markersize=4,
            color=colours[i % len(colours)], label=legend_label(name),
        )  # fmt: skip
    axes.set_xlabel("depth")
    axes.set_ylabel("share of gaze heads")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=2)
    axes.grid(axis="y")
    return figure
