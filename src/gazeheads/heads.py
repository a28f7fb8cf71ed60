"""Scores of heads, and the names of heads and sets of heads beside them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gazeheads.control_draws import draw_matched
from gazeheads.files import write_json
from gazeheads.frames import frame_of_heads
from gazeheads.head_names import Head, HeadError, whole
from gazeheads.head_set import FORMAT, HeadSet, HeadsWarning, read_heads_file
from gazeheads.html_parts import scores_html

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Head", "HeadError", "HeadScores", "HeadSet", "HeadsWarning", "Pool"]

Pool = Literal["layers", "bottom", "below-median"]
BOTTOM_SHARE = 0.05  # the released code draws its control heads from this share of the ranking


@dataclass(frozen=True, eq=False)
class HeadScores:
    """A score for every head of a model.

    Attributes:
        scores: (L, H) float; the larger, the better.
        matrices: (L, H, R, R) float: rows are the region asked about, columns the region attended
            to; mean raw attention mass from the last prompt token. None for scores that have none.
        name: what was scored: "gaze", "selectivity", "image heads", ...
        provenance: where the numbers come from: model, fingerprint, strips, seed, versions, ...
        living: (L, H) bool: heads whose output can be other than zero (`VLM.living_heads`). None
            if unknown: then every head counts as living.
        q: (L, H) false-discovery rates of the scores, 1 for heads not tested (see
            `discovery.nulls`). None if unknown.
    """

    scores: np.ndarray
    matrices: np.ndarray | None = None
    name: str = "gaze"
    provenance: dict[str, Any] = field(default_factory=dict)
    living: np.ndarray | None = None
    q: np.ndarray | None = None

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores, dtype=np.float64)
        if scores.ndim != 2 or scores.size == 0:
            raise HeadError(f"scores must be layers x heads, not of shape {scores.shape}")
        if np.isnan(scores).any():
            raise HeadError("scores contain NaN")
        object.__setattr__(self, "scores", scores)
        if self.matrices is not None:
            matrices = np.asarray(self.matrices, dtype=np.float64)
            if matrices.ndim != 4 or matrices.shape[:2] != scores.shape:
                raise HeadError(f"matrices of shape {matrices.shape} do not fit {scores.shape}")
            object.__setattr__(self, "matrices", matrices)
        for name, kind in (("living", bool), ("q", np.float64)):
            if getattr(self, name) is not None:
                own = np.asarray(getattr(self, name), dtype=kind)
                if own.shape != scores.shape:
                    raise HeadError(f"{name} of shape {own.shape} do not fit {scores.shape}")
                object.__setattr__(self, name, own)

    @property
    def shape(self) -> tuple[int, int]:
        """(layers, heads per layer)."""
        return self.scores.shape[0], self.scores.shape[1]

    @property
    def model(self) -> str:
        """Name of the scored model."""
        return str(self.provenance.get("model", ""))

    @property
    def fingerprint(self) -> str:
        """Of the scored model's weights; empty if unknown."""
        return str(self.provenance.get("fingerprint", ""))

    def __repr__(self) -> str:
        return f"HeadScores({self.name!r} of {self.model or 'a model'}, {self.shape} heads)"

    _repr_html_ = scores_html

    def __len__(self) -> int:
        return len(self.ranking())

    def __getitem__(self, head: tuple[int, int]) -> float:
        return float(self.scores[head])

    def ranking(self) -> tuple[Head, ...]:
        """All heads, best first, dead ones after the living; ties in order of layer, then head."""
        order = np.lexsort((-self.scores.ravel(), ~self._alive().ravel()))
        heads_per_layer = self.shape[1]
        ranked = (Head(int(i) // heads_per_layer, int(i) % heads_per_layer) for i in order)
        without = set(self.provenance.get("layers_without_heads", ()))
        return tuple(head for head in ranked if head.layer not in without)

    def living_ranking(self) -> tuple[Head, ...]:
        """The living heads, best first; all heads if it is unknown which live."""
        return self.ranking()[: int(self._alive().sum())]

    def tested(self) -> np.ndarray:
        """(L, H) bool: the heads of `living_ranking`, which the null of the scores is of."""
        mask = self._alive().copy()
        mask[list(self.provenance.get("layers_without_heads", ()))] = False
        return mask

    def living_text(self) -> str:
        """How many heads live, for people: "48 of 160 living"; "160 heads" if unknown."""
        own = self.living
        return f"{len(self)} heads" if own is None else f"{int(own.sum())} of {len(self)} living"

    def _alive(self) -> np.ndarray:
        return np.ones(self.shape, dtype=bool) if self.living is None else self.living

    def top(self, k: int) -> HeadSet:
        """The `k` best heads."""
        if not 1 <= whole(k) <= len(self):
            raise HeadError(f"top {k} does not exist: the model has {len(self)} heads")
        return self._set(self.ranking()[:k], f"{self.name} top {k}")

    def all(self) -> HeadSet:
        """Every head of the model, living or not, best first."""
        return self._set(self.ranking(), "all heads")

    def random(
        self,
        k: int,
        seed: int = 0,
        exclude: HeadSet | None = None,
        pool: Pool = "layers",
        widen: bool = False,
    ) -> HeadSet:
        """`k` control heads drawn without replacement, none of them dead where that is known.

        Args:
            k: how many.
            seed: of the draw.
            exclude: heads never drawn, normally the set under test; default: the top `k`.
            pool: "layers": uniform over the layers the excluded heads span (the paper);
                "bottom": the lowest 5% by score, or the lowest `k` if that is more (released
                code); "below-median": scores below the median. All counted among living heads.
            widen: if the pool "layers" holds too few, take the nearest other layers too; the
                set's name then says which.
        """
        excluded = self.top(k) if exclude is None else exclude
        excluded.check(*self.shape)
        where: str = pool
        candidates = [head for head in self._pool(pool, k, excluded) if head not in set(excluded)]
        if widen and pool == "layers" and len(candidates) < k:
            candidates = self._nearest(k, excluded)
            layers = sorted({head.layer for head in candidates})
            where = f"layers {layers[0]}-{layers[-1]}" if layers else pool
        if not 1 <= k <= len(candidates):
            raise HeadError(
                f"cannot draw {k} random heads: the pool {pool!r} holds {len(candidates)} of "
                f"{self.living_text()} once {len(excluded)} heads are excluded"
            )
        drawn = np.random.default_rng(seed).choice(len(candidates), size=k, replace=False)
        return self._set([candidates[int(i)] for i in drawn], f"random {k} ({where}, seed {seed})")

    def matched(
        self,
        heads: HeadSet,
        draws: int = 20,
        seed: int = 0,
        protected: Iterable[Head] = (),
    ) -> tuple[HeadSet, ...]:
        """Control sets with as many heads in every layer as a set has: see `draw_matched`.

        Args:
            heads: the set under test; none of its heads is drawn.
            draws: how many sets, no two alike; fewer if so many do not exist.
            seed: of the draws.
            protected: further heads that are never drawn.

        Raises:
            HeadError: too few living heads are left.
        """
        heads.check(*self.shape)
        living = self.living_ranking()
        drawn = draw_matched(living, heads.heads, draws, seed, protected)
        if drawn is None:
            raise HeadError(
                f"cannot draw {len(heads)} control heads: of {self.living_text()} "
                f"{len(set(living) - set(heads) - set(protected))} are left outside the set"
            )
        name = f"random {len(heads)} (matched, seed {seed}, draw"
        return tuple(self._set(each, f"{name} {n})") for n, each in enumerate(drawn, 1))

    def _nearest(self, k: int, excluded: HeadSet) -> list[Head]:
        """The living heads of the excluded ones' layers and of the nearest others, until `k`."""
        layers = [head.layer for head in excluded]
        low, high = min(layers), max(layers)
        others = [head for head in sorted(self.living_ranking()) if head not in set(excluded)]
        for distance in range(self.shape[0]):
            found = [h for h in others if low - distance <= h.layer <= high + distance]
            if len(found) >= k:
                return found
        return others

    def _pool(self, pool: Pool, k: int, excluded: HeadSet) -> Sequence[Head]:
        ranking = self.living_ranking()
        if pool == "layers":
            layers = [head.layer for head in excluded]
            return [h for h in sorted(ranking) if min(layers) <= h.layer <= max(layers)]
        if pool == "bottom":
            return ranking[-max(k, math.ceil(BOTTOM_SHARE * len(ranking))) :]
        if pool == "below-median":
            median = float(np.median(self.scores[self._alive()])) if ranking else 0.0
            return [head for head in ranking if self[head] < median]
        raise HeadError(f"unknown pool {pool!r}: use layers, bottom or below-median")

    def selectivity(self, normalise: bool = False) -> HeadScores:
        """Scores by mean diagonal minus mean off-diagonal of the matrices.

        Args:
            normalise: first divide every row by its sum, so that a head is judged by where its
                image attention goes and not by how much there is.
        """
        if self.matrices is None:
            raise HeadError(f"{self.name} scores hold no matrices, so they have no selectivity")
        matrices = self.matrices
        if normalise:
            rows = matrices.sum(-1, keepdims=True)
            matrices = np.divide(matrices, rows, out=np.zeros_like(matrices), where=rows > 0)
        regions = matrices.shape[-1]
        diagonal = np.trace(matrices, axis1=-2, axis2=-1) / regions
        rest = matrices.sum((-2, -1)) - diagonal * regions
        off_diagonal = rest / max(regions * (regions - 1), 1)
        name = "normalised selectivity" if normalise else "selectivity"
        return replace(self, scores=diagonal - off_diagonal, name=name, q=None)

    def _set(self, heads: Iterable[Head], name: str) -> HeadSet:
        return HeadSet(tuple(heads), name, self.model, self.shape, self.fingerprint)

    def check(self, layers: int, heads: int, model: str = "", fingerprint: str = "") -> None:
        """Checks that the scores are a model's: see `HeadSet.check`."""
        self._set((), self.name).check(layers, heads, model, fingerprint)

    def forced(self, model: str, fingerprint: str = "") -> HeadScores:
        """The same scores, to be used with another model of the same shape all the same.

        Args:
            model, fingerprint: of the model they are for now; that of before is kept in the
                provenance as "found_in".
        """
        before = {"model": self.model, "fingerprint": self.fingerprint}
        now = {"model": model, "fingerprint": fingerprint, "found_in": before}
        return replace(self, provenance={**self.provenance, **now})

    def to_dataframe(self) -> DataFrame:
        """Per head, best first: `rank`, `layer`, `head`, `score`, `living`, `q`; needs pandas."""
        return frame_of_heads(self.ranking(), score=self.scores, living=self.living, q=self.q)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes scores, matrices and provenance as JSON, atomically."""
        return write_json(
            path,
            {
                "kind": "head-scores",
                "format": FORMAT,
                "name": self.name,
                "provenance": self.provenance,
                "scores": self.scores.tolist(),
                "matrices": None if self.matrices is None else self.matrices.tolist(),
                "living": None if self.living is None else self.living.tolist(),
                "q": None if self.q is None else self.q.tolist(),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadScores:
        """Reads scores written by `save`, of this version or an earlier one."""
        data = read_heads_file(path, "head-scores")
        try:
            return cls(
                np.asarray(data["scores"]),
                _array(data, "matrices"),
                data["name"],
                data["provenance"],
                _array(data, "living"),
                _array(data, "q"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"{path} is not a complete head-scores file: {error!r}") from error


def _array(data: Mapping[str, Any], name: str) -> np.ndarray | None:
    """A table of a file; 0.1 wrote no living heads and no q."""
    found = data[name] if name == "matrices" else data.get(name)
    return None if found is None else np.asarray(found)
