"""The distribution of random control heads: every draw as a point, beside the gaze heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gazeheads.figure_text import shown
from gazeheads.study.experiments.counting import GAZE, RANDOM
from gazeheads.study.report.blocks import FigureBlock
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import heads_called
from gazeheads.study.report.numbers import Results, percent
from gazeheads.study.report.tables import write_estimates
from gazeheads.study.report.theme import Theme, save

HEAD = ("condition", "k", "draw", "strips", "measure")


@dataclass(frozen=True)
class Distribution:
    """What the draws of a control say together.

    Attributes:
        measure: what is measured, as a summary calls it.
        k: number of heads.
        own: see `experiments.controls.distribution`.
    """

    measure: str
    k: int
    own: Results


def controls_told(condition: Results, what: str = "of the answers follow") -> tuple[str, ...]:
    """A sentence or two about draws and gaze heads that anyone understands."""
    own = condition.get("controls")
    if own is None:
        return (
            f"The {condition['k']} random heads are a single set, which says little about others: "
            "no p.",
        )
    count, gaze = len(own["draws"]), own["gaze"]
    told = (
        f"Of {count} random sets of {condition['k']} other heads{_likeness(condition)}, half make "
        f"{100 * own['median']:.1f}% or more {what} and the best {100 * own['most']:.1f}%, on the "
        f"same {own['strips']} strips"
    )
    if gaze is None:
        return (f"{told}. The {heads_called()} were not measured beside them: no p.",)
    reached = sum(draw["value"] >= gaze["value"] for draw in own["draws"])
    none = "none of them reaches" if reached == 0 else f"{reached} of them reach"
    least = "" if reached else f", the least that {count} sets can show"
    theirs = f"the {percent(gaze)} of the {heads_called()}"
    return (f"{told}; {none} {theirs} (p = {own['p']:.3f}{least}).",)


def _likeness(condition: Results) -> str:
    """How well the sets match the gaze heads' layers, and how alike they are among themselves."""
    about = condition.get("about_draws")
    if about is None:
        return ""
    parts = []
    if about["own_layer"] is not None:
        whole = about["own_layer"] == condition["k"]
        parts.append(
            f"all in the layers of the {heads_called()}"
            if whole
            else f"{about['own_layer']} of {condition['k']} in the layers of the "
            f"{heads_called()}, the others near them, as too few are left there"
        )
    if about["shared"] is not None:
        parts.append(f"two sets share {100 * about['shared']:.0f}% of their heads on average")
    return f" ({'; '.join(parts)})" if parts else ""


def no_controls_told(conditions: Sequence[Results]) -> tuple[str, ...]:
    """What is to be said where gaze heads have no random heads beside them."""
    known = {c["k"] for c in conditions if c["condition"] == "random"}
    alone = [str(c["k"]) for c in conditions if c["condition"] == "gaze" and c["k"] not in known]
    if not alone:
        return ()
    return (
        f"Beside {', '.join(alone)} {heads_called()} there are no random heads, as too few living "
        "heads are left or none were asked for: no p.",
    )


def controls_blocks(
    folder: Path,
    distributions: Mapping[str, Distribution],
    chance: float | None,
    xlabel: str,
    scale: float = 100,
) -> tuple[FigureBlock, ...]:
    """A figure with a row of points per distribution; none if there is no distribution.

    Args:
        folder: of the run.
        distributions: by label.
        chance: a dotted line.
        xlabel: what is measured.
        scale: 100 for shares in percent, 1 for other numbers.
    """
    if not distributions:
        return ()
    rows = [
        ((condition, each.k, draw, each.own["strips"], each.measure), one)
        for each in distributions.values()
        for condition, draw, one in [
            *((RANDOM, n, drawn) for n, drawn in enumerate(each.own["draws"], 1)),
            *([(GAZE, None, each.own["gaze"])] if each.own["gaze"] is not None else []),
        ]
    ]
    figure = FigureBlock(
        save(
            folder,
            "controls",
            lambda theme: _points(theme, distributions, chance, xlabel, scale),
        ),
        f"Every draw of random heads as a point, the {heads_called()} beside them.",
        "Every grey point is one set of random heads; the bar is their median, the coloured point "
        f"the {heads_called()} on the same strips."
        + (" Dotted: chance." if chance is not None else ""),
        (write_estimates(folder / "controls.csv", HEAD, rows),),
    )
    return (figure,)


def _points(
    theme: Theme,
    distributions: Mapping[str, Distribution],
    chance: float | None,
    xlabel: str,
    scale: float,
) -> Figure:
    figure = Figure(figsize=(WIDTH, 0.75 + 0.5 * len(distributions)))
    axes = figure.subplots()
    for place, own in enumerate(each.own for each in distributions.values()):
        values = sorted(scale * draw["value"] for draw in own["draws"])
        axes.scatter(
            values, place + _spread(values, scale), s=20, color=theme.random, alpha=0.75,
            linewidth=0, clip_on=False, zorder=3,
        )  # fmt: skip
        middle = scale * own["median"]
        axes.plot([middle, middle], [place - 0.34, place + 0.34], color=theme.ink, linewidth=1.6)
        if own["gaze"] is not None:
            axes.plot(
                scale * own["gaze"]["value"], place, "o", color=theme.gaze, markersize=8,
                clip_on=False, zorder=4,
            )  # fmt: skip
    axes.set_yticks(range(len(distributions)), [shown(label) for label in distributions])
    axes.set_ylim(len(distributions) - 0.4, -0.6)
    if chance is not None:
        axes.axvline(scale * chance, color=theme.muted, linewidth=0.9, linestyle=":")
    if scale == 100:
        axes.set_xlim(-2, 102)
        axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.set_xlabel(xlabel)
    axes.grid(axis="x")
    return figure


def _spread(values: list[float], scale: float) -> np.ndarray:
    """Heights that keep points apart which lie at the same place."""
    heights = np.zeros(len(values))
    for i, value in enumerate(values):
        near = sum(abs(value - other) < 0.012 * scale for other in values[:i])
        heights[i] = 0.07 * ((near + 1) // 2) * (-1) ** near
    return np.clip(heights, -0.33, 0.33)
