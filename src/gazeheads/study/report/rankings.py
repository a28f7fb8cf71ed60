"""Figures that compare many rankings: one small curve each, and how many heads they share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gazeheads.figure_text import shown
from gazeheads.study.report.charts import Series
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import called
from gazeheads.study.report.numbers import Results
from gazeheads.study.report.theme import Theme

COLUMNS = 3
SURE = 0.05
"""Overlaps with a corrected p of at most this are marked."""
_OWN = "#b7791f"  # of the ranking beside the reference; readable on light and dark


def small_curves(
    theme: Theme, ks: Sequence[int], series: Series, reference: str, chance: float
) -> Figure:
    """One small chart per ranking, with the reference's curve in each.

    Args:
        theme: colours.
        ks: numbers of heads.
        series: estimates by name, one per number of heads; the reference's among them.
        reference: name of the ranking shown in all charts.
        chance: a dotted line.
    """
    others = [name for name in series if name != reference]
    rows = max(1, math.ceil(len(others) / COLUMNS))
    figure = Figure(figsize=(WIDTH, 0.5 + 1.25 * rows))
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    places = np.arange(len(ks), dtype=float)
    for number, axes in enumerate(grid.flat):
        if number >= len(others):
            axes.set_axis_off()
            continue
        name = others[number]
        _band(axes, places, series[reference], theme.of(reference), "--")
        _band(axes, places, series[name], theme.of(name) if name == "random" else _OWN, "-")
        axes.axhline(100 * chance, color=theme.muted, linewidth=0.8, linestyle=":")
        axes.set_title(shown(name), fontsize=8.5)
        axes.set_xticks(places, [str(k) for k in ks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.3, len(ks) - 0.7)
        axes.set_ylim(0, 105)
        axes.set_yticks([0, 50, 100])
        axes.yaxis.set_major_formatter("{x:.0f}%")
        axes.tick_params(labelbottom=number + COLUMNS >= len(others))
        axes.grid(axis="y")
    figure.supxlabel("heads steered", fontsize=8.5, color=theme.muted)
    return figure


def _band(
    axes: Axes, places: np.ndarray, values: Sequence[Results | None], colour: str, style: str
) -> None:
    present = [(x, v) for x, v in zip(places, values, strict=True) if v is not None]
    x = [place for place, _ in present]
    low, middle, high = (
        [100 * float(v[key]) for _, v in present] for key in ("low", "value", "high")
    )
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, middle, style, color=colour, linewidth=1.5, marker="o", markersize=3, zorder=3)


def shared_map(theme: Theme, names: Sequence[str], pairs: Sequence[Results], k: int) -> Figure:
    """Heads that sets of `k` share (below the diagonal) and would by chance (above it)."""
    count = len(names)
    figure = Figure(figsize=(WIDTH, 1.5 + 0.3 * count))
    axes = figure.subplots()
    place = {name: i for i, name in enumerate(names)}
    table = np.full((count, count), np.nan)
    for pair in pairs:
        above, below = sorted(place[name] for name in pair["sets"])
        table[below, above], table[above, below] = pair["shared"], pair["expected"]
        for row, column, text in (
            (below, above, str(pair["shared"])),
            (above, below, f"{pair['expected']:.1f}"),
        ):
            sure = row == below and pair["p_holm"] <= SURE
            axes.text(
                column, row, text, ha="center", va="center", fontsize=7.5,
                color=theme.paper if table[row, column] > 0.45 * k else theme.ink,
                weight="bold" if sure else "normal",
            )  # fmt: skip
            if sure:
                axes.plot(column + 0.34, row - 0.32, ".", color=_OWN, markersize=5)
    axes.imshow(table, cmap=theme.heat, vmin=0, vmax=k, aspect="auto")
    labels = [shown(called(name)) for name in names]
    axes.set_yticks(range(count), labels)
    axes.set_xticks(range(count), labels, rotation=90)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.text(
        1, 1.01, "above: by chance", ha="right", va="bottom", fontsize=8, color=theme.muted,
        transform=axes.transAxes,
    )  # fmt: skip
    axes.text(
        0, 1.01, "below: shared", ha="left", va="bottom", fontsize=8, color=theme.muted,
        transform=axes.transAxes,
    )  # fmt: skip
    return figure
