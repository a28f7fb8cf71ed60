"""Words of an answer: numbering taken out, loops found, overlap of two answers."""

from __future__ import annotations

import re

LOOP = 4
"""A word or phrase said this many times running is a loop."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMBERING = re.compile(
    r"\b(?:panel|frame|picture|image|scene)s?\s*(?:number|no\.?|#)?\s*\d+\s*[:.)\-]?"  # Panel 3:
    r"|(?:^|(?<=\n))\s*\(?\d+\s*[.:)]",  # 3. or 3) at the start of a line
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text in lower case, numbers included."""
    return _WORD.findall(text.lower())


def without_numbering(text: str) -> str:
    """The text with "Panel 3:", "3." and the like blanked out, so that offsets stay."""
    return _NUMBERING.sub(lambda match: " " * len(match[0]), text)


def is_junk(text: str) -> bool:
    """Whether a text is empty, only numbers, or caught in a loop; numbering does not count."""
    said = words(without_numbering(text))
    return all(word.isdigit() for word in said) or loops(said)


def loops(said: list[str]) -> bool:
    """Whether some word or phrase is said `LOOP` times running ("digs, digs, digs, digs")."""
    for period in range(1, len(said) // LOOP + 1):
        run = 0
        for word, later in zip(said, said[period:], strict=False):
            run = run + 1 if word == later else 0
            if run == period * (LOOP - 1):
                return True
    return False


def jaccard(one: str, other: str) -> float:
    """Words in both over words in either, from 0 to 1; two empty texts are the same."""
    ours, theirs = set(words(one)), set(words(other))
    if not ours and not theirs:
        return 1.0
    return len(ours & theirs) / len(ours | theirs)
