"""Words of an answer: numbering taken out, loops found, overlap of two answers."""

from __future__ import annotations

import math
import re

from gazeheads.spans import function_words

LOOP = 2.5
"""A phrase said this many times running is a loop; the last time may be cut off."""
_LEAST = 3
"""Words that a loop says again at least: a single word is a loop when said four times."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CLAUSE = re.compile(r"[.,;:!?\n]+|\b(?:and then|then)\b", re.IGNORECASE)
_JOINING = frozenset({"and", "then"})
_OPENING = _JOINING | {"a", "an", "the"}
_LONGEST_AGAIN = 40
"""Words of the longest phrase that is looked for right after itself."""
_STUCK = re.compile(r"(\S)\1{7}")  # one character eight times running
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBERING = re.compile(
    r"\b(?:panel|frame|picture|image|scene)s?\s*(?:number|no\.?|#)?\s*\d+\s*[:.)\-]?"  # Panel 3:
    r"|(?:^|(?<=\n))\s*\(?\d+\s*[.:)]",  # 3. or 3) at the start of a line
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text in lower case, numbers included; "clockCat" is two words run together."""
    return _WORD.findall(_JOINT.sub(" ", text).lower())


def without_numbering(text: str) -> str:
    """The text with "Panel 3:", "3." and the like blanked out, so that offsets stay."""
    return _NUMBERING.sub(lambda match: " " * len(match[0]), text)


def is_junk(text: str) -> bool:
    """Whether a text is empty, only numbers, or caught in a loop; numbering does not count."""
    said = words(without_numbering(text))
    stuck = _STUCK.search(text) is not None
    return stuck or all(word.isdigit() for word in said) or loops(said)


def loops(said: list[str]) -> bool:
    """Whether some phrase is said `LOOP` times running ("digs a hole digs a hole digs a")."""
    for period in range(1, len(said) // 2 + 1):
        again = max(_LEAST, math.ceil((LOOP - 1) * period))
        run = 0
        for word, later in zip(said, said[period:], strict=False):
            run = run + 1 if word == later else 0
            if run == again:
                return True
    return False


def repeats(text: str) -> bool:
    """Whether a text says one thing twice: "Cow balances the drum, then cow balances the drum."

    It does if two of its clauses have the same words in the same order, or if words are said again right after
    themselves, with at most a "then" or an "and" between. Clauses and words said again count from
    two content words on: "the cat and the cat food" repeats nothing.
    """
    parts = [_begun(words(part)) for part in _CLAUSE.split(without_numbering(text))]
    said = [tuple(part) for part in parts if len(_told(part)) > 1]
    return len(set(said)) < len(said) or _said_again(words(without_numbering(text)))


def _begun(said: list[str]) -> list[str]:
    """A clause without the article or joining word that it may begin with."""
    start = next((i for i, word in enumerate(said) if word not in _OPENING), len(said))
    return said[start:]


def _told(said: list[str]) -> tuple[str, ...]:
    """The content words of a clause."""
    return tuple(word for word in said if word not in function_words())


def _said_again(said: list[str]) -> bool:
    told = [word for word in said if word not in _JOINING]
    return any(
        told[start : start + size] == told[start + size : start + 2 * size]
        and len(_told(told[start : start + size])) > 1
        for size in range(2, min(len(told) // 2, _LONGEST_AGAIN) + 1)
        for start in range(len(told) - 2 * size + 1)
    )


def jaccard(one: str, other: str) -> float:
    """Words in both over words in either, from 0 to 1; two empty texts are the same."""
    ours, theirs = set(words(one)), set(words(other))
    if not ours and not theirs:
        return 1.0
    return len(ours & theirs) / len(ours | theirs)
