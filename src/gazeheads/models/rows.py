"""Rows of a batch: prompts with their steering in, generations with their traces out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gazeheads.attention.ambient import SteeringContext
from gazeheads.attention.intervention import InterventionAt, Norms
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.recorder import Recorder
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadSet
from gazeheads.html_parts import line, table
from gazeheads.models.batch import Batch, make_batch
from gazeheads.models.generate import Decoding, TextPieces, decode, pieces
from gazeheads.models.inputs import Inputs
from gazeheads.models.templates import tell_unfinished_thought
from gazeheads.steering import LiveSteering, Steering
from gazeheads.trace import GazeTrace

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

OneSteering = Steering | LiveSteering
Steerings = OneSteering | Sequence[OneSteering] | None
"""Of one row: one, several, none of its own (None: what surrounds it), or `UNSTEERED`."""
UNSTEERED: tuple[()] = ()
"""Steering of a row that is never steered, not even inside `with vlm.steer(...)`."""
Row = Inputs | tuple[Inputs, Steerings]
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

    def to_dict(self) -> dict[str, Any]:
        """Text, tokens and what each was steered to as JSON values.

        A trace is told by its `heads` and `pieces` alone: `trace_files.save_trace` keeps it whole,
        `GazeTrace.to_dataframe` as a table.
        """
        told = {"text": self.text, "tokens": list(self.tokens), "steered_to": list(self.steered_to)}
        if self.trace is None:
            return told
        heads, pieces = [str(head) for head in self.trace.heads], list(self.trace.pieces)
        return {**told, "trace": {"heads": heads, "pieces": pieces}}

    def __repr__(self) -> str:
        to = ", ".join(repr(name) for name, _ in self._turns() if name)
        return (
            f"Generation({self.text!r}, {len(self.tokens)} tokens, steered to: {to or 'nothing'})"
        )

    def _turns(self) -> list[tuple[str | None, int]]:
        """What it was steered to, one after the other, for how many tokens."""
        return [(name, len(list(own))) for name, own in groupby(self.steered_to)]

    def _repr_html_(self) -> str:
        """In a notebook: the text, what it was steered to, and its trace."""
        rows = [(name or "(unsteered)", count) for name, count in self._turns()]
        trace = "" if self.trace is None else self.trace._repr_html_()
        told = line(self.text) + table(("steered to", "tokens"), rows)
        return told + trace


class Piece(NamedTuple):
    """A streamed token: its text, what it was steered to, and (heads, T) attention if watched."""

    text: str
    region: str | None
    attention: np.ndarray | None


def pairs_of(rows: Row | Sequence[Row]) -> list[tuple[Inputs, Steerings]]:
    """Every row as (prompt, steering).

    Raises:
        RowError: no rows, or something else than prompts with their steering.
    """
    # one row may itself be a tuple: a prompt and what is not another row
    alone = isinstance(rows, tuple) and len(rows) == 2 and not _is_row(rows[1])
    several: Sequence[Any] = [rows] if alone or isinstance(rows, Inputs) else rows
    if not several:
        raise RowError("nothing to generate: no rows were given")
    pairs: list[tuple[Inputs, Steerings]] = []
    for row in several:
        pair = row if isinstance(row, tuple) else (row, None)
        if len(pair) != 2 or not isinstance(pair[0], Inputs):
            kind = type(pair[0] if pair else row).__name__
            raise RowError(
                "a row is an encoded prompt, or (prompt, steering); it starts with an encoded "
                f"prompt, not {kind}, and has at most two parts, found {len(pair)}"
            )
        pairs.append((pair[0], pair[1]))
    return pairs


def _is_row(value: Any) -> bool:
    """Whether something is a row, and not the steering of one."""
    if isinstance(value, tuple):
        return len(value) > 0 and isinstance(value[0], Inputs)
    return isinstance(value, Inputs)


def prepare(
    vlm: VLM, pairs: Sequence[tuple[Inputs, Steerings]], watch: Watch, norms: Norms
) -> tuple[Batch, ForwardPlan | None]:
    """The batch of the rows, and the plan of what is done to them (None: nothing)."""
    contexts = vlm.state.surrounding()
    steerings = [_steerings(vlm, encoded, given, contexts) for encoded, given in pairs]
    vlm.check_heads(*(steering.used_heads for of_row in steerings for steering in of_row))
    watched = _watched(vlm, watch)
    with torch.no_grad():
        rows = [encoded for encoded, _ in pairs]
        batch = make_batch(vlm.family, vlm.model, rows, vlm.pad, vlm.device)
    keys = batch.ids.shape[1]
    sources = sources_of(vlm, batch, steerings)
    recorder = None
    if watched is not None:
        positions = [tokens.positions for tokens in batch.tokens]
        recorder = Recorder(positions, watched, norms=norms)
    if not any(sources) and recorder is None:
        return batch, None
    vlm.state.check_installed()
    plan = ForwardPlan(sources, keys, recorder)
    plan.check()
    return batch, plan


def sources_of(
    vlm: VLM, batch: Batch, steerings: Sequence[Sequence[OneSteering]]
) -> list[list[InterventionAt]]:
    """What acts on the rows of a batch, from the steerings of each.

    Raises:
        RegionError: a region lies outside the image or covers no token.
    """
    keys, shape = batch.ids.shape[1], (vlm.num_layers, vlm.num_heads)
    return [
        [steering.on(tokens, shape, keys) for steering in of_row]
        for tokens, of_row in zip(batch.tokens, steerings, strict=True)
    ]


def _steerings(
    vlm: VLM, encoded: Inputs, given: Steerings, contexts: Sequence[SteeringContext]
) -> list[Any]:
    """What steers one row: its own steering, or what surrounds the call."""
    if given is not None:
        return steerings_of(given)
    surrounding: list[Any] = []
    for context in contexts:
        if context.prompt is None or context.prompt.is_of(encoded.inputs):
            context.used = True
            surrounding.append(context.steering)
    return surrounding


def steerings_of(given: OneSteering | Sequence[OneSteering]) -> list[OneSteering]:
    """A row's own steering as a list.

    Raises:
        RowError: something else is among it.
    """
    steerings = [given] if isinstance(given, Steering | LiveSteering) else list(given)
    for steering in steerings:
        if not isinstance(steering, Steering | LiveSteering):
            raise RowError(
                f"a row is steered by a Steering or a LiveSteering, not by "
                f"{type(steering).__name__}"
            )
    return steerings


def heads_in(vlm: VLM) -> tuple[Head, ...]:
    """Every head of a model, layer by layer."""
    return tuple(Head(n, h) for n in vlm.attention_layers for h in range(vlm.num_heads))


def _watched(vlm: VLM, watch: Watch) -> tuple[Head, ...] | None:
    if watch is None:
        return None
    if watch == "all":
        return heads_in(vlm)
    if isinstance(watch, str):
        raise RowError(f"watch which heads? {watch!r} is neither a head set nor 'all'")
    heads = watch if isinstance(watch, HeadSet) else HeadSet.of(watch)
    vlm.check_heads(heads)
    return heads.heads


def generations(
    vlm: VLM,
    pairs: Sequence[tuple[Inputs, Steerings]],
    batch: Batch,
    plan: ForwardPlan | None,
    decoding: Decoding,
) -> list[Generation]:
    """What every row of a prepared batch gives."""
    tokens: list[list[int]] = [[] for _ in pairs]
    for step in decode(vlm.family, vlm.model, vlm.state, batch, plan, decoding, vlm.stops, vlm.pad):
        for of_row, token in zip(tokens, step, strict=True):
            if token is not None:
                of_row.append(token)
    return [_generation(vlm, i, of_row, pairs[i][0], plan) for i, of_row in enumerate(tokens)]


def streamed(
    vlm: VLM, batch: Batch, plan: ForwardPlan | None, decoding: Decoding
) -> Iterator[Piece]:
    """The one row of a prepared batch, token by token."""
    texts = TextPieces(vlm.tokenizer)
    steps = decode(vlm.family, vlm.model, vlm.state, batch, plan, decoding, vlm.stops, vlm.pad)
    last = decoding.max_new_tokens - 1
    for step, (token,) in enumerate(steps):
        if token is None:
            return
        name = plan.steered_to(0, step) if plan else None
        seen = plan.recorder.latest()[0] if plan and plan.recorder else None
        text = texts.push(token)
        ended = step == last or (token in vlm.stops and not decoding.ignore_eos)
        yield Piece(text + texts.rest() if ended else text, name, seen)


def _generation(
    vlm: VLM, row: int, tokens: Sequence[int], encoded: Inputs, plan: ForwardPlan | None
) -> Generation:
    """What one row of a finished batch gave."""
    text = vlm.tokenizer.decode(list(tokens), skip_special_tokens=True)
    tell_unfinished_thought(vlm.tokenizer, encoded.ids, tokens)
    steered: tuple[str | None, ...] = (None,) * len(tokens)
    if plan is not None:
        steered = tuple(plan.steered_to(row, step) for step in range(len(tokens)))
    trace = None
    if plan is not None and plan.recorder is not None:
        attention, norms = plan.recorder.row(row, len(tokens), len(encoded.tokens))
        heads = plan.recorder.heads or ()
        words = pieces(vlm.tokenizer, tokens)
        trace = GazeTrace(attention, norms, heads, encoded.tokens, words, steered)
    return Generation(text, tuple(tokens), steered, trace)


def trace_of(generation: Generation) -> GazeTrace:
    """Its trace.

    Raises:
        RowError: nothing was watched.
    """
    if generation.trace is None:
        raise RowError("nothing was watched while this text was written")
    return generation.trace
