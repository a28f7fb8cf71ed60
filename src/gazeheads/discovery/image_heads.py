"""Image Heads: heads that look at the image more than the other heads of their layer do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gazeheads.heads import HeadError, HeadScores

THRESHOLD = 2.5
"""Above this z-score a head counts as an image head (arXiv 2510.02790)."""


def image_heads(
    mass: np.ndarray,
    provenance: Mapping[str, Any] | None = None,
    living: np.ndarray | None = None,
) -> HeadScores:
    """Scores every head by its mean z-score within its layer.

    Args:
        mass: (N, L, H) attention mass from the last prompt token to all image tokens, per prompt.
        provenance, living: kept with the scores.

    Returns:
        Scores whose ranking is that of the published method; those above `THRESHOLD` are
        its image heads.

    Raises:
        HeadError: `mass` is not of that shape.
    """
    mass = np.asarray(mass, dtype=np.float64)
    if mass.ndim != 3 or not len(mass):
        raise HeadError(f"image mass must be prompts x layers x heads, not of shape {mass.shape}")
    spread = mass.std(-1, keepdims=True)
    centred = mass - mass.mean(-1, keepdims=True)
    z = np.divide(centred, spread, out=np.zeros_like(mass), where=spread > 0)
    return HeadScores(z.mean(0), None, "image heads", dict(provenance or {}), living)
