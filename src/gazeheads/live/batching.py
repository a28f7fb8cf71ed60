"""Texts of all connections written together: one forward pass for all that wait for a token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.continuous import ContinuousBatch, TextRequest, Token

    Result = Token | Exception
Run = Callable[..., Awaitable[Any]]
"""Runs a call in the model's thread."""

GATHER_SECONDS = 0.004
"""How long a pass waits for those who have just been given a token to ask for the next."""
MOST_READ = 4096
"""Prompt tokens that are read at once, so that the texts under way are not held up for long."""
log = logging.getLogger(__name__)


class BatchError(GazeheadsError):
    """The model failed; the server's log says how."""


class TextStream:
    """A text that is written as it is asked for."""

    def __init__(self, loop: BatchLoop, request: TextRequest) -> None:
        self.request = request
        self._loop = loop
        self._ended = False

    async def next(self) -> Token | None:
        """The next token; None after the last one.

        Raises:
            GazeheadsError: the request is refused, or the model failed.
        """
        if self._ended:
            return None
        token = await self._loop.ask(self.request)
        self._ended = token.ended is not None
        return token

    def close(self) -> None:
        """Drops the text, unless it has ended; the pass under way is not waited for."""
        if not self._ended:
            self._ended = True
            self._loop.drop(self.request)


class BatchLoop:
    """Goes round: reads prompts that have come, then gives every text that wants one a token.

    Prompts are read in the order they came, a few thousand tokens at a time, and every text that
    has asked is in the next pass, so nobody starves. A text that has not asked waits beside it.
    """

    def __init__(self, vlm: VLM, run: Run) -> None:
        """Args:
        vlm: the model.
        run: runs a call in the model's thread.
        """
        from gazeheads.models.continuous import ContinuousBatch  # noqa: PLC0415 - loads torch

        self._batch = ContinuousBatch(vlm)
        self._run = run
        self._asked: dict[TextRequest, asyncio.Future[Token]] = {}
        self._new: list[TextRequest] = []  # not read yet
        self._under_way: set[TextRequest] = set()
        self._dropped: list[TextRequest] = []
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._go_round())

    def begin(self, request: TextRequest) -> TextStream:
        """A text; nothing is done until its first token is asked for."""
        return TextStream(self, request)

    async def ask(self, request: TextRequest) -> Token:
        """The next token of a text."""
        future: asyncio.Future[Token] = asyncio.get_running_loop().create_future()
        self._asked[request] = future
        if request not in self._under_way and request not in self._new:
            self._new.append(request)
        self._changed.set()
        return await future

    def drop(self, request: TextRequest) -> None:
        """Forgets a text."""
        self._asked.pop(request, None)
        if request in self._new:
            self._new.remove(request)
        self._under_way.discard(request)
        self._dropped.append(request)
        self._changed.set()

    def close(self) -> None:
        """Ends after the pass under way."""
        self._task.cancel()

    async def _go_round(self) -> None:
        while True:
            await self._changed.wait()
            await self._gather()
            self._changed.clear()
            new, dropped = _first(self._new), self._dropped
            self._new, self._dropped = self._new[len(new) :], []
            wanted = [each for each in self._asked if each in self._under_way]
            if not (new or wanted or dropped):
                continue
            try:
                results = await self._run(advance, self._batch, new, wanted, dropped)
            except Exception as error:  # the server ends
                self._give(dict.fromkeys(self._asked, error))
                raise
            self._give(results)
            if self._new:
                self._changed.set()

    async def _gather(self) -> None:
        """Waits a moment for texts under way that have not asked yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                while any(each not in self._asked for each in self._under_way):
                    self._changed.clear()
                    await self._changed.wait()

    def _give(self, results: dict[TextRequest, Result]) -> None:
        for request, result in results.items():
            future = self._asked.pop(request, None)
            over = isinstance(result, Exception) or result.ended is not None
            if future is None or future.done():  # dropped meanwhile
                if not over:
                    self._dropped.append(request)
                    self._changed.set()
                continue
            if over:
                self._under_way.discard(request)
            else:
                self._under_way.add(request)
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _first(new: Sequence[TextRequest]) -> list[TextRequest]:
    """The first of the requests, as many as are read at once; one at least."""
    taken: list[TextRequest] = []
    tokens = 0
    for request in new:
        tokens += len(request.inputs)
        if taken and tokens > MOST_READ:
            break
        taken.append(request)
    return taken


def advance(
    batch: ContinuousBatch,
    new: Sequence[TextRequest],
    wanted: Sequence[TextRequest],
    dropped: Iterable[TextRequest],
) -> dict[TextRequest, Result]:
    """One round, in the model's thread; a text that fails takes no other one with it.

    Args:
        batch: of the texts under way.
        new: to be read.
        wanted: of those under way, the ones that are to get a token.
        dropped: to be forgotten.
    """
    batch.leave(list(dropped))
    results: dict[TextRequest, Result] = {}
    if wanted:
        try:
            results |= batch.step(wanted)
        except Exception as error:
            batch.leave(wanted)
            results |= dict.fromkeys(wanted, _told(error))
    if new:
        results |= _joined(batch, new)
    return results


def _joined(batch: ContinuousBatch, new: Sequence[TextRequest]) -> dict[TextRequest, Result]:
    try:
        return dict(batch.join(new))
    except Exception as error:
        if len(new) == 1:
            return {new[0]: _told(error)}
    # one of them is at fault, or they are too many for the memory: each by itself
    results: dict[TextRequest, Result] = {}
    for request in new:
        results |= _joined(batch, [request])
    return results


def _told(error: Exception) -> Exception:
    if isinstance(error, GazeheadsError):
        return error
    log.error("the model failed", exc_info=error)
    return BatchError("the model failed; see the server's log")
