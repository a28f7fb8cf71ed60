"""Is a gaze score more than chance? A permutation test per head, and how stable the ranking is.

The test shuffles, within every strip, which panel each question asked about. A head whose attention
does not depend on the question has exchangeable rows, so its score is one of its shuffled scores.
Shuffling leaves the mass on every panel as it is: the test is of selectivity, and a head that gives
all panels much attention whatever is asked is not significant, however high its score.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gazeheads.errors import GazeheadsError

RATE = 0.05
"""False-discovery rate that heads are counted at."""
PERMUTATIONS = 9_999
LEAST = 999
MOST_WORK = 2e11  # multiplications, about 10 s on two cores
CHUNK = 4_000_000  # numbers of a chunk of shuffles
ROUNDING = 1e-6  # of a head's mass: scores nearer than this are tied


class NullError(GazeheadsError):
    """Matrices that cannot be tested."""


@dataclass(frozen=True, eq=False)
class Null:
    """What the test found; heads that were not tested have p and q of 1.

    Attributes:
        p: (L, H) one-sided, (1 + shuffles that score as high) / (1 + shuffles).
        q: (L, H) Benjamini-Hochberg: the false-discovery rate at which the head is counted.
        family: (L, H) p against the highest excess of any tested head (family-wise).
        tested: (L, H) bool.
        permutations: how many shuffles.
        floor: the least p that so many shuffles of so many strips can give.
    """

    p: np.ndarray
    q: np.ndarray
    family: np.ndarray
    tested: np.ndarray
    permutations: int
    floor: float

    def count(self, rate: float = RATE) -> int:
        """How many tested heads have a q of at most `rate`."""
        return int((self.tested & (self.q <= rate)).sum())


@dataclass(frozen=True)
class Stability:
    """Agreement of the scores of two random halves of the strips, means over the splits.

    Attributes:
        spearman: rank correlation of the tested heads.
        full: what it would be between two samples as large as the whole (Spearman-Brown).
        overlap: share of the top `k` of one half that are in the top `k` of the other.
        k: see there.
        splits: how many.
    """

    spearman: float
    full: float
    overlap: float
    k: int
    splits: int


def permutation_null(
    matrices: np.ndarray,
    tested: np.ndarray | None = None,
    seed: int = 0,
    permutations: int | None = None,
) -> Null:
    """Tests every head's gaze score against shuffled questions.

    Args:
        matrices: (S, L, H, R, R) per strip; rows are the region asked about.
        tested: (L, H) bool; dead heads are left out. Default: all.
        seed: of the shuffles, which all heads share.
        permutations: default: 9,999, or 20 per tested head if that is more, so that a single head
            can be counted; fewer (999 at least) where that would take long.

    Raises:
        NullError: matrices of another shape, or fewer than one permutation.
    """
    strips, layers, heads, regions, _ = _checked(matrices).shape
    chosen = np.ones((layers, heads), dtype=bool) if tested is None else np.asarray(tested, bool)
    values = np.asarray(matrices, dtype=np.float32)[:, chosen]
    number = values.shape[1]
    if permutations is None:
        bound = int(MOST_WORK / max(1, strips * regions**2 * number))
        permutations = max(LEAST, min(max(PERMUTATIONS, 20 * number), bound))
    if permutations < 1:
        raise NullError(f"permutations must be at least 1, not {permutations}")
    # every shuffle takes each column once, so that the columns' means only shift all scores
    centred = values - values.mean(-2, keepdims=True)
    table = centred.transpose(0, 2, 3, 1).reshape(strips * regions**2, number)
    observed = np.trace(centred, axis1=-2, axis2=-1).sum(0)
    rounding = ROUNDING * values.sum((0, -2, -1))
    above, family = _counted(table, observed, rounding, (strips, regions), permutations, seed)
    floor = max(1 / (permutations + 1), math.exp(-strips * math.lgamma(regions + 1)))
    p = (1 + above) / (1 + permutations)
    whole = [np.ones((layers, heads)) for _ in range(3)]
    for into, found in zip(
        whole, (p, benjamini_hochberg(p), (1 + family) / (1 + permutations)), strict=True
    ):
        into[chosen] = found
    return Null(whole[0], whole[1], whole[2], chosen, permutations, floor)


def _counted(
    table: np.ndarray,
    observed: np.ndarray,
    rounding: np.ndarray,
    size: tuple[int, int],
    permutations: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Per head: the shuffles in which it, and in which any head, has so high an excess."""
    strips, regions = size
    rng = np.random.default_rng(seed)
    above, family = np.zeros(len(observed)), np.zeros(len(observed))
    if not len(observed):
        return above, family
    step, done = max(1, CHUNK // len(table)), 0
    places = np.arange(strips)[:, None] * regions**2 + np.arange(regions)
    while done < permutations:
        now = min(step, permutations - done)
        rows = rng.random((now, strips, regions)).argsort(-1)
        picked = np.zeros((now, len(table)), dtype=np.float32)
        np.put_along_axis(picked, (places + regions * rows).reshape(now, -1), 1, axis=1)
        shuffled = picked @ table
        above += (shuffled >= observed - rounding).sum(0)
        highest = np.sort(shuffled.max(1))
        family += now - np.searchsorted(highest, observed - rounding)
        done += now
    return above, family


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """The q values of (N,) p values."""
    order = np.argsort(p)[::-1]
    raised = p[order] * len(p) / np.arange(len(p), 0, -1)
    q = np.empty(len(p))
    q[order] = np.minimum(1, np.minimum.accumulate(raised))
    return q


def split_half(
    matrices: np.ndarray,
    k: int,
    tested: np.ndarray | None = None,
    seed: int = 0,
    splits: int = 100,
) -> Stability | None:
    """How far two random halves of the strips agree; None with one strip or fewer than two heads.

    Args:
        matrices, tested: as in `permutation_null`.
        k: of the top heads compared; at most as many as are tested.
        seed: of the splits.
        splits: how many.
    """
    strips, layers, heads, regions, _ = _checked(matrices).shape
    chosen = np.ones((layers, heads), dtype=bool) if tested is None else np.asarray(tested, bool)
    scores = np.trace(np.asarray(matrices)[:, chosen], axis1=-2, axis2=-1) / regions
    if strips < 2 or scores.shape[1] < 2:
        return None
    k, rng, half = max(1, min(k, scores.shape[1])), np.random.default_rng(seed), strips // 2
    found = []
    for _ in range(splits):
        order = rng.permutation(strips)
        parts = scores[order[:half]].mean(0), scores[order[half : 2 * half]].mean(0)
        tops = [set(np.argsort(-part, kind="stable")[:k].tolist()) for part in parts]
        found.append((_spearman(*parts), len(tops[0] & tops[1]) / k))
    spearman, overlap = (float(value) for value in np.mean(found, axis=0))
    full = 2 * spearman / (1 + spearman) if spearman > 0 else spearman
    return Stability(spearman, full, overlap, k, splits)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation; 0 if one of them is constant."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to load

    a, b = rankdata(one), rankdata(other)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _checked(matrices: np.ndarray) -> np.ndarray:
    if matrices.ndim != 5 or not matrices.size or matrices.shape[-1] != matrices.shape[-2]:
        raise NullError(
            f"matrices must be strips x layers x heads x regions x regions, not {matrices.shape}"
        )
    return matrices
