"""The steered heads of one layer, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gazeheads.attention.plan import Mode, Target


class Entry(NamedTuple):
    """Steered heads of one row, which look at one target."""

    row: int
    heads: tuple[int, ...]
    target: Target
    delta: float
    mode: Mode


@dataclass(frozen=True, eq=False)
class Part:
    """Heads of one row that share a target.

    Attributes:
        mode: of steering.
        row: in the layer's tensors.
        heads, shared: (h,) query heads and the key heads they read.
        kinds: (P,) int8 per key of the prompt: 1 target, -1 rest of the image, 0 text.
        delta: strength.
    """

    mode: Mode
    row: int
    heads: torch.Tensor
    shared: torch.Tensor
    kinds: torch.Tensor
    delta: float


@dataclass(frozen=True, eq=False)
class Group:
    """All (row, head) pairs of one layer that are steered in one mode.

    Attributes:
        mode: of all pairs.
        rows, heads, shared: (n,) row, query head and key head of each pair.
        parts: the same pairs, row by row.
        kinds: (n, P) as in `Part`.
        delta: (n, 1, 1) strength.
        keys: (n, T) the targets' key positions, rows of fewer filled up with their last one.
        real: (n, 1, 1, T) bool: which of `keys` are no such fillings; None if all are real.
    """

    mode: Mode
    rows: torch.Tensor
    heads: torch.Tensor
    shared: torch.Tensor
    parts: tuple[Part, ...]
    kinds: torch.Tensor
    delta: torch.Tensor
    keys: torch.Tensor
    real: torch.Tensor | None


def build_groups(
    entries: list[Entry], prompt: int, repeat: int, device: torch.device
) -> list[Group]:
    """One group per mode.

    Args:
        entries: of one layer.
        prompt: number of keys before the first generated token.
        repeat: query heads per key head.
        device: of the layer.
    """
    modes = dict.fromkeys(entry.mode for entry in entries)
    return [_group([e for e in entries if e.mode == m], prompt, repeat, device) for m in modes]


def _group(entries: list[Entry], prompt: int, repeat: int, device: torch.device) -> Group:
    counts = [len(entry.heads) for entry in entries]
    longest = max(len(entry.target.positions) for entry in entries)
    kinds = np.zeros((len(entries), prompt), dtype=np.int8)
    keys = np.zeros((len(entries), longest), dtype=np.int64)
    real = np.ones((len(entries), longest), dtype=bool)
    for i, (_, _, target, _, _) in enumerate(entries):
        kinds[i, target.others] = -1
        kinds[i, target.positions] = 1
        count = len(target.positions)
        keys[i, :count] = target.positions
        keys[i, count:] = target.positions[-1]
        real[i, count:] = False

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(device)

    heads = tensor(np.concatenate([entry.heads for entry in entries]))
    shared = heads // repeat
    kinds_of = tensor(kinds)
    parts: list[Part] = []
    start = 0
    for i, (entry, count) in enumerate(zip(entries, counts, strict=True)):
        own = slice(start, start + count)
        parts.append(Part(entry.mode, entry.row, heads[own], shared[own], kinds_of[i], entry.delta))
        start += count
    delta = np.repeat([entry.delta for entry in entries], counts).astype(np.float32)
    return Group(
        entries[0].mode,
        tensor(np.repeat([entry.row for entry in entries], counts)),
        heads,
        shared,
        tuple(parts),
        tensor(np.repeat(kinds, counts, 0)),
        tensor(delta[:, None, None]),
        tensor(np.repeat(keys, counts, 0)),
        None if real.all() else tensor(np.repeat(real, counts, 0)[:, None, None]),
    )
