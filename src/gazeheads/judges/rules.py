"""The study's rules around any judge.

Junk is a miss. An answer equal to the unsteered one (token Jaccard above 0.9) is a miss without
asking the judge. The denominator is always all pairs, so every answer gets a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gazeheads.data.strip import Strip
from gazeheads.judges.verdict import JUNK, Judge, TextJudge, Verdict
from gazeheads.judges.wording import is_junk, jaccard, repeats

BASELINE_MATCH = 0.9


def matches_baseline(answer: str, baseline: str) -> bool:
    """Whether steering left the answer as it was."""
    return jaccard(answer, baseline) > BASELINE_MATCH


def judge_answers(
    judge: Judge, strip: Strip, baseline: str, answers: Sequence[str]
) -> tuple[Verdict, list[Verdict]]:
    """Judges the unsteered answer and the steered ones of one strip.

    The judge is asked about every different text once, and never about junk or an answer that
    matches the baseline: that one describes what the baseline describes.

    Returns:
        The verdict on the baseline, and one verdict per answer.
    """
    asked = worth_asking(baseline, answers)
    known = dict(zip(asked, judge.judge(strip, asked), strict=True)) if asked else {}
    own = known.get(baseline, JUNK)
    found = [_by_rules(text, baseline, own, known) for text in answers]
    told = [_with_repeats(text, each) for text, each in zip(answers, found, strict=True)]
    return _with_repeats(baseline, own), told


def _with_repeats(text: str, verdict: Verdict) -> Verdict:
    return replace(verdict, repeats=repeats(text))


def judge_segments(judge: Judge, strip: Strip, segments: Sequence[str]) -> list[Verdict]:
    """Judges the segments of one text; the judge does not learn what they should be about.

    A judge that can see them all at once, as the study's did, is shown them together. Junk is not
    shown.
    """
    shown = segments_shown(segments)
    if not shown:
        return [JUNK for _ in segments]
    ask = judge.judge_text if isinstance(judge, TextJudge) else judge.judge
    found = iter(ask(strip, shown))
    return [_with_repeats(t, JUNK if is_junk(t) else next(found)) for t in segments]


def segments_shown(segments: Sequence[str]) -> tuple[str, ...]:
    """The segments of a text that a judge is asked about: no junk."""
    return tuple(text for text in segments if not is_junk(text))


def worth_asking(baseline: str, answers: Sequence[str]) -> list[str]:
    """The texts a judge is asked about, each once: no junk, and nothing like the baseline."""
    asked = [text for text in dict.fromkeys([baseline, *answers]) if not is_junk(text)]
    return [text for text in asked if text == baseline or not matches_baseline(text, baseline)]


def _by_rules(answer: str, baseline: str, own: Verdict, known: dict[str, Verdict]) -> Verdict:
    if is_junk(answer):
        return JUNK
    if matches_baseline(answer, baseline):
        return Verdict(own.panel, "baseline")
    return known[answer]
