"""Localization Heads: heads whose attention to the image is strong and lies in few clumps.

After Kang et al., CVPR 2025 (arXiv 2503.06287): of the heads that give the image enough attention,
those whose attention map has the lowest spatial entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.ndimage import label

from gazeheads.heads import HeadError, HeadScores

PER_SAMPLE = 10
"""Heads chosen per sample."""
FIRST_LAYER = 2
"""Layers below this one are never chosen."""


Entropy = Literal["paper", "code"]
LEAST_EXCESS = 0.001
"""Of the authors' code: cells that exceed twice the mean by no more than this are in no clump."""


@dataclass(frozen=True)
class Passed:
    """How many of a model's heads pass each criterion for the averaged maps.

    Attributes:
        layers: not in the first layers.
        mass: of these, those with more attention to the image than at the elbow.
        bottom: of these, those not focused on the bottom row.
        all: of these, those with a clump: the localization heads.
    """

    layers: int
    mass: int
    bottom: int
    all: int


def spatial_entropy(attention: np.ndarray, variant: Entropy = "code") -> float:
    """Entropy of a map's clumps, -sum P ln P over 8-connected clumps.

    Args:
        attention: (rows, columns) attention per image token.
        variant: "code", as the authors' code has it: what exceeds twice the map's mean, clumps
            of cells where that is more than `LEAST_EXCESS`, P a clump's share of all excess;
            "paper": clumps of cells above the mean, P a clump's share of those cells.

    Returns:
        The entropy; infinite if no cell exceeds what is asked for.
    """
    if variant == "code":
        return _entropy_of_excess(attention)
    clumps, count = label(attention > attention.mean(), structure=np.ones((3, 3)))
    if not count:
        return float("inf")
    sizes = np.bincount(clumps.ravel())[1:]
    shares = sizes / sizes.sum()
    return float(-(shares * np.log(shares)).sum())


def _entropy_of_excess(attention: np.ndarray) -> float:
    excess = np.maximum(attention - 2 * attention.mean(), 0)
    total = float(excess.sum())
    if total <= 0:
        return float("inf")
    clumps, count = label(excess > LEAST_EXCESS, structure=np.ones((3, 3)))
    # cells below the least excess are in no clump but in the total: the shares may add to less
    shares = np.bincount(clumps.ravel(), excess.ravel(), count + 1)[1:] / total
    return float(-(shares * np.log(shares)).sum()) + 0.0


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
    variant: Entropy = "code",
) -> HeadScores:
    """The gaze study's variant: the criteria applied once, to maps averaged over everything.

    Args:
        maps: (L, H, rows, columns) mean attention per image token.
        provenance, living: kept with the scores.
        variant: see `spatial_entropy`.

    Returns:
        Scores by falling entropy, those of heads that fail a criterion below all others, those of
        excluded layers below these. The provenance says how many heads pass ("passed", see
        `Passed`).
    """
    flat = maps.reshape(-1, *maps.shape[2:])
    shape = maps.shape[:2]
    entropy = np.array([spatial_entropy(each, variant) for each in flat]).reshape(shape)
    bottom = np.array([looks_at_bottom(each) for each in flat]).reshape(shape)
    mass = maps.sum((-2, -1))
    steps = _steps(mass, bottom, entropy, living)
    scores = steps[-1] - _tie_break(entropy[None])
    scores[:FIRST_LAYER] -= 2
    name = "localization heads, averaged"
    counts = Passed(*(int(step.sum()) for step in steps))
    return HeadScores(scores, None, name, {**(provenance or {}), "passed": vars(counts)}, living)


def _steps(
    mass: np.ndarray, bottom: np.ndarray, entropy: np.ndarray, living: np.ndarray | None
) -> list[np.ndarray]:
    """(L, H) bool, criterion by criterion: the living heads that pass it and those before it."""
    allowed = np.ones(mass.shape, dtype=bool) if living is None else np.array(living, dtype=bool)
    allowed[:FIRST_LAYER] = False
    steps = [allowed]
    for criterion in (mass > elbow(mass), ~bottom, np.isfinite(entropy)):
        steps.append(steps[-1] & criterion)
    return steps


def _tie_break(entropy: np.ndarray) -> np.ndarray:
    """(L, H) mean entropy brought to 0..1, below 1; heads without clumps last."""
    finite = np.where(np.isfinite(entropy), entropy, np.nan)
    worst = np.nanmax(finite) if np.isfinite(entropy).any() else 0.0
    mean = np.where(np.isfinite(entropy), entropy, worst + 1).mean(0)
    values: np.ndarray = mean / (mean.max() + 1)
    return values


def _check(mass: np.ndarray, entropy: np.ndarray, bottom: np.ndarray) -> None:
    if mass.ndim != 3 or not len(mass) or not mass.shape == entropy.shape == bottom.shape:
        raise HeadError(
            "localization heads need mass, entropy and bottom of one shape, samples x layers x "
            f"heads; found {mass.shape}, {entropy.shape} and {bottom.shape}"
        )
