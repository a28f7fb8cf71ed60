"""One prefill for many steerings of one prompt: rows share every layer below their own steering.

Steering a head changes the hidden states of all tokens from that layer on, and nothing before. So
rows of one prompt run as one stream, and each gets a stream of its own at the first layer where it
is steered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.hooks import RemovableHandle

from gazeheads.attention.plan import ForwardPlan

if TYPE_CHECKING:
    from gazeheads.attention.state import ForwardState


@dataclass(frozen=True)
class Fork:
    """Where each row of a plan leaves the shared stream.

    Attributes:
        first: per row, its first layer with a stream of its own; the number of layers if it never
            gets one.
        layers: number of layers.
        shared: whether any row uses the shared stream at all; it is then stream 0.
    """

    first: tuple[int, ...]
    layers: int
    shared: bool

    @property
    def initial(self) -> int:
        """Streams at layer 0."""
        return int(self.shared) + len(self.starting(0))

    def starting(self, layer: int) -> list[int]:
        """Rows whose own stream starts at a layer."""
        return [row for row, first in enumerate(self.first) if first == layer]

    def streams(self, layer: int) -> list[int]:
        """The stream of every row at a layer."""
        begun = sorted(
            (f, row) for row, f in enumerate(self.first) if f <= min(layer, self.layers - 1)
        )
        place = {row: i + int(self.shared) for i, (_, row) in enumerate(begun)}
        return [place.get(row, 0) for row in range(len(self.first))]


def plan_fork(plan: ForwardPlan, layers: int, earliest: int) -> Fork | None:
    """How the rows of a plan (all of one prompt) share a prefill; None if they can't.

    Args:
        plan: what is done to them.
        layers: of the model.
        earliest: first layer where the number of streams may change.
    """
    # below the earliest layer a row must be in the batch from the start
    first = [0 if layer < earliest else layer for layer in plan.lowest_layers(layers)]
    shared = any(layer > 0 for layer in first)
    fork = Fork(tuple(first), layers, shared)
    return fork if fork.initial < plan.rows else None


def fork_rows(
    state: ForwardState,
    layer: int,
    module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Before a block: adds the streams that start at its layer, as copies of the shared one."""
    del module
    plan = state.current
    if plan is None or plan.fork is None:
        return None
    mask = kwargs.get("attention_mask")
    if mask is not None and mask.shape[0] > 1:
        # rows of one prompt see alike: one mask broadcasts to any number of streams
        kwargs = {**kwargs, "attention_mask": mask[:1]}
    added = len(plan.fork.starting(layer)) if layer else 0
    if not added:
        return args, kwargs
    hidden = args[0] if args else kwargs["hidden_states"]
    hidden = torch.cat([hidden, hidden[:1].expand(added, *hidden.shape[1:])])
    if args:
        return (hidden, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": hidden}


class BlockHooks:
    """Hooks on the language model's blocks, there only while some prefill is forked.

    A hook costs every pass of its module, so that a decode step should not find one.
    """

    def __init__(self, blocks: Mapping[int, torch.nn.Module]) -> None:
        self._blocks = dict(blocks)
        self._handles: list[RemovableHandle] = []
        self._users = 0
        self._lock = threading.Lock()

    @contextmanager
    def installed(self, state: ForwardState) -> Iterator[None]:
        """While they are there; several threads may want them at once."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._handles = [
                    block.register_forward_pre_hook(
                        partial(fork_rows, state, layer), with_kwargs=True
                    )
                    for layer, block in self._blocks.items()
                ]
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    for handle in self._handles:
                        handle.remove()


@contextmanager
def forked(state: ForwardState, plan: ForwardPlan, fork: Fork) -> Iterator[None]:
    """While rows share streams."""
    plan.set_fork(fork)
    try:
        with state.block_hooks.installed(state):
            yield
    finally:
        plan.set_fork(None)
