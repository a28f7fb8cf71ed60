"""The figures: each a function from plain numbers to a matplotlib figure in a theme's colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from gazeheads.figure_text import legend_label, shown
from gazeheads.heads import Head, HeadScores
from gazeheads.study import published
from gazeheads.study.report.naming import called, heads_called
from gazeheads.study.report.theme import Theme

WIDTH = 5.3  # inches: readable at full width on a phone as well


def matrices(theme: Theme, scores: HeadScores, count: int = 4) -> Figure:
    """Region asked about x region attended to, for the best heads and the worst."""
    assert scores.matrices is not None
    ranking = scores.ranking()
    rows = [ranking[:count], ranking[-count:][::-1]]
    figure = Figure(figsize=(WIDTH, 3.4))
    grid = figure.subplots(2, count, sharex=True, sharey=True)
    most = float(scores.matrices.max())
    panels = scores.matrices.shape[-1]
    for row, heads in zip(grid, rows, strict=True):
        for axes, head in zip(row, heads, strict=True):
            picture = axes.imshow(scores.matrices[head], cmap=theme.heat, vmin=0, vmax=most)
            axes.set_title(f"{head}  {scores[head]:.2f}", fontsize=9)
            axes.set_xticks(range(panels), range(1, panels + 1))
            axes.set_yticks(range(panels), range(1, panels + 1))
            _no_frame(axes)
    grid[0][0].set_ylabel("best heads")
    grid[1][0].set_ylabel("lowest heads")
    figure.supylabel("panel asked about", fontsize=9, color=theme.muted)
    figure.supxlabel("panel attended to", fontsize=9, color=theme.muted)
    bar = figure.colorbar(picture, ax=grid, shrink=0.6, aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("attention")
    return figure


def head_map(theme: Theme, scores: HeadScores, chosen: Sequence[Head] = ()) -> Figure:
    """Gaze score of every head by layer; the chosen ones are marked."""
    layers, heads = scores.shape
    figure = Figure(figsize=(WIDTH, 1.1 + min(6.0, WIDTH * 0.78 * layers / heads)))
    axes = figure.subplots()
    picture = axes.imshow(
        scores.scores, cmap=theme.heat, vmin=0, vmax=max(1e-6, scores.scores.max()), aspect="auto"
    )
    if chosen:
        axes.scatter(
            [head.head for head in chosen],
            [head.layer for head in chosen],
            s=22,
            facecolor="none",
            edgecolor=theme.all,
            linewidth=1.4,
            label=f"the {len(chosen)} heads steered",
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    axes.set_xlabel("head")
    axes.set_ylabel("layer")
    axes.xaxis.set_major_locator(FixedLocator(_ticks(heads)))
    axes.yaxis.set_major_locator(FixedLocator(_ticks(layers)))
    _no_frame(axes)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8, aspect=26, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("gaze score")
    return figure


def histogram(
    theme: Theme, scores: HeadScores, k: int | None = None, cut_offs: Sequence[float] = ()
) -> Figure:
    """How many heads have which score, where the chosen ones begin, and other cut-offs."""
    figure = Figure(figsize=(WIDTH, 2.4))
    axes = figure.subplots()
    values = scores.scores.ravel()
    edges = np.linspace(0, max(0.2, values.max() * 1.02), 41)
    axes.hist(values, edges.tolist(), color=theme.gaze, alpha=0.85, rwidth=0.92)
    axes.set_yscale("log")
    axes.set_ylim(0.7)
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(0)
    axes.set_xlabel("gaze score")
    axes.set_ylabel("heads")
    axes.grid(axis="y")
    for each in cut_offs:
        axes.axvline(each, color=theme.muted, linewidth=0.9, linestyle=":")
    if k is not None:
        cut = float(np.sort(values)[-k])
        axes.axvline(cut, color=theme.all, linewidth=1.2)
        axes.annotate(
            f"top {k}",
            (cut, 0.97),
            (4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=theme.all,
            va="top",
        )
    return figure


def k_curve(
    theme: Theme, conditions: Sequence[dict[str, Any]], heads: int, chance: float
) -> Figure:
    """Accuracy by number of heads steered, with the study's curve by share of heads."""
    figure = Figure(figsize=(WIDTH, 3.5))
    axes = figure.subplots()
    for name in ("random", "gaze"):
        curve = sorted((c for c in conditions if c["condition"] == name), key=lambda c: c["k"])
        if not curve:
            continue
        shares = [100 * c["k"] / heads for c in curve]
        value, low, high = (
            [100 * c["accuracy"][x] for c in curve] for x in ("value", "low", "high")
        )
        colour, label = theme.of(name), legend_label(heads_called(name))
        if drawn := [c["controls"] for c in curve if c.get("controls")]:
            # many draws: their median and whole range; where there is one set, that alone
            rows = [_of_draws(c) for c in curve]
            value, low, high = ([100 * row[x] for row in rows] for x in range(3))
            label += f", {max(len(own['draws']) for own in drawn)} draws: median and range"
        axes.fill_between(shares, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(
            shares, value, "o-", color=colour, markersize=4.5, label=label,
            clip_on=False,
        )  # fmt: skip
        if name == "gaze":
            best = max(range(len(curve)), key=lambda i: (value[i], -curve[i]["k"]))
            axes.annotate(
                f"{value[best]:.0f}% at {curve[best]['k']}",
                (shares[best], value[best]),
                (0, 8),
                textcoords="offset points",
                ha="center",
                color=colour,
                weight="bold",
            )
    axes.plot(
        [100 * k / published.HEADS for k in published.K_CURVE],
        list(published.K_CURVE.values()),
        linestyle=(0, (4, 2)),
        color=theme.muted,
        linewidth=1.1,
        label=f"{published.MODEL}, published (another model)",
    )
    _chance(axes, theme, chance)
    _percent(axes)
    axes.set_xscale("log")
    ks = sorted({c["k"] for c in conditions})
    axes.xaxis.set_major_locator(FixedLocator([100 * k / heads for k in ks]))
    axes.xaxis.set_minor_locator(NullLocator())
    apart = _far_apart(ks)
    labels = [f"{k}\n{100 * k / heads:.0f}%" if k in apart else "" for k in ks]
    axes.set_xticklabels(labels, fontsize=8)
    axes.set_xlabel("heads steered, and their share of all heads")
    axes.set_ylabel("answers that follow")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=1)
    return figure


