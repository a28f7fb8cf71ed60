"""Which panel a narration is about, step by step."""

from __future__ import annotations

import pytest

from gazeheads.judges import LabelJudge
from gazeheads.judges.narration import narrated, order_narrated, panel_per_step
from judges.test_label import TRUTHS, strip_of


def passages_of(text: str) -> list[tuple[str, int | None]]:
    found = narrated(LabelJudge(), strip_of(TRUTHS), text)
    return [(text[p.start : p.stop].strip(), p.panel) for p in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Cat rides a bike. Dog paints.\nFox!",
            [("Cat rides a bike.", 1), ("Dog paints.", 2), ("Fox!", 3)],
        ),
        (
            "1. A fox. 2. It rests. 3. A cat.",
            [("1. A fox.", 3), ("2. It rests.", None), ("3. A cat.", 1)],
        ),
        ("Panel 1: a dog\nPanel 2: a cat", [("Panel 1: a dog", 2), ("Panel 2: a cat", 1)]),
        ("A cat and a dog. A cat", [("A cat and a dog.", None), ("A cat", 1)]),
        ("", []),
        ("1.", []),
    ],
)
def test_sentences_with_the_panel_each_describes(
    text: str, expected: list[tuple[str, int | None]]
) -> None:
    assert passages_of(text) == expected


def test_the_order_merges_neighbours_and_skips_what_describes_no_panel() -> None:
    text = "A fox. The fox again. So it goes. Fox. A cat. A fox."
    assert order_narrated(narrated(LabelJudge(), strip_of(TRUTHS), text)) == [3, 1, 3]


def test_every_step_belongs_to_the_sentence_it_writes() -> None:
    pieces = ["A", " cat", ".", " A", " fox", ". Do", "g", ""]
    text = "".join(pieces)
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    offsets = [(end - len(piece), end) for end, piece in zip(ends, pieces, strict=True)]
    passages = narrated(LabelJudge(), strip_of(TRUTHS), text)
    assert panel_per_step(passages, offsets) == [1, 1, 1, 3, 3, 2, 2, None]
