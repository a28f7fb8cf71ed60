"""Who does the units of a run: this process, or others that are sent the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Made = Sequence[Mapping[str, Any]]
"""Of a part one record per item."""


class Workers(Protocol):
    """Does parts of the work of a run.

    A part's records must not depend on who does it, nor on what was done before.
    """

    def done(
        self, do: Callable[[Sequence[Item]], Made], parts: Sequence[Sequence[Item]]
    ) -> Iterator[tuple[int, Made]]:
        """Does every part once; gives its number among them and its records as it is finished.

        Args:
            do: gives one record per item of a part; may write files beside the records.
            parts: what `do` gets.
        """
        ...


class ThisProcess:
    """One part after the other, here."""

    def done(
        self, do: Callable[[Sequence[Item]], Made], parts: Sequence[Sequence[Item]]
    ) -> Iterator[tuple[int, Made]]:
        """See `Workers`."""
        for number, part in enumerate(parts):
            yield number, do(part)