def _of_draws(condition: dict[str, Any]) -> tuple[float, float, float]:
    """Median, least and most of a condition's draws; of a single set three times its value."""
    own = condition.get("controls")
    if own is None:
        return (condition["accuracy"]["value"],) * 3
    return own["median"], own["least"], own["most"]


def _far_apart(ks: Sequence[int]) -> list[int]:
    """Those of ascending sizes whose labels do not touch on a logarithmic axis."""
    chosen: list[int] = []
    for k in ks:
        if not chosen or k >= 1.24 * chosen[-1]:
            chosen.append(k)
    return chosen


def condition_bars(theme: Theme, conditions: Sequence[dict[str, Any]], chance: float) -> Figure:
    """Accuracy by condition, as the study counts and by content alone; and by panel."""
    figure = Figure(figsize=(WIDTH, 3.1))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.1, 1])
    for i, condition in enumerate(conditions):
        colour = theme.of(condition["condition"])
        drawn = condition.get("controls")
        for shift, key, alpha in ((-0.2, "accuracy", 1.0), (0.2, "content", 0.45)):
            own = condition[key]
            if drawn and key == "accuracy":  # many draws: their median, and as bar their range
                own = {"value": drawn["median"], "low": drawn["least"], "high": drawn["most"]}
            value = 100 * own["value"]
            spread = [[value - 100 * own["low"]], [100 * own["high"] - value]]
            left.bar(i + shift, value, 0.36, color=colour, alpha=alpha)
            left.errorbar(
                i + shift, value, spread, color=theme.ink, linewidth=1, capsize=2.5, alpha=0.8
            )
            left.annotate(
                f"{value:.0f}",
                (i + shift, 100 * own["high"]),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
            )
    names = [f"{shown(called(c['condition']))}\n{c['k']} heads" for c in conditions]
    left.set_xticks(range(len(conditions)), names)
    left.set_title("study's rules; pale: content", fontsize=8.5)
    _by_panel(right, theme, conditions)
    for axes in (left, right):
        _chance(axes, theme, chance)
        _percent(axes)
    left.set_ylabel("answers that follow")
    return figure


def _by_panel(axes: Axes, theme: Theme, conditions: Sequence[dict[str, Any]]) -> None:
    for condition in conditions:
        values = [100 * own["value"] for own in condition["by_panel"]]
        panels = range(1, len(values) + 1)
        colour = theme.of(condition["condition"])
        axes.plot(panels, values, "o-", color=colour, markersize=4.5, clip_on=False)
        axes.set_xticks(panels)
    axes.set_xlabel("panel steered to")
    axes.set_title("study's rules, by panel", fontsize=8.5)


def staircase(theme: Theme, record: dict[str, Any]) -> Figure:
    """Where heads look while a strip is narrated; the outline is the panel being narrated."""
    names = {"gaze": shown(heads_called()), "control": "random heads"}
    sets = [name for name in names if name in record["attention"]]
    figure = Figure(figsize=(WIDTH, 0.7 + 1.75 * len(sets)))
    grid = figure.subplots(len(sets), 1, sharex=True, squeeze=False)[:, 0]
    told = [np.nan if panel is None else panel - 1 for panel in record["narrated"]]
    for axes, name in zip(grid, sets, strict=True):
        values = np.array(record["attention"][name], dtype=float)
        picture = axes.imshow(
            values.T, cmap=theme.heat, vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        _outline(axes, told, theme.all)
        panels = values.shape[1]
        axes.set_yticks(range(panels), range(1, panels + 1))
        axes.set_ylabel("panel")
        axes.set_title(names[name])
        _no_frame(axes)
    grid[-1].set_xlabel("new token")
    bar = figure.colorbar(picture, ax=list(grid), shrink=0.6, aspect=22, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("share of attention")
    return figure


def _outline(axes: Axes, told: Sequence[float], colour: str) -> None:
    """Frames the cells of the panel being narrated, one frame per run of steps."""
    start = 0
    for step in range(1, len(told) + 1):
        if step < len(told) and told[step] == told[start]:
            continue
        if not np.isnan(told[start]):
            corner = (start - 0.5, told[start] - 0.5)
            axes.add_patch(_frame(corner, step - start, colour))
        start = step


def _frame(corner: tuple[float, float], width: float, colour: str) -> Any:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    return Rectangle(corner, width, 1, fill=False, edgecolor=colour, linewidth=1.3, clip_on=False)


def _ticks(count: int) -> list[int]:
    return list(range(0, count, max(1, -(-count // 16))))


def _no_frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set_visible(False)


def _percent(axes: Axes) -> None:
    axes.set_ylim(0, 108)
    axes.set_yticks(range(0, 101, 20), [f"{x}%" for x in range(0, 101, 20)])
    axes.grid(axis="y")


def _chance(axes: Axes, theme: Theme, chance: float) -> None:
    axes.axhline(100 * chance, color=theme.muted, linewidth=0.9, linestyle=":")
