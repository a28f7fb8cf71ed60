"""What the heads under test are called: gaze heads, or those of another ranking.

Runs keep them under the condition "gaze" whatever they are; their settings say what they are. So
while a section is drawn from a run, everything that shows a condition asks here for its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from gazeheads.study.experiments.counting import GAZE

_RANKING: ContextVar[str] = ContextVar("gazeheads_ranking", default=GAZE)


def ranking_of(settings: Mapping[str, Any]) -> str:
    """The name of the ranking that a run's heads come from; runs of before tell none."""
    return str(settings.get("ranking", GAZE))


@contextmanager
def named_by(settings: Mapping[str, Any]) -> Iterator[None]:
    """Within it the heads under test are called as the settings of a run say."""
    token = _RANKING.set(ranking_of(settings))
    try:
        yield
    finally:
        _RANKING.reset(token)


def called(condition: str) -> str:
    """A condition by the name of its ranking."""
    return _RANKING.get() if condition == GAZE else condition


def heads_called(condition: str = GAZE, k: int | None = None) -> str:
    """Heads of a condition: "gaze heads", "12 random heads", "8 heads of 'mine'"."""
    count = "" if k is None else f"{k} "
    name = called(condition)
    if condition != GAZE or name == GAZE:
        return f"{count}{name} heads"
    return f"{count}heads of \N{LEFT SINGLE QUOTATION MARK}{name}\N{RIGHT SINGLE QUOTATION MARK}"


def label_called(label: str) -> str:
    """The label of a series, of which the first word is a condition."""
    names = {GAZE: called(GAZE), f"{GAZE} heads": heads_called()}
    return names.get(label, label)
