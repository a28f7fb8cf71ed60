"""Profiles: which panels answers describe, by the panel steered to and unsteered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gazeheads.figure_text import shown
from gazeheads.study.report.blocks import FigureBlock
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import heads_called
from gazeheads.study.report.numbers import Results
from gazeheads.study.report.tables import write_csv
from gazeheads.study.report.theme import Theme, save

HEAD = ("condition", "k", "target", "panel", "count")


def profile_blocks(
    folder: Path, conditions: Sequence[Results], unsteered: Results
) -> tuple[FigureBlock, ...]:
    """Tables of panel steered to against panel described, one per condition, and unsteered.

    Runs of before, which hold no such tables, give no figure.
    """
    known = [c for c in conditions if c.get("described")]
    if not known:
        return ()
    rows: list[tuple[object, ...]] = [
        (c["condition"], c["k"], target, _panel(place, len(counts)), count)
        for c in known
        for target, counts in enumerate(c["described"], 1)
        for place, count in enumerate(counts, 1)
    ]
    panels = len(unsteered["by_panel"])
    rest = unsteered["strips"] - sum(unsteered["by_panel"])
    said = [*unsteered["by_panel"], rest]
    rows += [
        ("unsteered", 0, None, _panel(place, panels + 1), count)
        for place, count in enumerate(said, 1)
    ]
    return (
        FigureBlock(
            save(folder, "profiles", lambda theme: _tables(theme, known, said)),
            "Panel steered to against panel described, by condition.",
            "Share of answers by the panel they describe (columns; the last: no single one), for "
            "every panel steered to (rows). Heads that steer make a diagonal; a column dark in "
            "every row is a favourite of the model, or of the judge.",
            (write_csv(folder / "profiles.csv", HEAD, rows),),
        ),
    )


def _panel(place: int, places: int) -> int | None:
    return None if place == places else place


def _tables(theme: Theme, conditions: Sequence[Results], said: Sequence[int]) -> Figure:
    figure = Figure(figsize=(WIDTH, 1.9))
    grid = figure.subplots(1, len(conditions) + 1, squeeze=False)[0]
    tables = [np.array(c["described"], dtype=float) for c in conditions]
    titles = [f"{shown(heads_called(c['condition']))}\n({c['k']})" for c in conditions]
    for axes, table, title in zip(
        grid, [*tables, np.array([said], dtype=float)], [*titles, "unsteered"], strict=True
    ):
        total = table.sum(1, keepdims=True)
        shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
        axes.imshow(shares, cmap=theme.heat, vmin=0, vmax=1)
        panels = table.shape[1] - 1
        axes.set_xticks(range(panels + 1), [*map(str, range(1, panels + 1)), "\N{EM DASH}"])
        axes.set_yticks(range(len(table)), range(1, len(table) + 1) if len(table) > 1 else [""])
        axes.tick_params(labelsize=7)
        axes.set_title(title, fontsize=8.5)
        for spine in axes.spines.values():
            spine.set_visible(False)
    grid[0].set_ylabel("panel steered to", fontsize=8.5)
    figure.supxlabel("panel described", fontsize=8.5)
    return figure
