"""Rankings made of the gaze matrices alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gazeheads.heads import HeadError, HeadScores


def contrastive(scores: HeadScores) -> HeadScores:
    """Mass on the asked panel minus mass on the same panel when another is asked about.

    Per head the mean over panels of A[k, k] - max over i != k of A[i, k]: a head that always looks
    at one place gains nothing, whichever panel that is; a panel that draws attention cancels out.
    The largest of the other questions is taken, not their mean, so that one mistaken question
    counts in full.
    """
    if scores.matrices is None:
        raise HeadError(f"{scores.name} scores hold no matrices, so there is nothing to contrast")
    matrices = scores.matrices
    regions = matrices.shape[-1]
    others = np.where(np.eye(regions, dtype=bool), -np.inf, matrices).max(-2)
    others = np.where(np.isfinite(others), others, 0.0)
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
    return replace(scores, scores=(diagonal - others).mean(-1), name="contrastive")


def without_highest_half(scores: HeadScores, k: int) -> HeadScores:
    """The gaze ranking of the top `2k` with its better half moved behind all other heads.

    Its top `k` are thus what is left of the top `2k` once the half with the most mass is dropped.
    """
    ranking = scores.living_ranking()
    dropped = ranking[: min(k, len(ranking) // 2)]
    table = scores.scores.copy()
    low = float(table.min())
    for head in dropped:
        table[head] = low - 1.0 - (scores[ranking[0]] - scores[head])
    return replace(scores, scores=table, name="without highest half")
