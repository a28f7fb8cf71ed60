"""The model worker: one model, one thread that runs it for all clients, and their limits."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadScores, HeadSet
from gazeheads.live.batching import BatchLoop
from gazeheads.live.info import model_info
from gazeheads.live.slots import Slots
from gazeheads.live.uploads import PictureLimits

if TYPE_CHECKING:
    from gazeheads.models import VLM

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerLimits:
    """What one server gives, so that no connection can take it from the others.

    Attributes:
        connections: at once.
        slots: texts written at once; each holds a KV cache.
        queue: texts that may wait for a slot.
        max_tokens: of one text.
        max_prompt: tokens of a question with its pictures, asked of the gaze server.
        text_seconds: a text may last.
        patience: seconds a text waits for the page to ask for its next token.
        pictures: of uploads.
    """

    connections: int = 200
    slots: int = 32
    queue: int = 100
    max_tokens: int = 300
    max_prompt: int = 8192
    text_seconds: float = 120.0
    patience: float = 10.0
    pictures: PictureLimits = field(default_factory=PictureLimits)

    @property
    def max_frame(self) -> int:
        """Bytes of a frame; a larger one ends the connection, a picture in between is refused."""
        return 2 * self.pictures.max_bytes


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A model as it is loaded for a server.

    Attributes:
        vlm: the model.
        heads: that are steered unless others are named.
        scores: of all its heads, with matrices to show; None: no page asks for them.
    """

    vlm: VLM
    heads: HeadSet
    scores: HeadScores | None = None


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is ready.

    Attributes:
        vlm: the model.
        heads: that are steered unless others are named.
        ranking: its heads, best first; those that are steered where no others are known.
        info: what pages show of it; empty without scores.
        texts: writes about pictures with it.
    """

    vlm: VLM
    heads: HeadSet
    ranking: tuple[Head, ...]
    info: dict[str, Any]
    texts: BatchLoop

    @classmethod
    def of(cls, prepared: PreparedModel, texts: BatchLoop) -> LoadedModel:
        """A prepared model with what writes its texts."""
        vlm, heads, scores = prepared.vlm, prepared.heads, prepared.scores
        if scores is None:
            return cls(vlm, heads, heads.heads, {}, texts)
        return cls(vlm, heads, scores.ranking(), model_info(scores, len(heads)), texts)


Report = Callable[[float, str], None]
"""Told (share, what is being done)."""
Prepare = Callable[[Report], PreparedModel]
"""Loads the model and its heads."""


class ModelWorker:
    """Prepares the model once, then runs it for all clients in one thread.

    The texts under way share forward passes (`LoadedModel.texts`).
    """

    def __init__(self, prepare: Prepare, limits: WorkerLimits) -> None:
        self.limits = limits
        self.slots = Slots(limits.slots, limits.queue)
        self.connections = 0
        self.progress: tuple[float, str] = (0.0, "Starting")
        self.failure: str | None = None
        self._prepare = prepare
        self._ready: asyncio.Future[LoadedModel] | None = None
        self._texts: BatchLoop | None = None
        self._thread = ThreadPoolExecutor(1, "gazeheads-model")

    def open(self) -> None:
        """Begins to prepare the model."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._ready.add_done_callback(self._opened)
        # a daemon: loading cannot be interrupted, and must not hold up the end of the program
        threading.Thread(target=self._load, args=(loop, self._ready), daemon=True).start()

    def close(self) -> None:
        """Ends after the step under way."""
        if self._texts is not None:
            self._texts.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def ready(self) -> bool:
        """Whether the model is there."""
        return self._ready is not None and self._ready.done() and self.failure is None

    async def model(self, wait: float | None = None) -> LoadedModel:
        """The model, once it is ready.

        Raises:
            TimeoutError: not within `wait` seconds.
            GazeheadsError: it cannot be loaded.
        """
        if self._ready is None:
            raise RuntimeError("the worker was not opened")
        return await asyncio.wait_for(asyncio.shield(self._ready), wait)

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """Runs `call` in the model's thread, after those that came before."""
        work = partial(call, *args)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _load(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[LoadedModel]) -> None:
        settle: Callable[[], None]
        try:
            settle = partial(self._settle, ready, self._prepare(self._report))
        except Exception as error:
            settle = partial(ready.set_exception, error)
        with suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(settle)

    def _settle(self, ready: asyncio.Future[LoadedModel], prepared: PreparedModel) -> None:
        self._texts = BatchLoop(prepared.vlm, self.run)
        try:
            ready.set_result(LoadedModel.of(prepared, self._texts))
        except Exception as error:
            ready.set_exception(error)

    def _report(self, share: float, what: str) -> None:
        self.progress = (share, what)

    def _opened(self, ready: asyncio.Future[LoadedModel]) -> None:
        if ready.cancelled():
            return
        error = ready.exception()
        if error is None:
            self.progress = (1.0, "Ready")
            return
        expected = isinstance(error, GazeheadsError)
        self.failure = (
            str(error) if expected else "the model cannot be loaded; see the server's log"
        )
        log.error("the model cannot be loaded: %s", error, exc_info=None if expected else error)
