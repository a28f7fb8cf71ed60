"""Whether a `with vlm.steer(...)` is in force where a forward pass runs.

A `with` belongs to the code it surrounds, and that code may be a thread, a task, an executor's job
or a generator that is paused in the middle. Python has no single notion of "inside" for all of
them; this module is the one place that decides (docs/guarantees.md has the rules in words).
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from types import FrameType
from typing import TypeVar

from gazeheads.attention.intervention import InterventionError

_NUMBERS = itertools.count()


class Scope:
    """The code that one `with` surrounds.

    Attributes:
        number: later ones are larger.
        closed: whether the `with` has ended.
        where: file and line of the `with`, for messages.
    """

    def __init__(self) -> None:
        self.number = -1
        self.closed = False
        self.where = ""
        self._owner: FrameType | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[object] | None = None
        self._alive: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def open(self, frame: FrameType) -> None:
        """Begins, for the frame that has the `with` statement."""
        self.number, self.closed = next(_NUMBERS), False
        self._owner = _owner(frame)
        self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self._thread, self._task = threading.current_thread(), _task()
        self._alive = weakref.WeakSet(threading.enumerate())
        _OPEN.set((*_living(_OPEN.get()), self))

    def close(self) -> None:
        """Ends; may be called in another context than `open`."""
        self.closed = True
        self._owner = None
        _OPEN.set(_living(_OPEN.get()))

    def surrounds(self, stack: frozenset[int]) -> bool:
        """Whether the running code is inside, its own context considered.

        Args:
            stack: ids of the frames of the current thread.
        """
        owner = self._owner
        if owner is None:
            return False
        if id(owner) in stack:
            return True
        if self not in _OPEN.get():
            return False
        flags = owner.f_code.co_flags
        if flags & inspect.CO_GENERATOR:
            # a paused generator lends its context to its caller; it is at work only on a stack
            return threading.current_thread() is not self._thread and _runs_elsewhere(owner)
        if flags & inspect.CO_ASYNC_GENERATOR:
            # paused at a yield, its consumer runs in the same task; at an await, others do
            return _task() is not self._task or threading.current_thread() is not self._thread
        return True

    def lends_to(self, thread: threading.Thread) -> bool:
        """Whether a thread without a `with` of its own may be at work for this one.

        A thread started inside, and an executor's worker, whose jobs come from anywhere.
        """
        if self.closed or thread is self._thread or thread is threading.main_thread():
            return False
        return thread not in self._alive or _is_worker(thread)

    def same_opener(self, other: Scope) -> bool:
        """Whether both were opened by the same thread and task."""
        return self._thread is other._thread and self._task is other._task


_OPEN: ContextVar[tuple[Scope, ...]] = ContextVar("gazeheads_open", default=())
"""What the current context has opened, or inherited from the one that started it."""

AnyScope = TypeVar("AnyScope", bound=Scope)


def in_force(candidates: Sequence[AnyScope]) -> tuple[tuple[AnyScope, ...], bool]:
    """Those of one model's open scopes that surround the running code, the outermost first.

    Returns:
        the scopes, and whether a thread without a `with` of its own adopted them.

    Raises:
        InterventionError: such a thread could be at work for several.
    """
    living = [scope for scope in candidates if not scope.closed]
    if not living:
        return (), False
    stack = frozenset(id(frame) for frame in _frames(sys._getframe()))
    around = [scope for scope in living if scope.surrounds(stack)]
    if around:
        return tuple(sorted(around, key=lambda scope: scope.number)), False
    thread = threading.current_thread()
    lent = [scope for scope in living if scope.lends_to(thread)]
    if any(not scope.same_opener(lent[0]) for scope in lent[1:]):
        places = ", ".join(scope.where for scope in lent)
        raise InterventionError(
            f"thread {thread.name!r} is inside no `with vlm.steer(...)` of its own and several are "
            f"open ({places}): open one in the thread, or run it through "
            "contextvars.copy_context().run"
        )
    return tuple(sorted(lent, key=lambda scope: scope.number)), bool(lent)


def _living(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    return tuple(scope for scope in scopes if not scope.closed)


def _owner(frame: FrameType) -> FrameType:
    """The frame whose code the `with` surrounds.

    A generator made into a context manager opens the `with` for whoever enters it.
    """
    while (caller := frame.f_back) is not None:
        entered = caller.f_code.co_name in ("__enter__", "__aenter__", "enter_context")
        by_contextlib = caller.f_globals.get("__name__") == "contextlib"
        if not (entered and by_contextlib and caller.f_back is not None):
            if frame.f_globals.get("__name__") != "contextlib":
                break
            frame = caller
            continue
        frame = caller.f_back
    return frame


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _runs_elsewhere(owner: FrameType) -> bool:
    """Whether a frame is on the stack of any thread."""
    return any(
        frame is owner for top in list(sys._current_frames().values()) for frame in _frames(top)
    )


def _task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop in this thread
        return None


_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")


def _is_worker(thread: threading.Thread) -> bool:
    """Whether a thread belongs to an executor or a pool."""
    target = getattr(thread, "_target", None)
    of_anyio = type(thread).__module__.startswith("anyio.")
    return of_anyio or getattr(target, "__module__", "") in _POOLS
