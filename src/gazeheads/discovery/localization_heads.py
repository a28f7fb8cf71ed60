"""Localization Heads: heads whose attention to the image is strong and lies in few clumps.

After Kang et al., CVPR 2025 (arXiv 2503.06287): of the heads that give the image enough attention,
those whose attention map has the lowest spatial entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.ndimage import label

from gazeheads.heads import HeadError, HeadScores

PER_SAMPLE = 10
"""Heads chosen per sample."""
FIRST_LAYER = 2
"""Layers below this one are never chosen."""


def spatial_entropy(attention: np.ndarray) -> float:
    """Entropy of the sizes of a map's clumps.

    Args:
        attention: (rows, columns) attention per image token.

    Returns:
        -sum P ln P over the 8-connected clumps of cells above the map's mean, P being a clump's
        share of those cells; infinite if no cell is above the mean.
    """
    clumps, count = label(attention > attention.mean(), structure=np.ones((3, 3)))
    if not count:
        return float("inf")
    sizes = np.bincount(clumps.ravel())[1:]
    shares = sizes / sizes.sum()
    return float(-(shares * np.log(shares)).sum())


def looks_at_bottom(attention: np.ndarray) -> bool:
    """Whether a map's strongest cell lies in its last row, and not the only one."""
    rows = len(attention)
    return rows > 1 and int(attention.argmax()) // attention.shape[1] == rows - 1


def elbow(values: np.ndarray) -> float:
    """The value at the elbow of a falling curve: the point farthest from its chord."""
    falling = np.sort(np.asarray(values, dtype=np.float64).ravel())[::-1]
    if len(falling) < 3 or falling[0] == falling[-1]:
        return float(falling[-1])
    across = np.linspace(0, 1, len(falling))
    down = (falling - falling[-1]) / (falling[0] - falling[-1])
    # the chord runs from (0, 1) to (1, 0); the curve lies below it
    return float(falling[int(np.argmax(1 - across - down))])


def localization_heads(
    mass: np.ndarray,
    entropy: np.ndarray,
    bottom: np.ndarray,
    provenance: Mapping[str, Any] | None = None,
    living: np.ndarray | None = None,
) -> HeadScores:
    """Scores every head by how often it is among a sample's `PER_SAMPLE` most focused ones.

    The elbow of the sums averaged over all samples is the least attention a head must give the
    image. Heads chosen equally often rank by their mean entropy, the lower the better.

    Args:
        mass: (N, L, H) attention mass on the image, per sample.
        entropy: (N, L, H) see `spatial_entropy`.
        bottom: (N, L, H) see `looks_at_bottom`.
        provenance, living: kept with the scores.
    """
    _check(mass, entropy, bottom)
    threshold = elbow(mass.mean(0))
    allowed = (mass > threshold) & ~bottom & np.isfinite(entropy)
    allowed[:, :FIRST_LAYER] = False
    chosen = np.zeros(mass.shape[1:])
    for one, open_to in zip(entropy, allowed, strict=True):
        ranked = np.argsort(np.where(open_to, one, np.inf), axis=None, kind="stable")
        best = ranked[: min(PER_SAMPLE, int(open_to.sum()))]
        chosen.ravel()[best] += 1
    scores = chosen / len(mass) - _tie_break(entropy) / (2 * len(mass))
    scores[:FIRST_LAYER] -= 1
    return HeadScores(scores, None, "localization heads", dict(provenance or {}), living)


def averaged_localization_heads(
    maps: np.ndarray,
    provenance: Mapping[str, Any] | None = None,
    living: np.ndarray | None = None,
) -> HeadScores:
    """The gaze study's variant: the criteria applied once, to maps averaged over everything.

    Args:
        maps: (L, H, rows, columns) mean attention per image token.
        provenance, living: kept with the scores.

    Returns:
        Scores by falling entropy, those of heads that fail a criterion below all others.
    """
    flat = maps.reshape(-1, *maps.shape[2:])
    shape = maps.shape[:2]
    entropy = np.array([spatial_entropy(each) for each in flat]).reshape(shape)
    bottom = np.array([looks_at_bottom(each) for each in flat]).reshape(shape)
    mass = maps.sum((-2, -1))
    passed = (mass > elbow(mass)) & ~bottom & np.isfinite(entropy)
    passed[:FIRST_LAYER] = False
    scores = passed - _tie_break(entropy[None])
    name = "localization heads, averaged"
    return HeadScores(scores, None, name, dict(provenance or {}), living)


def _tie_break(entropy: np.ndarray) -> np.ndarray:
    """(L, H) mean entropy brought to 0..1, below 1; heads without clumps last."""
    finite = np.where(np.isfinite(entropy), entropy, np.nan)
    worst = np.nanmax(finite) if np.isfinite(entropy).any() else 0.0
    mean = np.where(np.isfinite(entropy), entropy, worst + 1).mean(0)
    return mean / (mean.max() + 1)


def _check(mass: np.ndarray, entropy: np.ndarray, bottom: np.ndarray) -> None:
    if mass.ndim != 3 or not len(mass) or not mass.shape == entropy.shape == bottom.shape:
        raise HeadError(
            "localization heads need mass, entropy and bottom of one shape, samples x layers x "
            f"heads; found {mass.shape}, {entropy.shape} and {bottom.shape}"
        )
