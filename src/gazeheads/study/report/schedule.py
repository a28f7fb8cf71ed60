"""One narration along a schedule: the strip, where the heads looked, and the text in colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gazeheads.files import write_json
from gazeheads.study.report.blocks import (
    Block,
    FigureBlock,
    ScheduleBlock,
    Step,
    answer_of,
    colour_of,
    crop_css,
)
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import heads_called
from gazeheads.study.report.theme import PANEL_COLOURS, Theme, save
from gazeheads.study.runs import RunFolder


def example_blocks(run: RunFolder, name: str) -> tuple[Block, ...]:
    """The first strip of a run, under one head set.

    Args:
        run: of `steer-dynamic`.
        name: of the head set.
    """
    record = run.ordered()[0]
    told = _told(run, record, name)
    return (told, *_attention(run.path, record, name, run.settings["segment"]))


def _told(run: RunFolder, record: dict[str, Any], name: str) -> ScheduleBlock:
    strip, schedule = record["strip"], record["schedule"]
    panels = tuple(crop_css(box, strip["aspect"]) for box in strip["panels"])

    def steps(narration: dict[str, Any]) -> tuple[Step, ...]:
        return tuple(
            Step(panel, panels[panel - 1], colour_of(panel), answer_of(segment, panel))
            for panel, segment in zip(schedule, narration["segments"], strict=True)
        )

    drawn = {own: draws[0] for own, draws in record.get("controls", {}).items()}
    alone = {own: told for own, told in record["narrations"].items() if own != name}
    others = tuple((heads_called(own), steps(told)) for own, told in {**drawn, **alone}.items())
    return ScheduleBlock(
        record["unit"],
        run.path / strip["picture"],
        panels,
        tuple(map(colour_of, range(1, len(panels) + 1))),
        steps(record["narrations"][name]),
        others,
        "The first strip. Every line is what was written while the heads were pointed at the "
        "panel beside it, in the colour of the panel it describes; a word cut by a switch is in "
        "two lines. The first token of a line is still written under the panel before.",
    )


def _attention(
    folder: Path, record: dict[str, Any], name: str, segment: int
) -> tuple[FigureBlock, ...]:
    """Where the heads looked, token by token; nothing for runs that did not keep it."""
    shares = record.get("attention", {}).get(name)
    if not shares:
        return ()
    kept = {key: record[key] for key in ("unit", "schedule")}
    narration = record["narrations"][name]
    data = {
        **kept,
        "segment": segment,
        "pieces": narration["pieces"],
        "described": [own["panel"] for own in narration["segments"]],
        "attention": shares,
    }
    described = [own["panel"] for own in narration["segments"]]
    return (
        FigureBlock(
            save(
                folder,
                "schedule",
                lambda theme: _figure(theme, shares, record["schedule"], described, segment),
            ),
            "Attention by panel over the tokens of a narration whose gaze is moved.",
            f"The same narration: share of attention of the {heads_called(name)} on each panel "
            "(rows) as each new token is written. Outlined: the panel they are pointed at. The bar "
            "below has the colour of the panel that each segment describes; grey: no single one.",
            (write_json(folder / "schedule.json", data),),
        ),
    )


def _figure(
    theme: Theme,
    shares: Sequence[Sequence[float]],
    schedule: Sequence[int],
    described: Sequence[int | None],
    segment: int,
) -> Figure:
    values = np.array(shares, dtype=float)
    steps, panels = values.shape
    figure = Figure(figsize=(WIDTH, 0.9 + 0.26 * panels))
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[panels, 0.7])
    shown = top.imshow(
        values.T, cmap=theme.heat, vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    for place, (panel, told) in enumerate(zip(schedule, described, strict=True)):
        start, stop = place * segment, min((place + 1) * segment, steps)
        if start >= steps:
            break
        # decode steps are steered: the first token of all comes from the prefill
        corner, width = (start + 0.5, panel - 1.5), min(stop, steps - 1) - start
        top.add_patch(Rectangle(corner, width, 1, fill=False, edgecolor=theme.all, linewidth=1.3))
        colour = theme.line if told is None else PANEL_COLOURS[(told - 1) % len(PANEL_COLOURS)]
        below.add_patch(Rectangle((start - 0.5, 0), stop - start, 1, color=colour, linewidth=0))
    top.set_yticks(range(panels), range(1, panels + 1))
    top.set_ylabel("panel")
    below.set_ylim(0, 1)
    below.set_yticks([])
    below.set_ylabel("told", rotation=0, ha="right", va="center")
    below.set_xlabel("new token")
    for axes in (top, below):
        for spine in axes.spines.values():
            spine.set_visible(False)
    bar = figure.colorbar(shown, ax=[top, below], shrink=0.7, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("share of attention")
    return figure
