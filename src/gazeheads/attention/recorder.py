"""Attention rows kept while a plan runs."""

from __future__ import annotations

import numpy as np
import torch

from gazeheads.attention.call import Layer
from gazeheads.attention.groups import Group
from gazeheads.attention.plan import PlanError, Record
from gazeheads.heads import Head


class Recording:
    """Attention rows kept by a run: one entry per recorded pass."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.active = False
        self._passes: list[dict[int, torch.Tensor]] = []
        self._norms: dict[int, torch.Tensor] = {}
        self._tensors: dict[torch.device, tuple[torch.Tensor, ...]] = {}
        self._heads: dict[int, list[int]] | None = None
        if record.heads is not None:
            self._heads = {}
            for head in sorted(record.heads):
                self._heads.setdefault(head.layer, []).append(head.head)

    def begin(self, decoding: bool) -> None:
        """Opens the entry of a new pass, if it is one to record."""
        self.active = self.record.acts_in(decoding)
        if self.active:
            self._passes.append({})

    def heads(self, layer: int) -> list[int] | None:
        """Heads to record in a layer, ascending; None for every head."""
        return None if self._heads is None else self._heads.get(layer, [])

    def tensors(
        self, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Positions (B, T), which of them are real (B, T), and group weights (B, T, R)."""
        if device not in self._tensors:
            longest = max((len(p) for p in self.record.positions), default=0)
            rows = len(self.record.positions)
            positions = np.zeros((rows, longest), dtype=np.int64)
            real = np.zeros((rows, longest), dtype=np.float32)
            for row, own in enumerate(self.record.positions):
                positions[row, : len(own)] = own
                real[row, : len(own)] = 1.0
            built = [torch.from_numpy(positions).to(device), torch.from_numpy(real).to(device)]
            if self.record.groups is not None:
                size = max(g.shape[1] for g in self.record.groups)
                groups = np.zeros((rows, longest, size), dtype=np.float32)
                for row, own in enumerate(self.record.groups):
                    groups[row, : len(own)] = own
                built.append(torch.from_numpy(groups).to(device))
            self._tensors[device] = tuple(built)
        kept = self._tensors[device]
        return kept[0], kept[1], kept[2] if len(kept) > 2 else None

    def keep(self, layer: int, values: torch.Tensor) -> None:
        """Keeps (B, heads, T or R) of one layer in the current pass."""
        self._passes[-1][layer] = values

    def wants_norms(self, layer: int) -> bool:
        """Whether the value norms of a layer are still to be taken."""
        return self.record.norms != "none" and layer not in self._norms

    def keep_norms(self, layer: int, norms: torch.Tensor) -> None:
        """Keeps (B, heads, T) value norms of one layer."""
        self._norms[layer] = norms

    def _join(self, layers: dict[int, torch.Tensor]) -> torch.Tensor:
        joined = torch.cat([layers[i].float().cpu() for i in sorted(layers)], 1)
        if self._heads is None or self.record.heads is None:
            return joined
        kept = [Head(layer, head) for layer in sorted(layers) for head in self._heads[layer]]
        return joined[:, [kept.index(head) for head in self.record.heads]]

    def attention(self) -> np.ndarray:
        """(passes, B, heads, T or R); every head: in order of layer, then head."""
        return torch.stack([self._join(layers) for layers in self._passes]).numpy()

    def latest(self) -> np.ndarray:
        """(B, heads, T or R) of the latest recorded pass."""
        return self._join(self._passes[-1]).numpy()

    def row(self, row: int, steps: int, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(steps, heads, count) and (heads, count): one row's attention and norms."""
        norms = self.norms()
        attention = np.stack([self._join(p).numpy()[row] for p in self._passes[:steps]])
        return attention[..., :count], None if norms is None else norms[row, :, :count]

    def norms(self) -> np.ndarray | None:
        """(B, heads, T), or None if not asked for."""
        return self._join(self._norms).numpy() if self._norms else None


def record(
    recording: Recording, layer: Layer, groups: list[Group], streams: list[int] | None
) -> None:
    """Keeps the last query's attention of one layer at the positions asked for.

    Args:
        recording: where to.
        layer: the attention call.
        groups: its steered heads; their attention is kept as steered.
        streams: which row of the tensors each row of the plan is; None: the same.
    """
    chosen = recording.heads(layer.index)
    if chosen is not None and not chosen:
        return
    positions, real, sums = recording.tensors(layer.query.device)
    steered = [(group, layer.weights(group)[:, 0].float()) for group in groups]
    weights = layer.last_rows(chosen, steered)
    if streams is not None:
        weights = weights[streams]
    where = positions - layer.offset
    inside = real * (where >= 0) if layer.offset else real
    index = where.clamp(min=0)[:, None].expand(-1, weights.shape[1], -1)
    kept = weights.gather(-1, index) * inside[:, None]
    recording.keep(layer.index, kept if sums is None else torch.matmul(kept, sums))
    if recording.wants_norms(layer.index):
        if layer.offset:
            raise PlanError("value norms of image tokens outside the sliding window")
        norms = _norms(recording, layer, chosen, positions, streams)
        recording.keep_norms(layer.index, norms * real[:, None])


def _norms(
    recording: Recording,
    layer: Layer,
    chosen: list[int] | None,
    positions: torch.Tensor,
    streams: list[int] | None,
) -> torch.Tensor:
    """(B, heads, T) norms of the value vectors at the positions, per query head."""
    values = layer.value if streams is None else layer.value[streams]
    heads, size = layer.query.shape[1], values.shape[-1]
    index = positions[:, None, :, None].expand(-1, values.shape[1], -1, size)
    values = values.gather(2, index).float()
    numbers = list(range(heads)) if chosen is None else chosen
    values = values[:, [head // layer.repeat for head in numbers]]
    if recording.record.norms == "value":
        return values.norm(dim=-1)
    projection = getattr(layer.module, "o_proj", None)
    if projection is None:
        raise PlanError(f"{type(layer.module).__name__} has no o_proj to take output norms of")
    parts = projection.weight.float().reshape(-1, heads, size)[:, numbers]
    # |W v|^2 = v' (W'W) v: nothing of the size of the hidden state per token
    squares = torch.einsum("ohd,ohe->hde", parts, parts)
    return torch.einsum("bhtd,hde,bhte->bht", values, squares, values).clamp(min=0).sqrt()
