"""What a page shows of the model on screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from gazeheads.control_draws import study_size
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores

SHOWN_MATRICES = 12
"""Matrices of so many of the best heads are sent."""


def model_info(scores: HeadScores, default_k: int, seed: int = 0) -> dict[str, Any]:
    """`ModelInfo` of `web/src/engine/engine.ts`.

    Args:
        scores: gaze scores with their matrices.
        default_k: heads steered at first.
        seed: of the control heads.

    Raises:
        GazeheadsError: the scores hold no matrices.
    """
    if scores.matrices is None:
        raise GazeheadsError(
            f"the {scores.name} scores hold no matrices to show: use scores of gazeheads discover"
        )
    ranking = scores.ranking()
    best = ranking[:SHOWN_MATRICES]
    return {
        "name": scores.model,
        "layers": scores.shape[0],
        "heads": scores.shape[1],
        "ranking": [list(head) for head in ranking],
        "matrices": [np.round(scores.matrices[head], 4).tolist() for head in best],
        "gazeScores": np.round(scores.scores, 4).tolist(),
        "randomHeads": [list(head) for head in control_heads(scores, default_k, seed)],
        "living": len(scores.living_ranking()),
        "defaultK": default_k,
    }


def control_heads(scores: HeadScores, k: int, seed: int) -> list[tuple[int, int]]:
    """Living heads to compare with, in random order: up to `k`, no gaze heads.

    The study's share of the model counts as gaze heads, and the top `k`. As many in every layer as
    the top `k` has, from the nearest layers where one has too few; all others if there are fewer.
    """
    top, gaze = scores.top(k), scores.top(max(k, study_size(len(scores))))
    rest = [head for head in sorted(scores.living_ranking()) if head not in gaze]
    drawn = list(scores.matched(top, 1, seed, gaze)[0]) if len(rest) >= k else rest
    order = np.random.default_rng(seed).permutation(len(drawn))
    return [drawn[int(i)] for i in order]
