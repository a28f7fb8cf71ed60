"""The label judge: exact and offline, for drawn strips that know what each panel shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from gazeheads.data.drawn.captions import FORMS
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges.verdict import JUNK, TIE, Judge, Verdict
from gazeheads.judges.wording import is_junk, without_numbering


class LabelJudge:
    """Counts, for every panel, how many of its attributes the answer names.

    The attributes are character, action, thing, place and weather. The panel that shares most
    alone is the described one; several with the most is a tie; none named is junk.
    """

    name = "label"
    about: Mapping[str, Any] = MappingProxyType({})

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        """One verdict per answer.

        Raises:
            GazeheadsError: the strip does not know what its panels show.
        """
        truths = _truths(strip)
        return [described(truths, answer) for answer in answers]


def named(truth: PanelTruth, text: str) -> frozenset[str]:
    """Names of the panel's attributes ("character", "place", ...) that a text mentions."""
    return frozenset(
        attribute
        for attribute, word in truth.attributes().items()
        if _pattern(attribute, word).search(text)
    )


def described(truths: Sequence[PanelTruth], answer: str) -> Verdict:
    """The verdict on an answer about panels of which it is known what they show."""
    if is_junk(answer):
        return JUNK
    text = without_numbering(answer)
    counts = Counter({k: len(named(truth, text)) for k, truth in enumerate(truths, 1)})
    (best, most), *rest = counts.most_common(2)
    if most == 0:
        return JUNK
    if rest and rest[0][1] == most:
        return replace(TIE, mixed=True)
    return Verdict(best, "described", mixed=_names_another(truths, best, text))


def _names_another(truths: Sequence[PanelTruth], panel: int, text: str) -> bool:
    """Whether a text names an attribute of another panel that the described one does not have."""
    own = truths[panel - 1].attributes()
    return any(
        own.get(attribute) != truth.attributes()[attribute]
        for truth in truths
        for attribute in named(truth, text)
    )


def _truths(strip: Strip) -> tuple[PanelTruth, ...]:
    if strip.truths is None:
        raise GazeheadsError(
            f"strip {strip.id!r} does not say what its panels show (no truths in captions.jsonl), "
            "so the label judge, the default, cannot judge answers about it: choose "
            "--judge caption if it has captions, else --judge llm"
        )
    return strip.truths


@cache
def _pattern(attribute: str, word: str) -> re.Pattern[str]:
    """Finds the word in any of its forms, as a whole word."""
    if attribute == "action":
        forms = _verb_forms(word)
    elif attribute == "weather":
        forms = _weather_forms(word)
    else:
        forms = _noun_forms(word)
    # longest first, so that a phrase is not cut short by its own beginning
    listed = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(rf"\b(?:{listed})\b", re.IGNORECASE)


def _noun_forms(word: str) -> set[str]:
    """Singular and plural, whichever is given: mountains, mountain; box, boxes; city, cities."""
    forms = {word, f"{word}s", f"{word}es"}
    if word.endswith("y"):
        forms.add(f"{word[:-1]}ies")
    if word.endswith("s"):
        forms.add(word[:-1])
    return forms


def _verb_forms(word: str) -> set[str]:
    """Every form of a verb in the third person: washes, wash, washing, washed."""
    bases = {word, *_bases(word)}
    return bases | set(FORMS.get(word, ())) | set(_derived(bases, ("ing", "ed")))


def _bases(verb: str) -> Iterable[str]:
    if verb.endswith("ies"):
        yield f"{verb[:-3]}y"
    elif verb.endswith("s"):
        yield verb[:-1]
        if verb.endswith("es"):
            yield verb[:-2]


def _weather_forms(word: str) -> set[str]:
    """The noun and its adjective: storm, stormy; sun, sunny."""
    return _noun_forms(word) | set(_derived({word}, ("y",)))


def _derived(bases: Iterable[str], endings: Sequence[str]) -> Iterable[str]:
    """Bases with an ending, with a final e or y dropped or the last letter doubled as well."""
    for base in bases:
        for ending in endings:
            yield base + ending
            yield base + base[-1] + ending
            if base.endswith("e"):
                yield base[:-1] + ending
            if base.endswith("y") and ending == "ed":
                yield f"{base[:-1]}ied"


def chosen_judge(judge: Judge | None, name: str) -> Judge:
    """The judge given, or the label judge; it must be the one that the settings name.

    Raises:
        GazeheadsError: The settings name another judge.
    """
    judge = judge or LabelJudge()
    if judge.name != name:
        raise GazeheadsError(f"settings name the judge {name!r}, not {judge.name!r}")
    return judge
