"""Judges say which panel of a strip an answer describes."""

from gazeheads.judges.caption import CaptionJudge
from gazeheads.judges.label import LabelJudge, chosen_judge
from gazeheads.judges.rules import judge_answers, judge_segments, worth_asking
from gazeheads.judges.verdict import Judge, Verdict

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
