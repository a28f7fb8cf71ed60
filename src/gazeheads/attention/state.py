"""A plan at work: the state of one generation, found through the context it runs in.

The state is never stored on the model. A thread, or a task with a context of its own, sees only
its own run; `threading.Thread` starts with an empty context, so a thread that should see the
caller's run is started through `contextvars.copy_context().run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch

from gazeheads.attention.groups import Entry, Group, build_groups
from gazeheads.attention.plan import AttentionPlan, PlanError, Steer, Target
from gazeheads.attention.recorder import Recording


class Streams(Protocol):
    """Rows of a plan that share rows of the tensors."""

    @property
    def initial(self) -> int:
        """Rows of the tensors at layer 0."""
        ...

    def starting(self, layer: int) -> list[int]:
        """Rows of the plan that get a row of their own at a layer."""
        ...

    def streams(self, layer: int) -> list[int]:
        """The row of the tensors of every row of the plan, at a layer."""
        ...


class PlanRun:
    """One plan while the model runs under it.

    Attributes:
        plan: what to do.
        text_config: of the language model it runs on; other models in the context are left alone.
        ambient: whether it came from steering that surrounds the call.
        total: keys seen so far, the current pass included.
        step: of the current pass: tokens generated before it.
        decoding: whether the current pass is a decode step.
        steered_to: per pass, per row, the names of the targets (joined by "+"), None if unsteered.
        recording: what was recorded.
        fork: while rows share streams of the batch: which.
    """

    def __init__(self, plan: AttentionPlan, text_config: object, ambient: bool = False) -> None:
        self.plan = plan
        self.text_config = text_config
        self.ambient = ambient
        self.total = 0
        self.step = 0
        self.decoding = False
        self.steered_to: list[tuple[str | None, ...]] = []
        self.recording = Recording(plan.record) if plan.record is not None else None
        self.fork: Streams | None = None
        self._active: list[tuple[Steer, Target]] = []
        self._by_layer: dict[int, list[Group]] = {}

    def begin(self, past: int, queries: int, rows: int) -> None:
        """Called once before every forward pass; decides what this pass does.

        Args:
            past: keys already cached.
            queries: new tokens per row.
            rows: of the batch.
        """
        expected = self.plan.rows if self.fork is None else self.fork.initial
        if rows != expected:
            raise PlanError(f"the plan is for {expected} rows, the batch has {rows}")
        self.total = past + queries
        self.decoding = past >= self.plan.prompt_length
        if self.decoding and queries > 1:
            raise PlanError(
                f"{queries} tokens in one decode step: assisted decoding and continuing a cached "
                "conversation cannot be steered or recorded"
            )
        self.step = max(0, self.total - self.plan.prompt_length)
        active: list[tuple[Steer, Target]] = []
        for steer in self.plan.steers:
            if steer.acts_in(self.decoding):
                target = steer.target(self.step)
                if target is not None:
                    active.append((steer, target))
        same = len(active) == len(self._active) and all(
            a is b and s is t for (a, s), (b, t) in zip(active, self._active, strict=True)
        )
        if not same:
            self._active = active
            self._by_layer = {}
        if self.total >= self.plan.prompt_length:
            self.steered_to.append(self._names(active))
        if self.recording is not None:
            self.recording.begin(self.decoding)

    def _names(self, active: list[tuple[Steer, Target]]) -> tuple[str | None, ...]:
        names: list[list[str]] = [[] for _ in range(self.plan.rows)]
        for steer, target in active:
            if target.name not in names[steer.row]:
                names[steer.row].append(target.name)
        steered = {steer.row for steer, _ in active}
        return tuple("+".join(own) if row in steered else None for row, own in enumerate(names))

    def steered(self, layer: int, repeat: int, device: torch.device) -> list[Group]:
        """The heads of a layer that the current pass steers, one group per mode."""
        if not self._active:
            return []
        groups = self._by_layer.get(layer)
        if groups is None:
            groups = self._by_layer[layer] = self._build(layer, repeat, device)
        return groups

    def set_fork(self, fork: Streams | None) -> None:
        """Begins or ends the time in which rows share streams."""
        self.fork = fork
        self._by_layer = {}

    def streams(self, layer: int) -> list[int] | None:
        """Which row of the tensors each row of the plan is at a layer; None: the same."""
        return None if self.fork is None else self.fork.streams(layer)

    def _build(self, layer: int, repeat: int, device: torch.device) -> list[Group]:
        streams = self.streams(layer) or list(range(self.plan.rows))
        entries: list[Entry] = []
        for steer, target in self._active:
            heads = tuple(head.head for head in steer.heads if head.layer == layer)
            if heads:
                row = streams[steer.row]
                entries.append(Entry(row, heads, target, *steer.strength(target)))
        return build_groups(entries, self.plan.prompt_length, repeat, device)


_RUN: ContextVar[PlanRun | None] = ContextVar("gazeheads_run", default=None)


def current_run() -> PlanRun | None:
    """The run of this context."""
    return _RUN.get()


def set_run(run: PlanRun | None) -> None:
    """Makes `run` the run of this context until it is set again."""
    _RUN.set(run)


@contextmanager
def running(run: PlanRun | None) -> Iterator[None]:
    """Makes `run` the run of this context, then restores the one before."""
    token = _RUN.set(run)
    try:
        yield
    finally:
        _RUN.reset(token)
