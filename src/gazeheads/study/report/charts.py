"""Charts that several experiments share: values with intervals by category, and heat tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gazeheads.figure_text import legend_label, shown
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import label_called
from gazeheads.study.report.numbers import Results
from gazeheads.study.report.theme import Theme

_MARKERS = ("o", "s", "^", "D", "v", "P")
_KNOWN = ("gaze", "random", "all")
_OTHERS = ("#6b5bd2", "#b08900", "#2f8f5b", "#c2528b")
"""For series without a colour of their own; readable on light and dark."""
Series = Mapping[str, Sequence[Results | None]]
"""Name -> one estimate (value, low, high) per category; None where there is none."""


def estimates(
    theme: Theme,
    categories: Sequence[str],
    series: Series,
    published: Sequence[float | None] = (),
    *,
    xlabel: str = "",
    ylabel: str = "answers that follow",
    scale: float = 100,
    reference: float | None = None,
    theirs: str = "published (another model)",
) -> Figure:
    """Estimates with intervals, side by side per category.

    Args:
        theme: colours.
        categories: along the axis.
        series: see `Series`.
        published: values of the study in the unit of the axis, None where there is none.
        xlabel, ylabel: of the axes.
        scale: 100 for shares shown in percent, 1 for other numbers.
        reference: a dotted line, such as chance.
        theirs: what the published values are.
    """
    figure = Figure(figsize=(WIDTH, 3.1))
    axes = figure.subplots()
    places = np.arange(len(categories), dtype=float)
    width = 0.6 / max(1, len(series))
    for i, (name, values) in enumerate(series.items()):
        shift = (i - (len(series) - 1) / 2) * width
        present = [(x + shift, v) for x, v in zip(places, values, strict=True) if v is not None]
        x = [place for place, _ in present]
        y = [scale * v["value"] for _, v in present]
        spread = [
            [scale * (v["value"] - v["low"]) for _, v in present],
            [scale * (v["high"] - v["value"]) for _, v in present],
        ]
        label = legend_label(label_called(name))
        colour = _colour(theme, name, [n for n in series if n.split()[0] not in _KNOWN])
        axes.errorbar(
            x, y, spread, fmt=_MARKERS[i % len(_MARKERS)], color=colour, markersize=5.5,
            linewidth=1.4, capsize=2.5, label=label, clip_on=False, zorder=3,
        )  # fmt: skip
    stars = [(x, v) for x, v in zip(places, published, strict=False) if v is not None]
    if stars:
        axes.plot(
            [x for x, _ in stars], [v for _, v in stars], "_", color=theme.muted, markersize=18,
            markeredgewidth=1.4, label=theirs,
        )  # fmt: skip
    if reference is not None:
        axes.axhline(scale * reference, color=theme.muted, linewidth=0.9, linestyle=":")
    small = 7 if max(map(len, categories)) * len(categories) > 60 else 8.5
    axes.set_xticks(places, [shown(name).replace(" ", "\n") for name in categories], fontsize=small)
    axes.set_xlim(-0.6, len(categories) - 0.4)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    _legend_above(axes)
    if scale == 100:
        axes.set_ylim(0, 105)
        axes.yaxis.set_major_formatter("{x:.0f}%")
    axes.grid(axis="y")
    return figure


def curves(
    theme: Theme,
    x: Sequence[float],
    lines: Mapping[str, Sequence[float | None]],
    *,
    xlabel: str,
    ylabel: str,
    percent: bool = True,
    reference: float | None = None,
) -> Figure:
    """Several lines over one axis, such as layers."""
    figure = Figure(figsize=(WIDTH, 2.9))
    axes = figure.subplots()
    for i, (name, values) in enumerate(lines.items()):
        own = [np.nan if v is None else (100 * v if percent else v) for v in values]
        axes.plot(
            x, own, marker="o", markersize=3.5, clip_on=False, zorder=3,
            color=_OTHERS[i % len(_OTHERS)], label=legend_label(name),
        )  # fmt: skip
    if reference is not None:
        axes.axhline(
            (100 if percent else 1) * reference, color=theme.muted, linewidth=0.9, linestyle=":"
        )
    if percent:
        axes.set_ylim(0, 105)
        axes.yaxis.set_major_formatter("{x:.0f}%")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(axis="y")
    if len(lines) > 1:
        _legend_above(axes)
    return figure


def _colour(theme: Theme, name: str, others: Sequence[str]) -> str:
    """That of a condition, or the next one for a series that has none of its own."""
    known = name.split(maxsplit=1)[0]
    return theme.of(known) if known in _KNOWN else _OTHERS[others.index(name) % len(_OTHERS)]


def _legend_above(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3, columnspacing=1.2)
