"""How many heads two sets share, against sets drawn with the same number of heads per layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from gazeheads.heads import HeadScores, HeadSet


@dataclass(frozen=True)
class Overlap:
    """Shared heads of two sets.

    Attributes:
        shared: how many.
        expected: of a set drawn from living heads with the second set's layers.
        p: chance of at least `shared`, exact.
    """

    shared: int
    expected: float
    p: float


def overlap(a: HeadSet, b: HeadSet, scores: HeadScores) -> Overlap:
    """The overlap of two sets against its layer-matched null.

    Args:
        a, b: the sets.
        scores: of the same model; only which heads live is used.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415 - slow to load

    living = Counter(head.layer for head in scores.living_ranking())
    first, second = (Counter(head.layer for head in each) for each in (a, b))
    chance, expected = np.ones(1), 0.0
    for layer in first.keys() & second.keys():
        # a set may hold dead heads once the living are used up
        pool = max(living[layer], first[layer], second[layer])
        own = hypergeom(pool, first[layer], second[layer])
        chance = np.convolve(chance, own.pmf(np.arange(second[layer] + 1)))
        expected += first[layer] * second[layer] / pool
    shared = len(set(a) & set(b))
    return Overlap(shared, expected, min(1.0, float(chance[shared:].sum())))
