"""Rows of texts under way that share one KV cache, each at a step of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gazeheads.attention.intervention import Intervention, InterventionAt
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.recorder import Recorder
from gazeheads.attention.transfer import to_device
from gazeheads.heads import Head
from gazeheads.models.caches import joined, selected
from gazeheads.models.generate import Decoding, TextPieces, choose
from gazeheads.models.inputs import Inputs
from gazeheads.models.rows import UNSTEERED, OneSteering, steerings_of

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

_NOWHERE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class TextRequest:
    """A text that is wanted.

    Attributes:
        inputs: the prompt.
        steering: one, several, or `UNSTEERED`; a live one acts on the next token.
        decoding: how its tokens are chosen, and how many there may be.
        watched: heads whose attention each token is to carry.
    """

    inputs: Inputs
    steering: OneSteering | Sequence[OneSteering] = UNSTEERED
    decoding: Decoding = field(default_factory=Decoding)
    watched: tuple[Head, ...] = ()


class TextRow:
    """A text under way."""

    def __init__(self, vlm: VLM, request: TextRequest) -> None:
        self.request = request
        self.steerings = steerings_of(request.steering)
        self.written: list[int] = []
        self.texts = TextPieces(vlm.tokenizer)
        self.processors = request.decoding.processors(vlm.model.generation_config)
        self.seen: Any = None  # prompt and text on the device, for processors that read them
        self.generator: torch.Generator | None = None
        if request.decoding.do_sample and request.decoding.seed is not None:
            self.generator = torch.Generator(vlm.device).manual_seed(request.decoding.seed)

    @property
    def cached(self) -> int:
        """Tokens in the cache: all but the latest, which is fed next."""
        return len(self.request.inputs) + len(self.written) - 1

    @property
    def batched(self) -> bool:
        """Whether its token is simply the likeliest one."""
        return not self.processors and not self.request.decoding.do_sample

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        """(), on the device: the token that is chosen its own way from (1, V) logits."""
        with torch.no_grad():
            scores: Any = logits.float()
            if self.processors:
                if self.seen is None:
                    self.seen = self.request.inputs.ids.to(logits.device)[None]
                scores = self.processors(self.seen, scores)
            chosen = choose(scores, self.request.decoding, self.generator)
        if self.processors:
            self.seen = torch.cat([self.seen, chosen[None]], 1)
        return chosen[0]

    def source(
        self, steering: Any, shift: int, shape: tuple[int, int], keys: int
    ) -> InterventionAt:
        """What one of its steerings does in a batch that it joins now, from its own next step."""
        acts = steering.on(self.request.inputs.tokens.shifted(shift), shape, keys)
        base = len(self.written) - 1  # the batch counts its steps from 1

        def at(step: int, decoding: bool) -> Intervention | None:
            found: Intervention | None = acts(base + step, decoding)
            return found

        return at


@dataclass(eq=False)
class RowGroup:
    """Rows in one cache.

    Attributes:
        rows: in the order of the cache's.
        cache: their keys and values.
        mask: (B, S) 1 for real columns of the cache.
        fed, places: (B, 1) the latest token of every row, which is read next, and its position.
        plan: what acts on them; None: not made since the rows changed.
    """

    rows: list[TextRow]
    cache: Any
    mask: torch.Tensor
    fed: torch.Tensor
    places: torch.Tensor
    plan: ForwardPlan | None = None

    def of(self, rows: Collection[TextRow]) -> RowGroup:
        """A group of some of the rows, without columns that are padding in all of them."""
        index = [i for i, row in enumerate(self.rows) if row in rows]
        kept = [self.rows[i] for i in index]
        dropped = self.mask.shape[1] - max(row.cached for row in kept)
        at = to_device(index, self.mask.device)
        cache = selected(self.cache, index, dropped)
        return RowGroup(kept, cache, self.mask[at, dropped:], self.fed[at], self.places[at])

    @property
    def padded(self) -> bool:
        """Whether any row has padding; counted on the host, where nothing is waited for."""
        return any(row.cached < self.mask.shape[1] for row in self.rows)

    @property
    def watched(self) -> tuple[Head, ...]:
        """Every head that one of the rows watches, in the order of layers."""
        return watched_by([row.request for row in self.rows])

    def make_plan(self, shape: tuple[int, int]) -> ForwardPlan:
        """What acts on the rows from the next step on, and what is recorded of them.

        Args:
            shape: (layers, heads per layer) of the model.
        """
        keys, watched = self.mask.shape[1], self.watched
        shifts = [keys - row.cached for row in self.rows]
        sources = [
            [row.source(steering, shift, shape, keys) for steering in row.steerings]
            for row, shift in zip(self.rows, shifts, strict=True)
        ]
        recorder = None
        if watched:
            positions = [
                row.request.inputs.tokens.positions + shift if row.request.watched else _NOWHERE
                for row, shift in zip(self.rows, shifts, strict=True)
            ]
            recorder = Recorder(positions, watched, latest_only=True)
        return ForwardPlan.resumed(sources, keys, recorder)


def watched_by(requests: Sequence[TextRequest]) -> tuple[Head, ...]:
    """Every head that one of them watches, in the order of layers."""
    return tuple(sorted({head for request in requests for head in request.watched}))


def together(groups: Sequence[RowGroup]) -> RowGroup:
    """One group; every row ends in its last column."""
    lengths = [group.mask.shape[1] for group in groups]
    longest = max(lengths)
    masks = [
        torch.cat([group.mask.new_zeros(len(group.rows), longest - length), group.mask], 1)
        for group, length in zip(groups, lengths, strict=True)
    ]
    rows = [row for group in groups for row in group.rows]
    return RowGroup(
        rows,
        joined([group.cache for group in groups], lengths),
        torch.cat(masks),
        torch.cat([group.fed for group in groups]),
        torch.cat([group.places for group in groups]),
    )
