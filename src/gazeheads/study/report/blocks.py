"""What a report is made of: sections of blocks, plain values for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gazeheads.study.report.theme import PANEL_COLOURS, SavedFigure


@dataclass(frozen=True)
class Tile:
    """One number of the headline."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class FigureBlock:
    """A figure, what it shows, and the files with its numbers."""

    picture: SavedFigure
    alt: str
    caption: str
    data: tuple[Path, ...]
    kind: str = "figure"


@dataclass(frozen=True)
class TableBlock:
    """A table; cells are text.

    Attributes:
        head: names of the columns.
        rows: cells by column.
        caption: what is to be said of it.
        keys: how many of the first columns say together what a row is about; a page keeps them
            in sight.
        title: above the table, where a section has several.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    keys: int = 1
    title: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class AnswerCell:
    """One steered or unsteered answer, judged.

    Attributes:
        text: what the model said.
        mark: "hit", "part" (a hit that is not clean), "miss" or "same"; empty for none.
        told: the verdict in words.
        colour: of the panel it describes; empty if none.
    """

    text: str
    mark: str
    told: str
    colour: str


@dataclass(frozen=True)
class PanelCard:
    """One panel of an example with the answers steered to it, by condition."""

    number: int
    colour: str
    crop: str
    caption: str
    answers: tuple[AnswerCell, ...]


@dataclass(frozen=True)
class Example:
    """A strip with its unsteered answer and the answers steered to every panel.

    Attributes:
        name: of the strip.
        picture: its file.
        baseline: the unsteered answer.
        cards: its panels.
    """

    name: str
    picture: Path
    baseline: AnswerCell
    cards: tuple[PanelCard, ...]


@dataclass(frozen=True)
class StripsBlock:
    """Examples of one question and many answers.

    Attributes:
        question: asked about every strip.
        conditions: names of the answers of a card, the main one first.
        examples: shown at once.
        folded: shown when asked for.
    """

    question: str
    conditions: tuple[str, ...]
    examples: tuple[Example, ...]
    folded: tuple[Example, ...] = ()
    kind: str = "strips"


@dataclass(frozen=True)
class NarrationBlock:
    """A narration, every piece in the colour of the panel it is about."""

    pieces: tuple[tuple[str, str], ...]
    caption: str
    kind: str = "narration"


@dataclass(frozen=True)
class Step:
    """A segment of a scheduled narration.

    Attributes:
        panel: the heads were pointed at.
        crop: CSS that shows it.
        colour: of the panel.
        said: what was written meanwhile, judged.
    """

    panel: int
    crop: str
    colour: str
    said: AnswerCell


@dataclass(frozen=True)
class ScheduleBlock:
    """A narration along a schedule, segment by segment beside the panel pointed at.

    Attributes:
        name: of the strip.
        picture: its file.
        panels: CSS of every panel, in the strip's order.
        colours: of the panels.
        steps: under the heads in question.
        others: by name the steps under other heads, shown when asked for.
        caption: what is to be said of it.
    """

    name: str
    picture: Path
    panels: tuple[str, ...]
    colours: tuple[str, ...]
    steps: tuple[Step, ...]
    others: tuple[tuple[str, tuple[Step, ...]], ...]
    caption: str
    kind: str = "schedule"


Block = FigureBlock | TableBlock | StripsBlock | NarrationBlock | ScheduleBlock


@dataclass(frozen=True)
class Section:
    """A part of the report; `text` is one paragraph per entry."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()


NOT_ASKED = AnswerCell("", "", "not asked on this strip", "")


def colour_of(panel: int | None) -> str:
    """The colour of a panel (from 1), or nothing."""
    return "" if panel is None else PANEL_COLOURS[(panel - 1) % len(PANEL_COLOURS)]


def answer_of(record: dict[str, Any], target: int | None = None) -> AnswerCell:
    """An answer as a record keeps it; without a target it is the unsteered one."""
    panel, reason = record["panel"], record["reason"]
    if reason == "described":
        told = f"describes panel {panel}{_blemish(record)}"
    elif reason == "baseline":
        told = "same as unsteered"
    else:
        told = {
            "tie": "mixes several panels",
            "junk": "describes no panel",
            "unjudged": "not judged",
        }[reason]
    if target is None:
        mark = ""
    elif reason == "described" and panel == target:
        mark = "part" if record.get("mixed") or record.get("repeats") else "hit"
    else:
        mark = "same" if reason == "baseline" and panel == target else "miss"
    return AnswerCell(record["text"], mark, told, colour_of(panel))


def _blemish(record: dict[str, Any]) -> str:
    """What else is to be said of an answer that describes a panel."""
    told = ", with something of another" if record.get("mixed") else ""
    return told + (", says it twice" if record.get("repeats") else "")


def example_of(record: dict[str, Any], folder: Path, conditions: Sequence[str]) -> Example:
    """One strip of a steering run.

    Args:
        record: of the strip.
        folder: of the run.
        conditions: keys of the conditions, in the order of the answers.
    """
    strip = record["strip"]
    first = [answer for answer in record["answers"] if not answer.get("draw", 0)]
    by_place = {(a["condition"], a["target"]): a for a in first}
    cards = tuple(
        PanelCard(
            number,
            colour_of(number),
            crop_css(box, strip["aspect"]),
            (strip["captions"] or [""] * number)[number - 1],
            tuple(
                answer_of(by_place[key, number], number) if (key, number) in by_place else NOT_ASKED
                for key in conditions
            ),
        )
        for number, box in enumerate(strip["panels"], 1)
    )
    picture = folder / strip["picture"]
    return Example(record["unit"], picture, answer_of(record["baseline"]), cards)


def crop_css(box: Sequence[float], aspect: float) -> str:
    """CSS that shows one part of a background image; the box is in shares of its sides."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    across = 100 * x0 / (1 - width) if width < 1 else 0.0
    down = 100 * y0 / (1 - height) if height < 1 else 0.0
    return (
        f"background-size:{100 / width:.2f}% {100 / height:.2f}%;"
        f"background-position:{across:.2f}% {down:.2f}%;"
        f"aspect-ratio:{aspect * width / height:.4f}"
    )
