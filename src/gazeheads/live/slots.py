"""Slots: how many texts are written at once, and who waits."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gazeheads.errors import GazeheadsError

ReportPlace = Callable[[int], None]
"""Called with the number of others ahead."""


class BusyError(GazeheadsError):
    """Everyone who may wait is waiting already."""


class Slots:
    """A bounded number of slots and a bounded queue; first come, first served."""

    def __init__(self, slots: int, queue: int) -> None:
        """Args:
        slots: texts at once.
        queue: texts that may wait.
        """
        self._free = slots
        self._most_waiting = queue
        self._waiting: OrderedDict[asyncio.Future[None], ReportPlace] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def take(self, report: ReportPlace) -> AsyncIterator[None]:
        """A slot while the context lasts.

        Args:
            report: called with the number of others ahead, whenever it changes.

        Raises:
            BusyError: the queue is full.
        """
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(report)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, report: ReportPlace) -> None:
        if len(self._waiting) >= self._most_waiting:
            raise BusyError(f"{len(self._waiting)} others are waiting already: try again later")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = report
        report(len(self._waiting) - 1)
        try:
            await turn
        except asyncio.CancelledError:
            if self._waiting.pop(turn, None) is None and not turn.cancelled():
                self._release()  # the slot was given away in the same moment
            else:
                self._report_places()
            raise

    def _release(self) -> None:
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                self._report_places()
                return
        self._free += 1

    def _report_places(self) -> None:
        for ahead, report in enumerate(self._waiting.values()):
            report(ahead)
