"""The study's rules around a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from PIL import Image

from gazeheads.data.strip import Strip
from gazeheads.judges import Verdict, judge_answers, judge_segments
from gazeheads.judges.rules import matches_baseline

STRIP = Strip("s", (Image.new("RGB", (32, 32)),) * 3)


class Oracle:
    """Believes every answer that names its panel; remembers what it was asked."""

    name = "oracle"
    about: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.asked: list[str] = []

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        self.asked += answers
        return [Verdict(int(answer.split()[-1]), "described") for answer in answers]


def test_a_match_is_above_nine_tenths() -> None:
    ten = "a b c d e f g h i j"
    assert matches_baseline(f"{ten} k", ten)  # 10 of 11
    assert not matches_baseline("a b c d e f g h i", ten)  # 9 of 10


def test_a_baseline_match_is_a_miss_without_asking_but_keeps_its_content() -> None:
    oracle = Oracle()
    own, verdicts = judge_answers(oracle, STRIP, "it is 2", ["It is 2!", "it is 3", ""])
    assert own == Verdict(2, "described")
    assert verdicts == [Verdict(2, "baseline"), Verdict(3, "described"), Verdict(None, "junk")]
    assert oracle.asked == ["it is 2", "it is 3"]
    assert [v.hits(2) for v in verdicts] == [False, False, False]
    assert [v.shows(2) for v in verdicts] == [True, False, False]
    assert verdicts[1].hits(3) and verdicts[1].shows(3)


def test_each_different_text_is_asked_once() -> None:
    oracle = Oracle()
    judge_answers(oracle, STRIP, "it is 2", ["now 1"] * 5 + ["it is 2"])
    assert oracle.asked == ["it is 2", "now 1"]


def test_junk_is_never_asked_and_a_junk_baseline_matches_nothing_said() -> None:
    oracle = Oracle()
    own, verdicts = judge_answers(oracle, STRIP, "", ["", "no no no no", "it is 1"])
    assert own.reason == "junk"
    assert [v.reason for v in verdicts] == ["junk", "junk", "described"]
    assert oracle.asked == ["it is 1"]


def test_every_answer_gets_a_verdict() -> None:
    _, verdicts = judge_answers(Oracle(), STRIP, "", [""] * 6)
    assert len(verdicts) == 6


def test_segments_are_judged_one_by_one_without_junk() -> None:
    oracle = Oracle()
    found = judge_segments(oracle, STRIP, ["it is 2", "", "it is 2", "12"])
    assert [verdict.panel for verdict in found] == [2, None, 2, None]
    assert oracle.asked == ["it is 2", "it is 2"]
    assert judge_segments(oracle, STRIP, ["", ""]) == [Verdict(None, "junk")] * 2


class Reader(Oracle):
    """Sees all segments at once and takes each for the panel of its place."""

    def judge_text(self, strip: Strip, segments: Sequence[str]) -> list[Verdict]:
        return [Verdict(place, "described") for place, _ in enumerate(segments, 1)]


def test_a_judge_that_can_sees_all_segments_together() -> None:
    reader = Reader()
    found = judge_segments(reader, STRIP, ["it is 3", "", "it is 3"])
    assert [verdict.panel for verdict in found] == [1, None, 2] and reader.asked == []
