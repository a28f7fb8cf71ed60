"""Graphs on disk, their weights beside them in files of a size that browsers can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
from onnx_ir.external_data import convert_tensors_to_external

SHARD = 1 << 29
"""Bytes of one file of weights, at most (a single larger matrix gets a file of its own)."""
LARGE = 1 << 26
"""Graphs with fewer bytes of weights hold them themselves."""
TINY = 1 << 10
"""Weights of fewer bytes always stay in the graph."""


@dataclass(frozen=True)
class Saved:
    """A graph on disk.

    Attributes:
        files: names of the files that hold its weights, if it does not hold them itself.
        largest: bytes of its largest matrix, which a graphics card must hold in one buffer.
    """

    files: list[str]
    largest: int


def save(model: ir.Model, path: Path, large: int = LARGE, shard: int = SHARD) -> Saved:
    """Writes a graph and, if they are many, its weights beside it.

    Args:
        model: its initializers are moved to the files.
        path: of the graph.
        large, shard: see `LARGE` and `SHARD`.
    """
    values = [v for v in model.graph.initializers.values() if v.const_value is not None]
    sizes = [0 if v.const_value is None else v.const_value.nbytes for v in values]
    if sum(sizes) < large:
        ir.save(model, path)
        return Saved([], max(sizes))
    groups: list[list[ir.Value]] = []
    room = 0
    for value, size in zip(values, sizes, strict=True):
        if size < TINY:
            continue
        if size > room or not groups:
            groups.append([])
            room = shard
        groups[-1].append(value)
        room -= size
    names = []
    for number, group in enumerate(groups):
        names.append(f"{path.stem}.{number}.data")
        tensors = [value.const_value for value in group if value.const_value is not None]
        moved = convert_tensors_to_external(tensors, path.parent, names[-1])
        for value, tensor in zip(group, moved, strict=True):
            value.const_value = tensor
    ir.save(model, path)
    return Saved(names, max(sizes))
