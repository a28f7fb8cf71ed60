"""Backward elimination: from many heads steered together, the one least missed goes first.

Forward selection and the slope at gates of zero see what a head does alone, which is next to
nothing where heads only work together. Here every head is judged beside the heads that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.discovery.attribution import Contest
from gazeheads.heads import Head, HeadScores

if TYPE_CHECKING:
    import torch

    from gazeheads.models import VLM

ELIMINATION = "elimination"
PATH = (0.3, 0.65, 1.0)
"""Gates of the remaining heads at which the slopes are taken."""
EXACT = 16
"""So many heads and fewer are tried one by one; of more, the least go by their slope alone."""
SHARE = 5
"""One in so many of the heads that are left goes at once by its slope."""
ROWS = 36
"""Answers in one forward pass."""


def backward_order(
    start: Sequence[Head],
    slopes: Callable[[Sequence[Head]], np.ndarray],
    values: Callable[[Sequence[Sequence[Head]]], Sequence[float]],
    tried: int,
) -> list[Head]:
    """The heads in the order they would be wanted: the last one left comes first.

    Args:
        start: heads to begin with.
        slopes: (L, H) what each of the heads that are left adds, roughly.
        values: of several sets of heads; the larger, the better.
        tried: heads with the smallest slopes that are really left out, to see which is missed
            least.
    """
    left, gone = list(start), []
    while len(left) > 1:
        slope = slopes(left)
        least = sorted(left, key=lambda head: (float(slope[head]), head))
        if len(left) > EXACT:
            out = least[: min(max(1, len(left) // SHARE), len(left) - EXACT)]
        else:
            found = values([[h for h in left if h != head] for head in least[:tried]])
            out = [least[int(np.argmax(found))]]
        left = [head for head in left if head not in out]
        gone += out
    return [*left, *reversed(gone)]


def elimination(
    vlm: VLM, contests: Sequence[Contest], after: HeadScores, tried: int = 5
) -> HeadScores:
    """Heads by backward elimination on the mean log-probability of the targets' answers.

    Args:
        vlm: the model.
        contests: to decide by; their rivals are not used.
        after: ranking whose living heads are all begun with; the dead keep its order, behind.
        tried: see `backward_order`.
    """
    import torch  # noqa: PLC0415 - slow to load

    from gazeheads.models.forced import log_probabilities  # noqa: PLC0415 - loads torch

    rows = [contest.target for contest in contests]

    def slopes(heads: Sequence[Head]) -> np.ndarray:
        total = np.zeros(after.shape)
        table = _gates(heads, after.shape, vlm)
        for part in (rows[i : i + ROWS] for i in range(0, len(rows), ROWS)):
            for step in PATH:
                gate = (step * table).requires_grad_()
                (slope,) = torch.autograd.grad(log_probabilities(vlm, part, gate).sum(), gate)
                total += np.asarray(slope.cpu(), dtype=np.float64)
        return total

    def values(sets: Sequence[Sequence[Head]]) -> list[float]:
        # one gate table per row, so that several sets share a forward pass
        every = [(row, _gates(heads, after.shape, vlm)) for heads in sets for row in rows]
        found: list[torch.Tensor] = []
        for part in (every[i : i + ROWS] for i in range(0, len(every), ROWS)):
            gates = torch.stack([gate for _, gate in part])
            found.append(log_probabilities(vlm, [row for row, _ in part], gates))
        return [float(own) for own in torch.cat(found).reshape(len(sets), -1).mean(1)]

    order = backward_order(after.living_ranking(), slopes, values, tried)
    behind = [head for head in after.ranking() if head not in set(order)]
    scores = np.zeros(after.shape)
    for place, head in enumerate([*order, *behind]):
        scores[head] = len(scores.flat) - place
    return replace(after, scores=scores, matrices=None, q=None, name=ELIMINATION)


def _gates(heads: Sequence[Head], shape: tuple[int, int], vlm: VLM) -> torch.Tensor:
    """(L, H) one for the heads, zero for all others."""
    import torch  # noqa: PLC0415 - slow to load

    table = torch.zeros(shape, dtype=torch.float32, device=vlm.device)
    for head in heads:
        table[head] = 1.0
    return table
