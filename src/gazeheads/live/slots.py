"""Seats: how many texts are written at once, and who waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gazeheads.errors import GazeheadsError

Tell = Callable[[int], None]


class BusyError(GazeheadsError):
    """Everyone who may wait is waiting already."""


class Seats:
    """A bounded number of seats and a bounded queue; whoever came first sits first."""

    def __init__(self, seats: int, queue: int) -> None:
        """Args:
        seats: texts at once.
        queue: texts that may wait.
        """
        self._free = seats
        self._most_waiting = queue
        self._waiting: OrderedDict[asyncio.Future[None], Tell] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def take(self, tell: Tell) -> AsyncIterator[None]:
        """A seat while the context lasts.

        Args:
            tell: called with the number of others ahead, whenever it changes.

        Raises:
            BusyError: the queue is full.
        """
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(tell)
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, tell: Tell) -> None:
        if len(self._waiting) >= self._most_waiting:
            raise BusyError(f"{len(self._waiting)} others are waiting already: try again later")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = tell
        tell(len(self._waiting) - 1)
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.pop(turn, None) is None and not turn.cancelled():
                self._leave()  # the seat was given away in the same moment
            else:
                self._tell_all()
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                self._tell_all()
                return
        self._free += 1

    def _tell_all(self) -> None:
        for ahead, tell in enumerate(self._waiting.values()):
            tell(ahead)
