"""Continuous batching: texts that join and leave one batch between tokens, each with its steering.

All texts that are asked for their next token get it in ONE forward pass. Each row has its own
prompt, step, heads, target and way of choosing tokens; what acts on it is resolved at its own step,
as if it were alone. Rows end in the same column, with padding before the shorter ones.

transformers' own continuous batching packs all requests into one row over a paged cache: keys of a
request stand in blocks that change place, it takes token ids alone, without images, and runs
attention functions of its own. So a target's key positions would have no meaning there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from gazeheads.attention.plan import ForwardPlan
from gazeheads.heads import Head
from gazeheads.models.caches import can_join
from gazeheads.models.prefill import prefill
from gazeheads.models.row_groups import RowGroup, TextRequest, TextRow, together, watched_by
from gazeheads.models.rows import prepare

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

__all__ = ["ContinuousBatch", "Ending", "TextRequest", "Token"]

Ending = Literal["stop", "length"]


@dataclass(frozen=True, eq=False)
class Token:
    """One new token of a text.

    Attributes:
        id: of the token.
        text: what it adds; the last one also what was held back.
        region: name of what its pass was steered to; None: unsteered.
        attention: (watched heads, T) at the prompt's image tokens; None: nothing is watched.
        ended: why this is the last one: the model ended the text, or its length is reached.
    """

    id: int
    text: str
    region: str | None
    attention: np.ndarray | None
    ended: Ending | None


class ContinuousBatch:
    """The texts under way with one model.

    Not for several threads at once: one calls `join`, `step` and `leave`.

    Example:
        >>> batch = ContinuousBatch(vlm)
        >>> first = batch.join([TextRequest(vlm.encode(image, "What is this?"))])
        >>> second = batch.step()
    """

    def __init__(self, vlm: VLM) -> None:
        self._vlm = vlm
        self._shape = (vlm.num_layers, vlm.num_heads)
        self._groups: list[RowGroup] = []

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self._groups)

    def join(self, requests: Sequence[TextRequest]) -> dict[TextRequest, Token]:
        """Reads prompts in one pass; the first token of each. Those that go on are of the batch.

        Raises:
            GazeheadsError: a head does not exist, or a region lies outside its image; then none of
                them has joined.
        """
        watched = watched_by(requests)
        pairs = [(each.inputs, each.steering) for each in requests]
        vlm = self._vlm
        batch, plan = prepare(vlm, pairs, watched or None, "none")
        logits, cache = prefill(vlm.family, vlm.model, vlm.state, batch, plan)
        rows = [TextRow(vlm, each) for each in requests]
        tokens, chosen = self._tokens(rows, logits, plan, 0, watched)
        going_on = [row for row in rows if tokens[row.request].ended is None]
        if going_on:
            fed = chosen.to(batch.mask.device)[:, None]
            group = RowGroup(rows, cache, batch.mask, fed, batch.following[:, None])
            self._groups.append(group if len(going_on) == len(rows) else group.of(set(going_on)))
        return tokens

    def step(self, wanted: Collection[TextRequest] | None = None) -> dict[TextRequest, Token]:
        """The next token of every text, or of some; the others wait as they are.

        Args:
            wanted: of which; those that are not of the batch are left out. None: of all.
        """
        tokens: dict[TextRequest, Token] = {}
        for group in self._composed(wanted):
            self._step(group, tokens)
        return tokens

    def leave(self, requests: Collection[TextRequest]) -> None:
        """Drops texts; those that are not of the batch are left out."""
        gone = set(requests)
        self._keep(lambda row: row.request not in gone)

    def clear(self) -> None:
        """Drops all texts."""
        self._groups.clear()

    def _keep(self, stays: Callable[[TextRow], bool]) -> None:
        groups = []
        for group in self._groups:
            rows = {row for row in group.rows if stays(row)}
            if len(rows) == len(group.rows):
                groups.append(group)
            elif rows:
                groups.append(group.of(rows))
        self._groups = groups

    def _composed(self, wanted: Collection[TextRequest] | None) -> list[RowGroup]:
        """Puts the wanted rows into as few groups as their caches allow, the others beside them."""
        names = None if wanted is None else set(wanted)
        ready: list[RowGroup] = []
        waiting: list[RowGroup] = []
        for group in self._groups:
            rows = {row for row in group.rows if names is None or row.request in names}
            if len(rows) in (0, len(group.rows)):
                (ready if rows else waiting).append(group)
                continue
            ready.append(group.of(rows))
            waiting.append(group.of(set(group.rows) - rows))
        if len(ready) > 1 and all(can_join(group.cache) for group in ready):
            ready = [together(ready)]
        self._groups = [*ready, *waiting]
        return ready

    def _step(self, group: RowGroup, tokens: dict[TextRequest, Token]) -> None:
        vlm, rows = self._vlm, group.rows
        if group.plan is None:
            group.plan = group.make_plan(self._shape)
        padded = group.padded
        group.mask = torch.cat([group.mask, group.mask.new_ones(len(rows), 1)], 1)
        with torch.no_grad(), vlm.state.running(group.plan, padded=True):
            out = vlm.model(
                input_ids=group.fed,
                attention_mask=group.mask if padded else None,
                position_ids=vlm.family.next_positions(group.places),
                past_key_values=group.cache,
                use_cache=True,
            )
        group.cache = out.past_key_values
        step = group.mask.shape[1] - group.plan.prompt_length
        made, chosen = self._tokens(rows, out.logits[:, -1], group.plan, step, group.watched)
        group.fed, group.places = chosen.to(group.mask.device)[:, None], group.places + 1
        tokens.update(made)
        if any(token.ended for token in made.values()):
            self._keep(lambda row: row.request not in made or made[row.request].ended is None)

    def _tokens(
        self,
        rows: Sequence[TextRow],
        logits: torch.Tensor,
        plan: ForwardPlan | None,
        step: int,
        watched: tuple[Head, ...],
    ) -> tuple[dict[TextRequest, Token], torch.Tensor]:
        """Chooses a token for every row and notes it; also (B,) the ids on the device."""
        chosen = logits.argmax(-1)
        for i, row in enumerate(rows):
            if not row.batched:
                chosen[i] = row.choose(logits[i : i + 1])
        ids = chosen.tolist()  # the one time in a step that the host waits for the device
        seen = plan.recorder.latest() if plan is not None and plan.recorder is not None else None
        where = {head: i for i, head in enumerate(watched)}
        tokens = {}
        for i, row in enumerate(rows):
            attention = None
            if seen is not None and row.request.watched:
                heads = [where[head] for head in row.request.watched]
                attention = seen[i, heads, : len(row.request.inputs.tokens)]
            region = plan.steered_to(i, step) if plan is not None else None
            tokens[row.request] = self._token(row, ids[i], region, attention)
        return tokens, chosen

    def _token(
        self, row: TextRow, chosen: int, region: str | None, attention: np.ndarray | None
    ) -> Token:
        row.written.append(chosen)
        decoding = row.request.decoding
        ended: Ending | None = None
        if chosen in self._vlm.stops and not decoding.ignore_eos:
            ended = "stop"
        elif len(row.written) >= decoding.max_new_tokens:
            ended = "length"
        text = row.texts.push(chosen)
        return Token(chosen, text + row.texts.rest() if ended else text, region, attention, ended)
