"""Rows of a batch: prompts with their steering in, generations with their traces out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gazeheads.attention.ambient import ambient_steerings, check_heads_of
from gazeheads.attention.plan import AttentionPlan, Norms, Record
from gazeheads.attention.state import PlanRun
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadError, HeadSet
from gazeheads.models.batch import Batch, make_batch
from gazeheads.models.generate import pieces
from gazeheads.models.inputs import Encoded
from gazeheads.models.templates import tell_unfinished_thought
from gazeheads.steering import Steering
from gazeheads.trace import GazeTrace

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

Steerings = Steering | Sequence[Steering] | None
Row = Encoded | tuple[Encoded, Steerings]
Watch = HeadSet | Sequence[tuple[int, int]] | str | None


class RowError(GazeheadsError):
    """Rows that cannot be generated."""


@dataclass(frozen=True, eq=False)
class Generation:
    """One generated text.

    Attributes:
        text: without special tokens.
        tokens: ids, the end token included.
        steered_to: per token, the name of what its pass was steered to; None if unsteered.
        trace: where the watched heads looked, if asked for.
    """

    text: str
    tokens: tuple[int, ...]
    steered_to: tuple[str | None, ...]
    trace: GazeTrace | None = None


class Piece(NamedTuple):
    """A streamed token: its text, what it was steered to, and (heads, T) attention if watched."""

    text: str
    region: str | None
    attention: np.ndarray | None


def pairs_of(rows: Row | Sequence[Row]) -> list[tuple[Encoded, Steerings]]:
    """Every row as (prompt, steering)."""
    # one row may itself be a tuple: a prompt and what is not another row
    alone = isinstance(rows, tuple) and len(rows) == 2 and not isinstance(rows[1], Encoded | tuple)
    several: Sequence[Any] = [rows] if alone or isinstance(rows, Encoded) else rows
    if not several:
        raise RowError("nothing to generate: no rows were given")
    pairs = [row if isinstance(row, tuple) else (row, None) for row in several]
    for encoded, _ in pairs:
        if not isinstance(encoded, Encoded):
            raise RowError(f"a row starts with an encoded prompt, not {type(encoded).__name__}")
    return pairs


def prepare(
    vlm: VLM, pairs: Sequence[tuple[Encoded, Steerings]], watch: Watch, norms: Norms
) -> tuple[Batch, PlanRun | None]:
    """The batch of the rows, and the run of what is done to them (None: nothing)."""
    surrounding = ambient_steerings(vlm.text_config)
    steerings = [_several(own) or surrounding for _, own in pairs]
    for own in steerings:
        check_heads_of(own, vlm.num_layers, vlm.num_heads, vlm.name)
        for steering in own:
            check_layers(steering.heads, vlm.attention_layers, vlm.name)
    watched = _watched(vlm, watch)
    with torch.no_grad():
        rows = [encoded for encoded, _ in pairs]
        batch = make_batch(vlm.family, vlm.model, rows, vlm.pad, vlm.device)
    steers = tuple(
        steering.on(tokens, row)
        for row, (tokens, own) in enumerate(zip(batch.tokens, steerings, strict=True))
        for steering in own
    )
    record = None
    if watched is not None:
        positions = tuple(tokens.positions for tokens in batch.tokens)
        record = Record(positions, watched, norms=norms)
    if not steers and record is None:
        return batch, None
    plan = AttentionPlan(len(rows), batch.ids.shape[1], steers, record)
    plan.check(vlm.num_layers, vlm.num_heads)
    return batch, PlanRun(plan, vlm.text_config)


def _several(steering: Steerings) -> tuple[Steering, ...]:
    if steering is None:
        return ()
    return (steering,) if isinstance(steering, Steering) else tuple(steering)


def _watched(vlm: VLM, watch: Watch) -> tuple[Head, ...] | None:
    if watch is None:
        return None
    if watch == "all":
        return tuple(Head(n, h) for n in vlm.attention_layers for h in range(vlm.num_heads))
    if isinstance(watch, str):
        raise RowError(f"watch which heads? {watch!r} is neither a head set nor 'all'")
    heads = watch if isinstance(watch, HeadSet) else HeadSet.of(watch)
    heads.check(vlm.num_layers, vlm.num_heads, vlm.name)
    check_layers(heads, vlm.attention_layers, vlm.name)
    return heads.heads


def check_layers(heads: HeadSet, layers: Sequence[int], model: str) -> None:
    """Raises HeadError for a head of a layer that has none, as hybrid models have."""
    for head in heads:
        if head.layer not in layers:
            raise HeadError(
                f"head L{head.layer}H{head.head} does not exist: layer {head.layer} of {model} has "
                f"no softmax attention; layers with heads are {', '.join(map(str, layers))}"
            )


def generation(
    vlm: VLM, row: int, tokens: Sequence[int], encoded: Encoded, run: PlanRun | None
) -> Generation:
    """What one row of a finished batch gave."""
    text = vlm.tokenizer.decode(list(tokens), skip_special_tokens=True)
    tell_unfinished_thought(vlm.tokenizer, encoded.ids, tokens)
    steered: tuple[str | None, ...] = (None,) * len(tokens)
    if run is not None:
        steered = tuple(names[row] for names in run.steered_to[: len(tokens)])
    trace = None
    if run is not None and run.recording is not None:
        attention, norms = run.recording.row(row, len(tokens), len(encoded.tokens))
        heads = run.recording.record.heads or ()
        words = pieces(vlm.tokenizer, tokens)
        trace = GazeTrace(attention, norms, heads, encoded.tokens, words, steered)
    return Generation(text, tuple(tokens), steered, trace)
