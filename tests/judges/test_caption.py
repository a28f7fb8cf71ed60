"""The caption judge: its limits on made-up vectors, its meaning on real sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges import CaptionJudge, Verdict
from gazeheads.judges.calibration import agreement, best_limits, made_up, similarities
from gazeheads.judges.caption import verdict_of

CAPTIONS = (
    ("A cat rides a bike in the forest.", "Forest: a cat on a bike."),
    ("A dog paints a rocket at the beach.",),
    ("A fox buries an apple in the mountains.",),
)
STRIP = Strip("s", (Image.new("RGB", (32, 32)),) * 3, captions=CAPTIONS)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.1, 0.8, 0.3], Verdict(2, "described")),
        ([0.78, 0.8, 0.3], Verdict(None, "tie")),
        ([0.74, 0.8, 0.3], Verdict(2, "described")),
        ([0.1, 0.2, 0.29], Verdict(None, "junk")),
        ([0.1, 0.2, 0.31], Verdict(3, "described")),
    ],
)
def test_floor_and_margin(row: list[float], expected: Verdict) -> None:
    assert verdict_of("words", np.array(row), floor=0.3, margin=0.05) == expected


def test_junk_is_junk_however_similar() -> None:
    for answer in ("", "1 2 3", "cat cat cat cat", "Panel 2:"):
        assert verdict_of(answer, np.array([0.0, 1.0]), 0.3, 0.05) == Verdict(None, "junk")


def test_a_panel_is_as_similar_as_its_nearest_caption_and_numbering_is_not_embedded() -> None:
    seen: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        seen.extend(texts)
        angles = {"answer": 0.0, CAPTIONS[0][0]: 1.5, CAPTIONS[0][1]: 0.1}
        found = [angles.get(text, 1.2) for text in texts]
        return np.stack([np.cos(found), np.sin(found)], axis=1)

    (row,) = CaptionJudge(embed=embed).similarities(STRIP, ["Panel 3: answer"])
    assert row == pytest.approx([np.cos(0.1), np.cos(1.2), np.cos(1.2)])
    assert seen[0] == "answer"


def test_a_strip_without_captions_is_an_error() -> None:
    judge = CaptionJudge(embed=lambda texts: np.ones((len(texts), 1)))
    for captions in (None, (("a",), (), ("b",))):
        bare = Strip("scanned", STRIP.panels, captions=captions)
        with pytest.raises(GazeheadsError, match=r"captions\.jsonl"):
            judge.judge(bare, ["a cat"])


@pytest.mark.slow
def test_meaning_counts_and_not_words() -> None:
    said = [
        "A kitten cycles through the woods.",
        "Puppy colours a spaceship by the sea.",
        "Some animal digs a hole for a piece of fruit on a mountain.",
        "Interest rates rose again last quarter.",
        "",
    ]
    found = CaptionJudge().judge(STRIP, said)
    assert [verdict.panel for verdict in found] == [1, 2, 3, None, None]
    assert [verdict.reason for verdict in found[3:]] == ["junk", "junk"]


@pytest.mark.slow
def test_it_agrees_with_the_label_judge_about_single_panels() -> None:
    samples = made_up(draw_strips(4, 5, 4, size=32), seed=5)
    rows = similarities(judge := CaptionJudge(), samples)
    found = {a.kind: a for a in agreement(samples, rows, judge.floor, judge.margin)}
    assert found["all"].total == len(samples) == sum(a.total for a in found.values()) / 2
    for kind in ("reworded", "two attributes", "synonyms", "junk"):
        assert found[kind].same >= 0.85 * found[kind].total, found
    # the limits are not decoration: without them off-topic texts are taken for panels
    free = {a.kind: a for a in agreement(samples, rows, -1.0, 0.0)}
    assert free["off topic"].same < found["off topic"].same
    best = agreement(samples, rows, *best_limits(samples, rows))[-1]
    assert best.same >= found["all"].same
