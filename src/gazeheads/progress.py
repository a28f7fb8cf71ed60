"""How work that takes a while says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

Progress = Callable[[int, int], None]
"""Called with (units done, units in all)."""


@runtime_checkable
class GoesOn(Protocol):
    """A progress callback that can say how much an earlier attempt left behind."""

    def going_on(self, done: int, total: int) -> None:
        """Told once, before work that goes on: units that are there, and units in all."""
        ...
