"""Spans of a text: the words or phrases that a reader points at."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import cache
from typing import Literal

from gazeheads.errors import GazeheadsError

Span = tuple[int, int]
"""(start, stop) in characters of the text."""
SpanKind = Literal["phrases", "words"]
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_LEADING = frozenset({"a", "an", "the", "his", "her", "its", "their", "this", "that", "some"})
"""Small words that a phrase may begin with."""


class SpanError(GazeheadsError):
    """Spans that a text does not have."""


def words(text: str) -> list[Span]:
    """Every word of a text."""
    return [match.span() for match in _WORD.finditer(text)]


def phrases(text: str) -> list[Span]:
    """Runs of content words, each with the article or pronoun before it: "the red boat".

    A run ends at a function word (scikit-learn's list of English stop words), at punctuation and
    at the end of a line. In another language every run of words between punctuation is a phrase.
    A text without any content word is cut into its words.
    """
    found: list[Span] = []
    lead: int | None = None  # where a small word before a phrase begins
    open_run = False
    last = 0
    for start, stop in words(text):
        word = text[start:stop].lower()
        joined = not text[last:start].strip() and "\n" not in text[last:start]
        last = stop
        if word in function_words():
            lead = start if word in _LEADING else None
            open_run = False
            continue
        if open_run and joined:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((lead if lead is not None and joined else start, stop))
        open_run, lead = True, None
    return found or words(text)


@cache
def function_words() -> frozenset[str]:
    """English words without content of their own (scikit-learn's list), in lower case."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # noqa: PLC0415 - loads slowly

    return frozenset(ENGLISH_STOP_WORDS) | _LEADING


def spans_of(text: str, chosen: SpanKind | Sequence[str | Span]) -> list[Span]:
    """Spans by kind, or the user's own.

    Args:
        text: that they are of.
        chosen: "phrases", "words", or a list: texts as they stand in it (a text that comes again
            means its next occurrence) or (start, stop) in characters.

    Returns:
        Them in the order of the text.

    Raises:
        SpanError: the text has no such span, or two of them overlap.
    """
    if chosen == "phrases":
        return phrases(text)
    if chosen == "words":
        return words(text)
    if isinstance(chosen, str):
        raise SpanError(f"spans are phrases, words, or a list of your own, not {chosen!r}")
    after: dict[str, int] = {}
    found = sorted(_own(text, each, after) for each in chosen)
    if not found:
        raise SpanError("no spans were given")
    for (_, stop), (start, end) in itertools.pairwise(found):
        if start < stop:
            raise SpanError(f"two spans overlap at {text[start:end]!r}")
    return found


def _own(text: str, span: str | Span, after: dict[str, int]) -> Span:
    if isinstance(span, str):
        start = text.find(span, after.get(span, 0))
        if start < 0 or not span.strip():
            again = "a second time " if span in after else ""
            raise SpanError(f"the text does not say {span!r} {again}(it says {_short(text)!r})")
        after[span] = start + len(span)
        return start, start + len(span)
    try:
        first, stop = (int(number) for number in span)
    except (TypeError, ValueError) as error:
        raise SpanError(f"a span is a text or (start, stop), not {span!r}") from error
    if not 0 <= first < stop <= len(text):
        raise SpanError(f"span {first}-{stop} is not inside a text of {len(text)} characters")
    return first, stop


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:77]}..."
