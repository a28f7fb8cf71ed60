"""Greedy forward selection: the head that helps most beside those already chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.discovery.attribution import Contest, gradient
from gazeheads.heads import Head, HeadScores

if TYPE_CHECKING:
    from gazeheads.models import VLM

GREEDY = "greedy"


def forward_selection(
    candidates: Callable[[Sequence[Head]], Sequence[Head]],
    value: Callable[[Sequence[Head]], float],
    k: int,
) -> list[Head]:
    """Up to `k` heads, each the best of its candidates beside those before it.

    Args:
        candidates: the heads to try beside those chosen; none of them chosen already.
        value: of a set of heads; the larger, the better.
        k: how many.
    """
    chosen: list[Head] = []
    while len(chosen) < k and (tried := candidates(chosen)):
        chosen.append(max(tried, key=lambda head: value([*chosen, head])))
    return chosen


def greedy(
    vlm: VLM, contests: Sequence[Contest], after: HeadScores, k: int, tried: int = 6
) -> HeadScores:
    """Heads by forward selection of the share of the target's answer, then in another order.

    A set is worth the mean over contests of log sigmoid of the advantage, so a contest that is won
    already adds little. At every step the heads with the largest slope beside the chosen ones are
    tried.

    Args:
        vlm: the model.
        contests: to decide by.
        after: ranking of the heads that are not chosen.
        k: heads to choose.
        tried: candidates of each step.
    """
    import torch  # noqa: PLC0415 - slow to load

    from gazeheads.models.forced import log_probabilities  # noqa: PLC0415 - loads torch

    living = set(after.living_ranking())
    rows = [row for contest in contests for row in contest.rows]

    def gates(heads: Sequence[Head]) -> np.ndarray:
        table = np.zeros(after.shape)
        for head in heads:
            table[head] = 1.0
        return table

    def value(heads: Sequence[Head]) -> float:
        gate = torch.tensor(gates(heads), dtype=torch.float32, device=vlm.device)
        both = log_probabilities(vlm, rows, gate).reshape(-1, 2)
        return float(torch.nn.functional.logsigmoid(both[:, 0] - both[:, 1]).mean())

    def candidates(chosen: Sequence[Head]) -> list[Head]:
        slope = sum(gradient(vlm, contest, gates(chosen)) for contest in contests)
        rest = living - set(chosen)
        return sorted(rest, key=lambda head: (-float(slope[head]), head))[:tried]  # type: ignore[index]

    chosen = forward_selection(candidates, value, min(k, len(living)))
    order = [*chosen, *(head for head in after.ranking() if head not in set(chosen))]
    scores = np.full(after.shape, 0.0)
    for place, head in enumerate(order):
        scores[head] = len(order) - place
    return replace(after, scores=scores, name=GREEDY)
