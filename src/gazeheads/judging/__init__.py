"""Judges say which panel of a strip an answer describes."""

from gazeheads.judging.caption import CaptionJudge
from gazeheads.judging.label import LabelJudge, chosen_judge
from gazeheads.judging.rules import judge_answers, judge_segments, worth_asking
from gazeheads.judging.verdict import Judge, Verdict

__all__ = [
    "CaptionJudge",
    "Judge",
    "LabelJudge",
    "Verdict",
    "chosen_judge",
    "judge_answers",
    "judge_segments",
    "worth_asking",
]
