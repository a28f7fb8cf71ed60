"""Heads, and what people call them: pairs, names, and arrays of numbers."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from gazeheads.errors import GazeheadsError


class HeadError(GazeheadsError):
    """Heads that do not exist in the model they are used with, or too many of them."""


class Head(NamedTuple):
    """One attention head of the language model; both numbers count from 0."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


def head_named(name: str) -> Head:
    """The head of a name such as "L3H1".

    Raises:
        HeadError: it is no name of a head.
    """
    match = re.fullmatch(r"L(\d+)H(\d+)", name.strip(), re.IGNORECASE)
    if match is None:
        raise HeadError(f"{name!r} names no head: L3H1 is head 1 of layer 3, from 0")
    return Head(int(match[1]), int(match[2]))


def whole(number: Any, what: str = "a number of heads") -> int:
    """A whole number, of whichever type whole numbers have; a string or 3.7 is none.

    Raises:
        HeadError: it is none.
    """
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass
    raise HeadError(f"{what} is a whole number, not {number!r}")


def head_of(value: Any) -> Head:
    """A head from whatever names one: a `Head`, a (layer, head) pair or "L3H1".

    Raises:
        HeadError: it names none.
    """
    if isinstance(value, str):
        return head_named(value)
    try:
        layer, head = value
    except (TypeError, ValueError):
        raise HeadError(
            f"a head is (layer, head) or a name such as 'L3H1', not {value!r}; several come as a "
            "list: [(3, 1), (4, 2)]"
        ) from None
    return Head(whole(layer, "a layer"), whole(head, "a head"))


def given_heads(heads: Any) -> Iterable[Any]:
    """The heads of what was given as several.

    Raises:
        HeadError: scores of all heads, or nothing that holds heads.
    """
    if hasattr(heads, "scores") and hasattr(heads, "top"):
        raise HeadError(
            "these are scores of all heads, not heads to use: take the best ones, such as "
            "scores.top(12)"
        )
    if isinstance(heads, str | Head):
        return [heads]
    if not isinstance(heads, Iterable):
        raise HeadError(f"heads are a head set or a list such as [(3, 1), 'L4H2'], not {heads!r}")
    return heads
