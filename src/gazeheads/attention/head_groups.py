"""The steered heads of one layer in one pass, as tensors on the layer's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from gazeheads.attention.intervention import Intervention, Mode
from gazeheads.attention.transfer import to_device


class RowEdit(NamedTuple):
    """An intervention on one row of the layer's tensors."""

    row: int
    intervention: Intervention


@dataclass(frozen=True, eq=False)
class RowHeads:
    """The heads that one intervention steers in one row, for passes of many queries.

    Attributes:
        row: of the tensors.
        heads, kv_heads: (h,) query heads, and the key head of each.
        key_sign: (P,) over the prompt's keys.
        delta: strength.
    """

    row: int
    heads: torch.Tensor
    kv_heads: torch.Tensor
    key_sign: torch.Tensor
    delta: float


@dataclass(frozen=True, eq=False)
class HeadGroup:
    """All (row, head) pairs of one layer that are steered in one mode by the same queries.

    Attributes:
        mode: of all pairs.
        queries: first and last (exclusive) query of the pass that they steer.
        rows, heads, kv_heads: (n,) row, query head and key head of each pair.
        pairs: (n, 2) row and query head again, on the host.
        by_row: the same pairs, row by row.
        edits: (n,) which of `by_row` each pair is of, on the host.
        key_sign: (n, P) over the prompt's keys.
        delta: (n, 1, 1) strength.
        keys: (n, T) the targets' key positions, rows of fewer filled up with their last one.
        real: (n, 1, 1, T) bool: which of `keys` are no such fillings; None if all are real.
        gathered: the targets' keys and values, once a decode step has gathered them: the prompt's
            part of a KV cache does not change while a text is written.
        flex: what FlexAttention reads, once it has been made.
    """

    mode: Mode
    queries: tuple[int, int]
    rows: torch.Tensor
    heads: torch.Tensor
    kv_heads: torch.Tensor
    pairs: np.ndarray
    by_row: tuple[RowHeads, ...]
    edits: np.ndarray
    key_sign: torch.Tensor
    delta: torch.Tensor
    keys: torch.Tensor
    real: torch.Tensor | None
    gathered: list[torch.Tensor] = field(default_factory=list)
    flex: list[torch.Tensor] = field(default_factory=list)


def group_heads(
    edits: Sequence[RowEdit],
    layer: int,
    queries: tuple[int, int],
    n_rep: int,
    device: torch.device,
) -> list[HeadGroup]:
    """One group per mode.

    Args:
        edits: of the rows of the tensors; those that steer no head of the layer are left out.
        layer: its number.
        queries: first and last (exclusive) query of the pass that they act on.
        n_rep: query heads per key head.
        device: of the layer.
    """
    acting = [edit for edit in edits if layer in edit.intervention.heads_by_layer]
    modes = dict.fromkeys(edit.intervention.mode for edit in acting)
    return [
        _group([e for e in acting if e.intervention.mode == mode], layer, queries, n_rep, device)
        for mode in modes
    ]


def _group(
    edits: Sequence[RowEdit],
    layer: int,
    queries: tuple[int, int],
    n_rep: int,
    device: torch.device,
) -> HeadGroup:
    interventions = [edit.intervention for edit in edits]
    heads_of = [each.heads_by_layer[layer] for each in interventions]
    counts = [len(heads) for heads in heads_of]
    targets = [each.target for each in interventions]
    longest = max(map(len, targets))
    keys = np.empty((len(targets), longest), dtype=np.int64)
    for filled, own in zip(keys, targets, strict=True):
        filled[: len(own)], filled[len(own) :] = own, own[-1]
    real = np.arange(longest)[None] < np.array([len(t) for t in targets])[:, None]
    sign = np.stack([each.key_sign for each in interventions])

    def tensor(values: np.ndarray) -> torch.Tensor:
        return to_device(values, device)

    rows_of = np.repeat([edit.row for edit in edits], counts)
    pairs = np.stack([rows_of, np.concatenate(heads_of)], 1)
    heads = tensor(np.concatenate(heads_of))
    kv_heads = heads // n_rep
    sign_of = tensor(sign)
    ends = np.cumsum([0, *counts])
    by_row = tuple(
        RowHeads(edit.row, heads[a:b], kv_heads[a:b], sign_of[i], edit.intervention.delta)
        for i, (edit, a, b) in enumerate(zip(edits, ends, ends[1:], strict=False))
    )
    delta = np.repeat([each.delta for each in interventions], counts).astype(np.float32)
    return HeadGroup(
        interventions[0].mode,
        queries,
        tensor(rows_of),
        heads,
        kv_heads,
        pairs,
        by_row,
        np.repeat(np.arange(len(counts)), counts),
        tensor(np.repeat(sign, counts, 0)),
        tensor(delta[:, None, None]),
        tensor(np.repeat(keys, counts, 0)),
        None if real.all() else tensor(np.repeat(real, counts, 0)[:, None, None]),
    )
