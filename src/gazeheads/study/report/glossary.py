"""The words of the report: told once as data, and found in its texts."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

_FILE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True)
class Term:
    """A word and what it means.

    Attributes:
        id: of its explanation in the page.
        name: its heading.
        forms: the ways it is written.
        text: what it means.
    """

    id: str
    name: str
    forms: tuple[str, ...]
    text: str


@cache
def terms() -> tuple[Term, ...]:
    """All terms by name, as in a glossary."""
    listed = tomllib.loads(_FILE.read_text(encoding="utf-8"))["term"]
    found = [
        Term(
            f"term-{re.sub('[^a-z0-9]+', '-', own['name'].lower()).strip('-')}",
            own["name"],
            tuple(own["forms"]),
            own["text"],
        )
        for own in listed
    ]
    return tuple(sorted(found, key=lambda term: term.name.lower()))


class Explained:
    """Texts of one section in which every term can be touched where it first stands.

    Attributes:
        used: ids of the terms found so far.
    """

    def __init__(self) -> None:
        self.used: set[str] = set()

    def __call__(self, text: object) -> Markup:
        """The text as markup; a term already explained in the section stays plain."""
        plain = str(text)
        parts: list[Markup] = []
        at = 0
        for match in _pattern().finditer(plain):
            term = _by_form()[match[0].lower()]
            if term.id in self.used:
                continue
            self.used.add(term.id)
            parts += [escape(plain[at : match.start()]), _button(term, match[0])]
            at = match.end()
        return Markup("").join([*parts, escape(plain[at:])])


def _button(term: Term, words: str) -> Markup:
    return Markup('<button type="button" class="term" popovertarget="{}">{}</button>').format(
        term.id, words
    )


@cache
def _by_form() -> dict[str, Term]:
    return {form.lower(): term for term in terms() for form in term.forms}


@cache
def _pattern() -> re.Pattern[str]:
    """Any form as a whole word, the longest first; a lone "p" only where a number follows."""
    words = sorted(_by_form(), key=len, reverse=True)
    each = [
        re.escape(form) + (r"(?= [=(]|$)" if len(form) == 1 else r"(?![\w-])") for form in words
    ]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(each)})", re.IGNORECASE)
