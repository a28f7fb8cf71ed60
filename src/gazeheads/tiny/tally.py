"""Counting right answers by the kind of question."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torch import Tensor

from gazeheads.tiny.batches import TrainingBatch
from gazeheads.tiny.packing import IGNORED


class Tally:
    """Answers, exact answers and losses by kind of question and image size."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])

    def add(self, batch: TrainingBatch, losses: Tensor, right: Tensor) -> None:
        """Count the answers of one batch.

        Args:
            batch: The questions.
            losses: Loss of every answer token, in the order of ``batch.packed.targets``.
            right: Whether greedy decoding would say that token.
        """
        packed = batch.packed
        rows, columns = (packed.targets != IGNORED).nonzero(as_tuple=True)
        numbers = packed.answer_of[rows, columns]
        height, width = batch.shown.images.shape[2:]
        size = f"{width}x{height}"
        for b, kinds in enumerate(packed.kinds):
            for number, kind in enumerate(kinds):
                mine = (rows == b) & (numbers == number)
                entry = self._entries[kind, size]
                entry[0] += 1
                entry[1] += float(right[mine].all())
                entry[2] += float(losses[mine].mean())

    def mean(self) -> tuple[float, float]:
        """Mean loss and share of exact answers over everything counted."""
        count, exact, loss = (sum(entry[i] for entry in self._entries.values()) for i in range(3))
        return loss / max(count, 1), exact / max(count, 1)

    def summary(self, by_size: bool = False) -> dict[str, dict[str, Any]]:
        """Per kind: number of answers, share exact, mean loss."""
        merged: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for (kind, size), entry in sorted(self._entries.items()):
            name = f"{kind}@{size}" if by_size else kind
            merged[name] = [a + b for a, b in zip(merged[name], entry, strict=True)]
        return {
            name: {"n": int(n), "exact": round(exact / n, 4), "loss": round(loss / n, 4)}
            for name, (n, exact, loss) in merged.items()
        }
