"""Shares and means with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gazeheads.errors import GazeheadsError

RESAMPLES = 10_000
CONFIDENCE = 0.95
_CHUNK = 2_000_000  # drawn indices at once, to bound memory


@dataclass(frozen=True)
class Estimate:
    """A share with its interval.

    Attributes:
        value: hits over total, from 0 to 1.
        low, high: ends of the 95% interval: see `share`.
        hits, total: what was counted.
    """

    value: float
    low: float
    high: float
    hits: int
    total: int

    def as_dict(self) -> dict[str, Any]:
        """For a summary."""
        return asdict(self)


@dataclass(frozen=True)
class Mean:
    """A mean with its interval.

    Attributes:
        value: the mean.
        low, high: ends of the 95% bootstrap interval.
        count: numbers averaged.
    """

    value: float
    low: float
    high: float
    count: int

    def as_dict(self) -> dict[str, Any]:
        """For a summary."""
        return asdict(self)


def mean(values: Sequence[float], seed: int = 0) -> Mean | None:
    """Mean over strips with a percentile bootstrap; None of nothing."""
    if not len(values):
        return None
    own = np.asarray(values, dtype=np.float64)
    value = float(own.mean())
    low, high = _interval(own, np.ones_like(own), value, seed)
    return Mean(value, low, high, len(own))


def share(hits: Sequence[int], totals: Sequence[int], seed: int = 0) -> Estimate:
    """Share of hits over all strips, with a percentile bootstrap over strips.

    The six answers about one strip are not independent, so whole strips are drawn again and not
    single answers. Where all strips have the same share, as at 0 and 100%, a bootstrap has no
    width: the interval is then Wilson's, of as many observations as there are strips.

    Args:
        hits, totals: per strip.
        seed: of the resampling.
    """
    own, all_ = np.asarray(hits, dtype=np.int64), np.asarray(totals, dtype=np.int64)
    if own.shape != all_.shape or own.ndim != 1 or (own > all_).any() or (own < 0).any():
        raise GazeheadsError("a share needs hits and totals per strip, hits within totals")
    counted = all_ > 0
    own, all_ = own[counted], all_[counted]
    if not len(own):
        return Estimate(0.0, 0.0, 0.0, 0, 0)
    value = float(own.sum() / all_.sum())
    if len(set((own / all_).tolist())) == 1:
        # the bootstrap of equal strips has no width; strips are what was drawn
        low, high = wilson(value * len(own), len(own))
        return Estimate(value, min(low, value), max(high, value), int(own.sum()), int(all_.sum()))
    low, high = _interval(own, all_, value, seed)
    return Estimate(value, low, high, int(own.sum()), int(all_.sum()))


def share_of(by_strip: Sequence[Sequence[bool]], seed: int = 0) -> Estimate:
    """`share` of what holds, from what holds or not strip by strip."""
    return share([sum(own) for own in by_strip], [len(own) for own in by_strip], seed)


def add_one_p(value: float, null: Sequence[float]) -> float:
    """Empirical p of a value among those of a null: (1 + how many are at least it) / (1 + n).

    Never 0: with 20 draws the smallest is 1/21.
    """
    return (1 + sum(other >= value for other in null)) / (1 + len(null))


def wilson(successes: float, total: int) -> tuple[float, float]:
    """Ends of Wilson's 95% interval of a share of `total` independent observations."""
    z = 1.959963984540054
    share_, spread = successes / total, z * z / total
    middle = (share_ + spread / 2) / (1 + spread)
    half = z * math.sqrt(share_ * (1 - share_) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _interval(sums: np.ndarray, totals: np.ndarray, value: float, seed: int) -> tuple[float, float]:
    """Ends of the interval around the ratio `value` of two sums over strips."""
    ratios = _resampled(sums, totals, np.random.default_rng(seed))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    # rounding in the quantile must not put the value itself outside of its interval
    return min(float(low), value), max(float(high), value)


def _resampled(hits: np.ndarray, totals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(RESAMPLES,) shares of strips drawn with replacement."""
    count = len(hits)
    rows = max(1, min(RESAMPLES, _CHUNK // count))
    parts = []
    for start in range(0, RESAMPLES, rows):
        drawn = rng.integers(count, size=(min(rows, RESAMPLES - start), count))
        parts.append(hits[drawn].sum(1) / totals[drawn].sum(1))
    return np.concatenate(parts)


def constant(*orders: Sequence[int]) -> bool:
    """Whether one of two orders is always the same number, so that nothing can go along with it."""
    return any(len(set(order)) < 2 for order in orders)


def spearman(order: Sequence[int], other: Sequence[int]) -> float:
    """Spearman's rho of two orders; 0 if one is constant, as in the study's released code."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - slow to load

    return 0.0 if constant(order, other) else float(spearmanr(order, other).statistic)
