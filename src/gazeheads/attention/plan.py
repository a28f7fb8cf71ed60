"""What acts on the passes of one batch, from the prefill to the last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from gazeheads.attention.flex import Kernel
from gazeheads.attention.head_groups import HeadGroup, RowEdit, group_heads
from gazeheads.attention.intervention import (
    Intervention,
    InterventionAt,
    InterventionError,
    check_apart,
)
from gazeheads.attention.recorder import Recorder

Acting = tuple[tuple[Intervention, ...], ...]
"""Per row of the batch, the interventions that act on some queries."""


class Streams(Protocol):
    """Rows of a batch that share rows of the tensors."""

    @property
    def initial(self) -> int:
        """Rows of the tensors at layer 0."""
        ...

    def starting(self, layer: int) -> list[int]:
        """Rows of the batch that get a row of their own at a layer."""
        ...

    def streams(self, layer: int) -> list[int]:
        """The row of the tensors of every row of the batch, at a layer."""
        ...


class ForwardPlan:
    """The interventions on a batch and what is recorded of it; without either it does nothing.

    A query's place in the sequence decides what acts on it: queries of the prompt get what acts
    in the prefill, the query at place `prompt_length - 1 + t` what acts at step t. So passes with
    and without a KV cache, and passes of several new tokens, are steered alike.

    Attributes:
        rows: of the batch.
        prompt_length: keys before the first generated token, padding included.
        sources: per row, what acts on it; heads of one row must not overlap.
        recorder: what to keep.
        total: keys seen so far, the current pass included.
        kernel: what computes steered heads (see `ForwardState.kernel`).
        fork: while rows share streams of the batch: which.
        gate: (B, L, H) how far each head's output goes from plain (0) to steered (1); None: 1.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[InterventionAt]],
        prompt_length: int,
        recorder: Recorder | None = None,
        gate: torch.Tensor | None = None,
    ) -> None:
        self.rows = len(sources)
        self.gate = gate
        self.prompt_length = prompt_length
        self.sources = tuple(tuple(of_row) for of_row in sources)
        self.recorder = recorder
        self.total = 0
        self.kernel: Kernel = "second"
        self.fork: Streams | None = None
        self._steers = any(self.sources)
        self._acted: list[Acting] = []  # by step
        self._first: Acting | None = None  # what the prefill was planned with
        self._segments: tuple[tuple[int, int, Acting], ...] = ()
        self._by_layer: dict[int, list[HeadGroup]] = {}
        if recorder is not None and len(recorder.positions) != self.rows:
            raise InterventionError(f"recording {len(recorder.positions)} rows of {self.rows}")

    @classmethod
    def resumed(
        cls,
        sources: Sequence[Sequence[InterventionAt]],
        cached: int,
        recorder: Recorder | None = None,
    ) -> ForwardPlan:
        """A plan for rows whose prompts were read under other plans: its steps count from 1.

        Args:
            sources, recorder: see the attributes.
            cached: keys in the cache, padding included.
        """
        plan = cls(sources, cached, recorder)
        plan._acted = [((),) * plan.rows]
        return plan

    @property
    def active(self) -> bool:
        """Whether the current pass steers any head."""
        return any(any(acting) for _, _, acting in self._segments)

    @property
    def recording(self) -> Recorder | None:
        """The recorder, if it keeps the current pass."""
        return self.recorder if self.recorder is not None and self.recorder.active else None

    def steered_to(self, row: int, step: int) -> str | None:
        """The names of a row's targets at a step (joined by "+"), None if unsteered."""
        return _names(self._acted[step][row])

    def check(self) -> None:
        """Raises InterventionError if heads of one row are steered twice."""
        for step, decoding in ((0, False), (1, True)):
            self._resolve(step, decoding)

    def begin(self, past: int, queries: int, rows: int) -> None:
        """Called once before every forward pass; decides what this pass does.

        Args:
            past: keys already cached.
            queries: new tokens per row.
            rows: of the batch.

        Raises:
            InterventionError: another batch, or a pass that cannot be recorded.
        """
        expected = self.rows if self.fork is None else self.fork.initial
        if rows != expected:
            raise InterventionError(f"the plan is for {expected} rows, the batch has {rows}")
        self.total = past + queries
        if self._steers:
            self._set_segments(self._segments_of(past, queries))
        else:
            self._acted += [((),) * self.rows] * (self._steps() - len(self._acted))
        if self.recorder is not None:
            if past >= self.prompt_length and queries > 1:
                raise InterventionError(
                    f"{queries} tokens in one decode step: assisted decoding and continuing a "
                    "cached conversation cannot be recorded"
                )
            self.recorder.begin(self.total > self.prompt_length)

    def _steps(self) -> int:
        """Steps that have begun: 1 once the prompt was read whole."""
        return max(0, self.total - self.prompt_length + 1)

    def _segments_of(self, past: int, queries: int) -> list[tuple[int, int, Acting]]:
        """(first query, last exclusive, what acts), in order."""
        segments: list[tuple[int, int, Acting]] = []
        if past < self.prompt_length:
            acting = self._acted[0] if self._acted and past == 0 and self._steps() > 1 else None
            acting = acting or self._first or self._resolve(0, False)
            if self._steps() >= 1 and not self._acted:
                self._acted.append(acting)
            segments.append((0, min(queries, self.prompt_length - past), acting))
        first = max(past, self.prompt_length) - self.prompt_length + 1
        for step in range(first, self._steps()):
            # without a cache older queries are read again: what acted on them acts again
            again = past == 0 and step < min(len(self._acted), self._steps() - 1)
            if not again:
                self._acted[step:] = [self._resolve(step, True)]
            query = self.prompt_length - 1 + step - past
            segments.append((query, query + 1, self._acted[step]))
        return segments

    def _resolve(self, step: int, decoding: bool) -> Acting:
        by_row: list[tuple[Intervention, ...]] = []
        for row, sources in enumerate(self.sources):
            interventions = tuple(
                acting for source in sources if (acting := source(step, decoding)) is not None
            )
            if len(interventions) > 1:
                check_apart(interventions, row)
            by_row.append(interventions)
        return tuple(by_row)

    def _set_segments(self, segments: list[tuple[int, int, Acting]]) -> None:
        merged: list[tuple[int, int, Acting]] = []
        for start, stop, acting in segments:
            if merged and _same(merged[-1][2], acting):
                merged[-1] = (merged[-1][0], stop, acting)
            else:
                merged.append((start, stop, acting))
        new, old = tuple(merged), self._segments
        same = len(new) == len(old) and all(
            a[:2] == b[:2] and _same(a[2], b[2]) for a, b in zip(new, old, strict=True)
        )
        if not same:
            self._segments, self._by_layer = new, {}

    def steered(
        self, layer: int, queries: int, n_rep: int, device: torch.device
    ) -> list[HeadGroup]:
        """The heads of a layer that the current pass steers.

        Args:
            layer: its number.
            queries: of the layer: those of the pass, or the last of them only.
            n_rep: query heads per key head.
            device: of the layer.
        """
        if not self._segments:
            return []
        groups = self._by_layer.get(layer)
        if groups is None:
            groups = self._by_layer[layer] = self._build(layer, queries, n_rep, device)
        return groups

    def set_fork(self, fork: Streams | None) -> None:
        """Begins or ends the time in which rows share streams."""
        self.fork = fork
        self._by_layer = {}

    def streams(self, layer: int) -> list[int] | None:
        """Which row of the tensors each row of the batch is at a layer; None: the same."""
        return None if self.fork is None else self.fork.streams(layer)

    def _build(self, layer: int, queries: int, n_rep: int, device: torch.device) -> list[HeadGroup]:
        skipped = self._segments[-1][1] - queries  # queries of the pass that the layer leaves out
        streams = self.streams(layer) or list(range(self.rows))
        return [
            group
            for start, stop, acting in self._segments
            if stop > skipped
            for group in group_heads(
                [
                    RowEdit(streams[row], intervention)
                    for row, of_row in enumerate(acting)
                    for intervention in of_row
                ],
                layer,
                (max(0, start - skipped), stop - skipped),
                n_rep,
                device,
            )
        ]

    def lowest_layers(self, layers: int) -> list[int]:
        """Per row, the first layer that its prefill steers; `layers` if none."""
        # a live target may move before the pass begins: what was planned with acts
        self._first = self._resolve(0, False)
        return [
            min((min(each.heads_by_layer, default=layers) for each in acting), default=layers)
            for acting in self._first
        ]


def plain_plan(rows: int, prompt_length: int, recorder: Recorder | None = None) -> ForwardPlan:
    """A plan that steers nothing."""
    return ForwardPlan([()] * rows, prompt_length, recorder)


def _same(a: Acting, b: Acting) -> bool:
    """Whether two steps have the very same interventions."""
    return a is b or all(
        len(row) == len(other) and all(x is y for x, y in zip(row, other, strict=True))
        for row, other in zip(a, b, strict=True)
    )


def _names(acting: tuple[Intervention, ...]) -> str | None:
    if not acting:
        return None
    return "+".join(dict.fromkeys(each.name for each in acting))
