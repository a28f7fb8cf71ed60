"""Where another judge disagrees with the exact one, on strips that know what they show."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.judges.label import described
from gazeheads.study.report.blocks import FigureBlock
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.tables import write_csv
from gazeheads.study.report.theme import Theme, save
from gazeheads.study.runs import RunFolder

HEAD = ("label_judge_panel", "panel", "count")


def confusion_blocks(run: RunFolder) -> tuple[FigureBlock, ...]:
    """The panels that the run's judge and the label judge found, text by text.

    Nothing if the label judge itself judged, or no strip says what its panels show.
    """
    judge = run.settings.get("judge", "label")
    known = [record for record in run.ordered() if record["strip"].get("truths")]
    if judge == "label" or not known:
        return ()
    panels = max(len(record["strip"]["truths"]) for record in known)
    table = np.zeros((panels + 1, panels + 1), dtype=int)
    for record in known:
        truths = tuple(PanelTruth(**truth) for truth in record["strip"]["truths"])
        for judged in (record["baseline"], *record["answers"]):
            exact = described(truths, judged["text"]).panel
            table[_place(exact, panels), _place(judged["panel"], panels)] += 1
    same = int(np.trace(table))
    found = [*range(1, panels + 1), None]
    rows = [(a, b, int(table[i, j])) for i, a in enumerate(found) for j, b in enumerate(found)]
    return (
        FigureBlock(
            save(run.path, "confusion", lambda theme: _table(theme, table, judge)),
            f"Panels found by the label judge and by {judge}.",
            f"Answers by the panel that the exact label judge finds (rows) and that {judge} finds "
            f"(columns): they agree on {same} of {table.sum()} ({100 * same / table.sum():.1f}%). "
            "The last row and column: no single panel.",
            (write_csv(run.path / "confusion.csv", HEAD, rows),),
        ),
    )


def _place(panel: int | None, panels: int) -> int:
    return panels if panel is None else min(panel - 1, panels)


def _table(theme: Theme, table: np.ndarray, judge: str) -> Figure:
    figure = Figure(figsize=(WIDTH * 0.7, WIDTH * 0.62))
    axes = figure.subplots()
    total = table.sum(1, keepdims=True)
    shares = np.divide(table, total, out=np.zeros(table.shape), where=total > 0)
    axes.imshow(shares, cmap=theme.heat, vmin=0, vmax=1)
    names = [*map(str, range(1, len(table))), "\N{EM DASH}"]
    axes.set_xticks(range(len(table)), names)
    axes.set_yticks(range(len(table)), names)
    for (row, column), count in np.ndenumerate(table):
        if count:
            ink = theme.paper if shares[row, column] > 0.5 else theme.ink
            axes.text(column, row, str(count), ha="center", va="center", fontsize=7.5, color=ink)
    axes.set_ylabel("label judge")
    axes.set_xlabel(judge)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure
