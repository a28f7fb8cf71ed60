"""Attention rows asked for, kept on the device until they are read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gazeheads.attention.call import AttentionCall
from gazeheads.attention.head_groups import HeadGroup
from gazeheads.attention.intervention import InterventionError, Norms, When, acts_in
from gazeheads.attention.transfer import to_device
from gazeheads.attention.weights import wide
from gazeheads.heads import Head


class Recorder:
    """The last query's attention of each pass at chosen keys, one entry per recorded pass.

    Attributes:
        positions: per row of the batch, the T key positions to keep; empty for rows not wanted.
        heads: whose attention, in the order it is read back; None for every head.
        groups: per row, (T, R) weights: keep only the R sums over the positions (for example one
            per region). None keeps every position.
        when: in which passes.
        norms: also keep, once, the norm of each kept key's value vector: "value" of v itself,
            "output" of the vector after the head's part of the output projection.
        latest_only: forget a pass when the next one is recorded.
    """

    def __init__(
        self,
        positions: Sequence[np.ndarray],
        heads: Sequence[Head] | None = None,
        groups: Sequence[np.ndarray] | None = None,
        when: When = "both",
        norms: Norms = "none",
        latest_only: bool = False,
    ) -> None:
        self.latest_only = latest_only
        self.positions = tuple(positions)
        self.heads = None if heads is None else tuple(heads)
        self.groups = None if groups is None else tuple(groups)
        self.when, self.norms_kind = when, norms
        self.active = False
        self._passes: list[dict[int, torch.Tensor]] = []
        self._norms: dict[int, torch.Tensor] = {}
        self._tensors: dict[torch.device, tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]
        self._tensors = {}
        self._numbers: dict[tuple[int, torch.device], torch.Tensor] = {}  # chosen heads by layer
        self._places: dict[HeadGroup, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}
        self._whole: np.ndarray | None = None  # everything, once a row of it was read
        self._chosen: dict[int, list[int]] | None = None
        if self.heads is not None:
            self._chosen = {}
            for head in sorted(self.heads):
                self._chosen.setdefault(head.layer, []).append(head.head)
        self._check()

    def _check(self) -> None:
        if self.groups is None:
            return
        shapes = [(len(p), g.shape) for p, g in zip(self.positions, self.groups, strict=True)]
        if any(shape[0] != count for count, shape in shapes):
            raise InterventionError(f"groups do not fit the positions: {shapes}")
        if len({shape[1] for _, shape in shapes}) > 1:
            raise InterventionError("every row must have the same number of groups")

    def begin(self, decoding: bool) -> None:
        """Opens the entry of a new pass, if it is one to record."""
        self.active = acts_in(self.when, decoding)
        if self.active:
            if self.latest_only:
                self._passes.clear()
            self._passes.append({})

    def record(
        self, call: AttentionCall, groups: list[HeadGroup], streams: list[int] | None
    ) -> None:
        """Keeps the last query's attention of one layer.

        Args:
            call: the attention call.
            groups: its steered heads; their attention is kept as steered.
            streams: which row of the tensors each row of the batch is; None: the same.
        """
        chosen = None if self._chosen is None else self._chosen.get(call.index, [])
        if chosen is not None and not chosen:
            return
        positions, real, sums = self._on(call.query.device)
        numbers = self._numbers_of(call, chosen)
        weights = call.last_rows(None if chosen is None else numbers)
        for group in groups:
            if group.queries[1] == call.queries:
                weights = self._as_steered(weights, group, call, chosen)
        if streams is not None:
            weights = weights[to_device(streams, weights.device)]
        where = positions - call.offset
        inside = real * (where >= 0) if call.offset else real
        index = where.clamp(min=0)[:, None].expand(-1, weights.shape[1], -1)
        kept = weights.gather(-1, index) * inside[:, None]
        self._passes[-1][call.index] = kept if sums is None else torch.matmul(kept, sums.to(kept))
        if self.norms_kind != "none" and call.index not in self._norms:
            if call.offset:
                raise InterventionError("value norms of image tokens outside the sliding window")
            norms = self._value_norms(call, numbers, positions, streams)
            self._norms[call.index] = norms * real[:, None]

    def _numbers_of(self, call: AttentionCall, chosen: list[int] | None) -> torch.Tensor:
        """(h,) the heads of a layer that are kept, on its device."""
        place = call.index, call.query.device
        if place not in self._numbers:
            kept = list(range(call.query.shape[1])) if chosen is None else chosen
            self._numbers[place] = to_device(kept, call.query.device)
        return self._numbers[place]

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Positions (B, T), which of them are real (B, T), and group weights (B, T, R)."""
        if device not in self._tensors:
            longest = max((len(p) for p in self.positions), default=0)
            rows = len(self.positions)
            positions = np.zeros((rows, longest), dtype=np.int64)
            real = np.zeros((rows, longest), dtype=np.float32)
            for row, of_row in enumerate(self.positions):
                positions[row, : len(of_row)] = of_row
                real[row, : len(of_row)] = 1.0
            sums = None
            if self.groups is not None:
                size = max(g.shape[1] for g in self.groups)
                wide_groups = np.zeros((rows, longest, size), dtype=np.float32)
                for row, table in enumerate(self.groups):
                    wide_groups[row, : len(table)] = table
                sums = to_device(wide_groups, device)
            ready = (to_device(each, device) for each in (positions, real))
            self._tensors[device] = (*ready, sums)  # type: ignore[assignment]
        return self._tensors[device]

    def _as_steered(
        self,
        weights: torch.Tensor,
        group: HeadGroup,
        call: AttentionCall,
        chosen: list[int] | None,
    ) -> torch.Tensor:
        """The weights (B, h, K) with those of the group's heads as steered."""
        if group not in self._places:
            if len(self._places) > 4096:  # a live target that moved that often
                self._places.clear()
            rows, heads = group.pairs[:, 0], group.pairs[:, 1]
            numbers = np.arange(call.query.shape[1]) if chosen is None else np.array(chosen)
            kept = np.flatnonzero(np.isin(heads, numbers))
            columns = np.searchsorted(numbers, heads[kept])
            device = weights.device
            self._places[group] = (
                to_device(kept, device),
                to_device(rows[kept], device),
                to_device(columns, device),
            )
        kept_pairs, row_index, column_index = self._places[group]
        if not len(kept_pairs):
            return weights
        steered = call.weights(group)[kept_pairs, 0].to(weights.dtype)
        return weights.index_put((row_index, column_index), steered)

    def _value_norms(
        self,
        call: AttentionCall,
        numbers: torch.Tensor,
        positions: torch.Tensor,
        streams: list[int] | None,
    ) -> torch.Tensor:
        """(B, heads, T) norms of the value vectors at the positions, per query head."""
        values = call.value
        if streams is not None:
            values = values[to_device(streams, values.device)]
        heads, size = call.query.shape[1], values.shape[-1]
        index = positions[:, None, :, None].expand(-1, values.shape[1], -1, size)
        values = wide(values.gather(2, index))
        values = values[:, numbers // call.n_rep]
        if self.norms_kind == "value":
            tensor: torch.Tensor = values.norm(dim=-1)
            return tensor
        projection = getattr(call.module, "o_proj", None)
        if projection is None:
            raise InterventionError(
                f"{type(call.module).__name__} has no o_proj to take output norms of"
            )
        parts = wide(projection.weight).reshape(-1, heads, size)[:, numbers]
        # |W v|^2 = v' (W'W) v: nothing of the size of the hidden state per token
        squares = torch.einsum("ohd,ohe->hde", parts, parts)
        return torch.einsum("bhtd,hde,bhte->bht", values, squares, values).clamp(min=0).sqrt()

    def tensor(self, entry: int = -1) -> torch.Tensor:
        """(B, heads, T or R) of one recorded pass, on the device and with its gradients."""
        return self._join(self._passes[entry])

    def _join(self, layers: dict[int, torch.Tensor]) -> torch.Tensor:
        """Every head: in order of layer, then head; else in the order of `heads`."""
        joined = torch.cat([layers[i].to(layers[min(layers)]) for i in sorted(layers)], 1)
        if self._chosen is None or self.heads is None:
            return joined
        kept = [Head(layer, head) for layer in sorted(layers) for head in self._chosen[layer]]
        if kept == list(self.heads):
            return joined
        places = {head: i for i, head in enumerate(kept)}
        return joined[:, to_device([places[head] for head in self.heads], joined.device)]

    def attention(self) -> np.ndarray:
        """(passes, B, heads, T or R)."""
        return np.stack([_read(self._join(layers)) for layers in self._passes])

    def latest(self) -> np.ndarray:
        """(B, heads, T or R) of the latest recorded pass."""
        return _read(self.tensor())

    def row(self, row: int, steps: int, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(steps, heads, count) and (heads, count): one row's attention and norms."""
        if self._whole is None or len(self._whole) != len(self._passes):
            self._whole = self.attention()
        norms = self.norms()
        attention = self._whole[:steps, row, :, :count].copy()
        return attention, None if norms is None else norms[row, :, :count]

    def norms(self) -> np.ndarray | None:
        """(B, heads, T), or None if not asked for."""
        return _read(self._join(self._norms)) if self._norms else None


def _read(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
