"""What a run does to which heads of which row, and what it records: plain values.

Positions are indices into the key sequence of the batch, left padding included, so they differ per
row. Steps count generated tokens: step 0 is the prefill, whose last row gives the first new token;
step t is the forward pass that gives the token after t tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head

Mode = Literal["soft", "hard", "paper"]
When = Literal["prefill", "decode", "both"]
Norms = Literal["none", "value", "output"]
MODES: tuple[Mode, ...] = ("soft", "hard", "paper")
WHEN: tuple[When, ...] = ("prefill", "decode", "both")


class PlanError(GazeheadsError):
    """A plan that contradicts itself, the model or the batch it runs on."""


@dataclass(frozen=True, eq=False)
class Target:
    """One place to look at, resolved to key positions of one row.

    Attributes:
        positions: key positions of the target's image tokens.
        others: key positions of the same image's other tokens.
        name: what outputs call it.
        delta: strength that replaces the steering's, with mode "hard" if infinite, else "soft";
            None: as the steering says.
    """

    positions: np.ndarray
    others: np.ndarray
    name: str = ""
    delta: float | None = None

    def __post_init__(self) -> None:
        if len(self.positions) == 0:
            raise PlanError(f"target {self.name!r} has no image tokens")


TargetAt = Callable[[int], Target | None]
"""From a step to the target then; None leaves the heads alone. The same target must come back as
the same object, so that nothing is rebuilt while it stays."""


@dataclass(frozen=True, eq=False)
class Steer:
    """Points heads of one row at a target.

    The heads' scores before the softmax get +delta at the target's keys, -delta at the image's
    other keys and nothing at text keys, for EVERY query of the forward passes `when` names; in
    the prefill that includes queries of image tokens and of text before the question. The causal
    mask stays on top: a query only ever sees keys that the plain model lets it see.

    Modes:
        "soft": finite delta, scores and softmax in float32.
        "hard": the limit of "soft" for delta to infinity. A query that sees some of the target
            attends to that part alone, with the plain proportions; else to the text it sees alone;
            else (only other image tokens in sight) as in the plain model.
        "paper": delta (10,000) added in the model's own dtype, as the study did: in bfloat16 the
            attention inside the target becomes uniform.

    Attributes:
        row: of the batch.
        heads: to steer.
        target: see `TargetAt`.
        delta: strength in units of attention scores; infinite for "hard" only.
        mode: see above.
        when: in which passes.
    """

    row: int
    heads: tuple[Head, ...]
    target: TargetAt
    delta: float = math.inf
    mode: Mode = "hard"
    when: When = "both"

    def __post_init__(self) -> None:
        check_strength(self.delta, self.mode, self.when)
        if len(set(self.heads)) != len(self.heads):
            raise PlanError("a steering entry names a head twice")

    def strength(self, target: Target) -> tuple[float, Mode]:
        """Delta and mode while it points at `target`."""
        if target.delta is None:
            return self.delta, self.mode
        return target.delta, "hard" if target.delta == math.inf else "soft"

    def acts_in(self, decoding: bool) -> bool:
        """Whether it acts in a decode step (or else in the prefill)."""
        return self.when == "both" or (self.when == "decode") == decoding


def check_strength(delta: float, mode: Mode, when: When) -> None:
    """Raises PlanError unless `delta` makes sense in `mode`, and both words are known."""
    if when not in WHEN:
        raise PlanError(f"unknown phase {when!r}: use prefill, decode or both")
    if mode not in MODES:
        raise PlanError(f"unknown mode {mode!r}: use soft, hard or paper")
    if math.isnan(delta):
        raise PlanError("delta is NaN")
    if mode == "hard" and delta != math.inf:
        raise PlanError(f"mode 'hard' means delta = infinity, not {delta}: use mode 'soft'")
    if mode != "hard" and not math.isfinite(delta):
        raise PlanError(f"mode {mode!r} needs a finite delta: use mode 'hard' for infinity")


@dataclass(frozen=True, eq=False)
class Record:
    """Attention to keep: the row of the last query of each pass, at chosen keys.

    Attributes:
        positions: per row of the batch, the T key positions to keep; empty for rows not wanted.
        heads: whose attention, in the order the recording has them; None for every head.
        groups: per row, (T, R) weights: keep only the R sums over the positions (for example one
            per region). None keeps every position.
        when: in which passes.
        norms: also keep, once, the norm of each kept key's value vector: "value" of v itself,
            "output" of the vector after the head's part of the output projection.
    """

    positions: tuple[np.ndarray, ...]
    heads: tuple[Head, ...] | None = None
    groups: tuple[np.ndarray, ...] | None = None
    when: When = "both"
    norms: Norms = "none"

    def __post_init__(self) -> None:
        if self.groups is not None:
            shapes = [(len(p), g.shape) for p, g in zip(self.positions, self.groups, strict=True)]
            if any(shape[0] != count for count, shape in shapes):
                raise PlanError(f"groups do not fit the positions: {shapes}")
            if len({shape[1] for _, shape in shapes}) > 1:
                raise PlanError("every row must have the same number of groups")

    def acts_in(self, decoding: bool) -> bool:
        """Whether it records a decode step (or else the prefill)."""
        return self.when == "both" or (self.when == "decode") == decoding


@dataclass(frozen=True, eq=False)
class AttentionPlan:
    """Everything one run over a batch does to attention; without entries it does nothing.

    Attributes:
        rows: of the batch.
        prompt_length: keys before the first generated token, padding included.
        steers: entries; two of them must not share a head in the same row.
        record: what to keep.
    """

    rows: int
    prompt_length: int
    steers: tuple[Steer, ...] = ()
    record: Record | None = None

    def __post_init__(self) -> None:
        taken: set[tuple[int, Head]] = set()
        for steer in self.steers:
            if not 0 <= steer.row < self.rows:
                raise PlanError(f"steering row {steer.row} of a batch of {self.rows}")
            mine = {(steer.row, head) for head in steer.heads}
            if taken & mine:
                row, head = next(iter(taken & mine))
                raise PlanError(f"head {head} is steered twice in row {row}")
            taken |= mine
        if self.record is not None and len(self.record.positions) != self.rows:
            raise PlanError(f"recording {len(self.record.positions)} rows of {self.rows}")

    def check(self, layers: int, heads: int) -> None:
        """Raises PlanError if a head does not exist in a model of `layers` x `heads`."""
        for steer in self.steers:
            check_heads(steer.heads, layers, heads)
        if self.record is not None and self.record.heads is not None:
            check_heads(self.record.heads, layers, heads)


def check_heads(chosen: Iterable[Head], layers: int, heads: int) -> None:
    """Raises PlanError if a head does not exist in a model of `layers` x `heads`."""
    for head in chosen:
        if not (0 <= head.layer < layers and 0 <= head.head < heads):
            raise PlanError(
                f"head {head} does not exist: layers are 0..{layers - 1}, heads 0..{heads - 1}"
            )
