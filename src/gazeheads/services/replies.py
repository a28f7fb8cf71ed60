"""The JSON object in what a chat model replied, however it is wrapped.

Asked for bare JSON, models also send it in a Markdown fence, after a thought or some prose, with
trailing commas or as Python would write it. What cannot be told apart is not guessed: of several
objects only the last one, which stands after all thoughts, is the answer.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_TAG = re.compile(r"<(/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"\s*```[\w-]*\s*\n?(.*?)\n?\s*```\s*", re.DOTALL)
_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)
_BRACE = re.compile(rf"{_STRING}|[{{}}]", re.DOTALL)
_LONGEST = 20_000  # characters of a reply that are searched, from its end
_MOST_TRIES = 200  # opening braces looked at: a text of braces alone must not take for ever


def read_object(text: str, whole: bool = False) -> dict[str, Any]:
    """The JSON object of a reply.

    Args:
        text: of the reply.
        whole: take it only if nothing but thoughts and a fence stands around it, as for a reply
            that was cut off, whose last object may be part of a thought.

    Raises:
        ValueError: there is none.
    """
    said = without_thoughts(text).strip()
    fenced = _FENCE.fullmatch(said)
    data = _parsed(fenced[1] if fenced else said)
    if isinstance(data, list) and len(data) == 1:  # the object, in a list of its own
        data = data[0]
    if isinstance(data, dict):
        return data
    if data is None and not whole and (last := _last_object(said)) is not None:
        return last
    raise ValueError("no JSON object")


def without_thoughts(text: str) -> str:
    """A reply without what a reasoning model writes between tags before its answer."""
    # the template may have written the opening tag, so that the reply begins inside the thought;
    # one that is never closed goes on to the end
    begins, ends = None, 0
    for tag in _TAG.finditer(text):
        if tag[1]:
            begins, ends = None, tag.end()
        elif begins is None:
            begins = tag.start()
    return text[ends:begins]


def _last_object(text: str) -> dict[str, Any] | None:
    """The last outermost object inside prose."""
    text = text[-_LONGEST:]
    found: dict[str, Any] | None = None
    start, tries = text.find("{"), 0
    while start >= 0 and tries < _MOST_TRIES:
        tries += 1
        stop = _closing(text, start)
        data = _parsed(text[start:stop]) if stop is not None else None
        if isinstance(data, dict):
            found = data
            assert stop is not None
            start = text.find("{", stop)
        else:
            start = text.find("{", start + 1)
    return found


def _closing(text: str, start: int) -> int | None:
    """Where the brace at `start` is closed, strings left out; None if it is not."""
    depth = 0
    for match in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0 and match[0] == "}":
            return match.end()
    return None


def _parsed(text: str) -> Any:
    """What a text is as JSON, with trailing commas, or as a Python value; None if it is neither."""
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(_COMMA.sub(lambda match: match[1] or "", text), strict=False)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LONGEST:
        return None
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
