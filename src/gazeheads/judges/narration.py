"""Which panel a narration is about, sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gazeheads.data.strip import Strip
from gazeheads.judges.verdict import Judge
from gazeheads.judges.wording import without_numbering, words

_END = re.compile(r"(?:[.!?]+[\"')\]]*(?=\s|$)|\n)\s*")


@dataclass(frozen=True)
class Passage:
    """A sentence of a narration.

    Attributes:
        start, stop: in characters of the narration.
        panel: from 1; None if it describes no single panel.
    """

    start: int
    stop: int
    panel: int | None


def narrated(judge: Judge, strip: Strip, text: str) -> list[Passage]:
    """The sentences of a narration with the panel each describes.

    Numbering such as "Panel 3:" or "3." belongs to the sentence it announces, and does not tell
    the panel: the content does.
    """
    spans = list(_sentences(text))
    verdicts = judge.judge(strip, [text[start:stop] for start, stop in spans]) if spans else []
    return [
        Passage(start, stop, verdict.panel)
        for (start, stop), verdict in zip(spans, verdicts, strict=True)
    ]


def sentences(text: str) -> list[str]:
    """The texts that `narrated` asks a judge about."""
    return [text[start:stop] for start, stop in _sentences(text)]


def panel_per_step(
    passages: Sequence[Passage], offsets: Sequence[tuple[int, int]]
) -> list[int | None]:
    """The panel being narrated at every decode step; None where no single one is.

    Args:
        passages: of the narration.
        offsets: (start, stop) of the text each step wrote.
    """
    panels: list[int | None] = []
    for start, stop in offsets:
        # a step may write the end of one sentence and the start of the next: its last character
        # is what the step was about; a step that writes nothing (an end mark) is about nothing
        owner = next((p for p in passages if p.start < stop <= p.stop), None)
        panels.append(owner.panel if owner and stop > start else None)
    return panels


def order_narrated(passages: Sequence[Passage]) -> list[int]:
    """The panels in the order they are narrated, neighbours merged."""
    order: list[int] = []
    for passage in passages:
        if passage.panel is not None and (not order or order[-1] != passage.panel):
            order.append(passage.panel)
    return order


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, stop) of the sentences; what is only numbering goes with the next one."""
    start = 0
    ends = [match.end() for match in _END.finditer(text)] + [len(text)]
    for stop in ends:
        if words(without_numbering(text[start:stop])):
            yield start, stop
            start = stop
