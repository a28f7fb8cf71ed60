"""Whether a text names a category: plurals, spellings, synonyms, and compounds that are not it.

A text is read word by word from the left. At every place the longest known phrase is taken, so that
"hot dog" is never a dog and "teddy bear" never a bear (see `category_words` for the words).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from gazeheads.data import category_words as table

Phrase = tuple[str, ...]

_IRREGULAR = {
    "person": ("people", "persons"), "child": ("children",), "man": ("men",), "woman": ("women",),
    "mouse": ("mice", "mouses"), "goose": ("geese",), "ox": ("oxen",), "calf": ("calves",),
    "knife": ("knives", "knifes"), "thief": ("thieves",), "sheep": ("sheep",),
    "shelf": ("shelves",), "bus": ("buses", "busses"),
    "passerby": ("passersby",), "someone": (), "somebody": (), "cattle": (), "luggage": (),
    "baggage": (), "bison": ("bison",), "skis": ("skis",), "scissors": ("scissors",),
    "aircraft": ("aircraft",), "watercraft": ("watercraft",), "broccoli": ("broccolis",),
    "grandchild": ("grandchildren",), "half": ("halves",), "of": ("of",), "wine": ("wine",),
}  # fmt: skip
_ENDINGS = ("s", "x", "z", "ch", "sh")
_WORD = re.compile(r"[^\W_]+")


def is_named(category: str, text: str) -> bool:
    """Whether a text names a category.

    Args:
        category: of COCO, or any other word, which then stands for itself.
        text: of a model.

    Example:
        >>> is_named("dog", "A hot dog on a plate."), is_named("knife", "Two knives.")
        (False, True)
    """
    own = _phrases_of(" ".join(_words(category)))
    return any(phrase in own for phrase in _named(text, own))


def forms(word: str) -> tuple[str, ...]:
    """A word in the singular and in the plural."""
    if word in _IRREGULAR:
        return tuple(dict.fromkeys((word, *_IRREGULAR[word])))
    if word.endswith(("man", "woman")) and word not in ("human",):
        return (word, f"{word[:-2]}en")
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return (word, f"{word[:-1]}ies")
    if word.endswith(_ENDINGS):
        return (word, f"{word}es")
    if word.endswith("o"):
        return (word, f"{word}s", f"{word}es")
    return (word, f"{word}s")


def _words(text: str) -> list[str]:
    """Lower-case words; possessives as the word they belong to."""
    lower = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    lower = re.sub(r"'s\b|(?<=s)'(?!\w)", "", lower)
    return _WORD.findall(lower)


def _spellings(phrase: str) -> Iterator[Phrase]:
    """A phrase in singular and plural, in several words and in one."""
    words = _words(phrase)
    if not words:
        return
    if "of" in words[1:-1]:
        head = words.index("of") - 1
        for form in forms(words[head]):
            yield (*words[:head], form, *words[head + 1 :])
        return
    for form in forms(words[-1]):
        yield (*words[:-1], form)
        if len(words) == 2:
            yield (words[0] + form,)


@cache
def _phrases_of(category: str) -> frozenset[Phrase]:
    """All phrases that name a category."""
    words = [category, *table.WORDS.get(category, "").split(", ")]
    also = [phrase for phrase, named in table.BOTH.items() if category in named]
    found = {spelt for word in (*words, *also) for spelt in _spellings(word)}
    if category == "wine glass":  # spectacles are glasses too
        found -= {("glasses",)}
    if category in table.WORDS:
        return frozenset(found - _elsewhere())
    # a word such as "ball" stands for itself, and for the longer phrases that end with it
    for several in map(_phrases_of, table.WORDS):
        if (category,) in several:
            found |= {phrase for phrase in several if phrase[-1] in forms(category)}
    return frozenset(found)


@cache
def _elsewhere() -> frozenset[Phrase]:
    """Phrases that name none of the categories."""
    taken = {
        spelt
        for words in table.WORDS.values()
        for word in words.split(", ")
        for spelt in _spellings(word)
    }
    several = table.ELSEWHERE.split(", ")
    return frozenset({spelt for phrase in several for spelt in _spellings(phrase)} - taken)


@cache
def _known() -> tuple[frozenset[Phrase], int]:
    """All phrases, and the most words that one has."""
    every = set(_elsewhere())
    for category in table.WORDS:
        every |= _phrases_of(category)
    return frozenset(every), max(map(len, every))


def _named(text: str, own: frozenset[Phrase]) -> Iterator[Phrase]:
    """The phrases that a text names, the longest at every place."""
    known, longest = _known()
    undotted = re.sub(r"\b([A-Za-z])\.([A-Za-z])\.", r"\1\2", text)  # T.V.
    for sentence in re.split(r"[.!?;:,()\n]+(?=\s|$)", undotted):
        words = _words(sentence)
        place = 0
        while place < len(words):
            for length in range(min(longest, len(words) - place), 0, -1):
                phrase = tuple(words[place : place + length])
                if phrase in known or phrase in own:
                    if _stands(phrase, words[:place], words[place + length :]):
                        yield phrase
                    place += length
                    break
            else:
                place += 1


def _stands(phrase: Phrase, before: list[str], after: list[str]) -> bool:
    """Whether the words around a phrase leave it what it names."""
    last, following = before[-1:], after[:1]
    if _any_of(last, table.TOYS):
        return phrase in _phrases_of("teddy bear")
    word = " ".join(phrase)
    if word in _set_of(table.OF_ANIMALS):
        return not _any_of(following, _plurals_too(table.ANIMALS))
    if word not in _set_of(table.HEADS_ONLY):
        return True
    if word.endswith("ball") and _any_of(last, table.GAMES):
        return False
    if word == "orange" and _is_colour(before, after):
        return False
    return not following or _any_of(following, table.AFTER)


def _is_colour(before: list[str], after: list[str]) -> bool:
    """Whether "orange" between these words is one of two colours."""
    joined = "and, or"
    return (_any_of(after[:1], joined) and _any_of(after[1:2], table.COLOURS)) or (
        _any_of(before[-1:], joined) and _any_of(before[-2:-1], table.COLOURS)
    )


def _any_of(words: list[str], several: str) -> bool:
    return bool(words) and words[0] in _set_of(several)


@cache
def _set_of(several: str) -> frozenset[str]:
    return frozenset(several.split(", "))


@cache
def _plurals_too(several: str) -> str:
    return ", ".join(form for word in several.split(", ") for form in forms(word))
