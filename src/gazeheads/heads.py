"""Heads, sets of heads and their scores: plain data with JSON, no model needed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.files import read_json, write_json

Pool = Literal["layers", "bottom", "below-median"]
BOTTOM_SHARE = 0.05  # the released code draws its control heads from this share of the ranking


class HeadError(GazeheadsError):
    """Heads that do not exist in the model they are used with, or too many of them."""


class Head(NamedTuple):
    """One attention head of the language model; both numbers count from 0."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class HeadSet:
    """An ordered set of heads, best first, and the model they were found in.

    Attributes:
        heads: the heads, without repetition.
        name: what the set is called in reports, for example "gaze top 12".
        model: name of the model the set was made for; empty means any model.
        shape: (layers, heads per layer) of that model; None means any shape.
    """

    heads: tuple[Head, ...]
    name: str = ""
    model: str = ""
    shape: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        heads = tuple(Head(int(layer), int(head)) for layer, head in self.heads)
        object.__setattr__(self, "heads", heads)
        if self.shape is not None:
            object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        if len(set(heads)) != len(heads):
            raise HeadError(f"head set {self.name!r} names a head twice")
        if self.shape is not None:
            self._check_range(*self.shape)

    @classmethod
    def of(cls, heads: Iterable[tuple[int, int]], name: str = "") -> HeadSet:
        """A set from (layer, head) pairs, for any model."""
        return cls(tuple(Head(layer, head) for layer, head in heads), name)

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self.heads)

    def __contains__(self, head: object) -> bool:
        return head in self.heads

    def top(self, k: int) -> HeadSet:
        """The first `k` heads."""
        if not 1 <= k <= len(self.heads):
            raise HeadError(f"top {k} of a set of {len(self.heads)} heads does not exist")
        return replace(self, heads=self.heads[:k], name=f"{self.name} top {k}".strip())

    def by_layer(self) -> dict[int, list[int]]:
        """Head numbers per layer, ascending."""
        layers: dict[int, list[int]] = {}
        for layer, head in sorted(self.heads):
            layers.setdefault(layer, []).append(head)
        return layers

    def check(self, layers: int, heads: int, model: str = "") -> None:
        """Raises HeadError unless the set fits a model of `layers` x `heads` called `model`."""
        if self.shape is not None and self.shape != (layers, heads):
            raise HeadError(
                f"head set {self.name!r} was made for {self.model or 'a model'} with "
                f"{self.shape[0]} layers x {self.shape[1]} heads; {model or 'this model'} has "
                f"{layers} x {heads}"
            )
        if self.model and model and self.model != model:
            raise HeadError(f"head set {self.name!r} was made for {self.model}, not for {model}")
        self._check_range(layers, heads)

    def _check_range(self, layers: int, heads: int) -> None:
        for layer, head in self.heads:
            if not (0 <= layer < layers and 0 <= head < heads):
                raise HeadError(
                    f"head L{layer}H{head} does not exist: layers are 0..{layers - 1}, "
                    f"heads 0..{heads - 1}"
                )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the set as JSON, atomically."""
        return write_json(
            path,
            {
                "kind": "head-set",
                "name": self.name,
                "model": self.model,
                "shape": list(self.shape) if self.shape else None,
                "heads": [list(head) for head in self.heads],
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadSet:
        """Reads a set written by `save`."""
        data = read_json(path, "head-set")
        try:
            shape = tuple(data["shape"]) if data["shape"] else None
            pairs = tuple(Head(*pair) for pair in data["heads"])
            return cls(pairs, data["name"], data["model"], shape)
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"{path} is not a complete head-set file: {error!r}") from error


@dataclass(frozen=True, eq=False)
class HeadScores:
    """A score for every head of a model.

    Attributes:
        scores: (L, H) float; the larger, the better.
        matrices: (L, H, R, R) float: rows are the region asked about, columns the region attended
            to; mean raw attention mass from the last prompt token. None for scores that have none.
        name: what was scored: "gaze", "selectivity", "image heads", ...
        provenance: where the numbers come from: model, strips, seed, versions, ...
    """

    scores: np.ndarray
    matrices: np.ndarray | None = None
    name: str = "gaze"
    provenance: dict[str, Any] = field(default_factory=dict)

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

    @property
    def shape(self) -> tuple[int, int]:
        """(layers, heads per layer)."""
        return self.scores.shape[0], self.scores.shape[1]

    @property
    def model(self) -> str:
        """Name of the scored model."""
        return str(self.provenance.get("model", ""))

    def __len__(self) -> int:
        return len(self.ranking())

    def __getitem__(self, head: tuple[int, int]) -> float:
        return float(self.scores[head])

    def ranking(self) -> tuple[Head, ...]:
        """All heads, best first; ties in order of layer, then head."""
        order = np.argsort(-self.scores, axis=None, kind="stable")
        heads_per_layer = self.shape[1]
        ranked = (Head(int(i) // heads_per_layer, int(i) % heads_per_layer) for i in order)
        without = set(self.provenance.get("layers_without_heads", ()))
        return tuple(head for head in ranked if head.layer not in without)

    def top(self, k: int) -> HeadSet:
        """The `k` best heads."""
        if not 1 <= k <= len(self):
            raise HeadError(f"top {k} does not exist: the model has {len(self)} heads")
        return self._set(self.ranking()[:k], f"{self.name} top {k}")

    def all(self) -> HeadSet:
        """Every head of the model, best first."""
        return self._set(self.ranking(), "all heads")

    def random(
        self, k: int, seed: int = 0, exclude: HeadSet | None = None, pool: Pool = "layers"
    ) -> HeadSet:
        """`k` control heads drawn without replacement.

        Args:
            k: how many.
            seed: of the draw.
            exclude: heads never drawn, normally the set under test; default: the top `k`.
            pool: "layers": uniform over the layers the excluded heads span (the paper);
                "bottom": the lowest 5% by score, or the lowest `k` if that is more (released
                code); "below-median": scores below the median.
        """
        excluded = self.top(k) if exclude is None else exclude
        excluded.check(*self.shape)
        candidates = [head for head in self._pool(pool, k, excluded) if head not in set(excluded)]
        if not 1 <= k <= len(candidates):
            raise HeadError(
                f"cannot draw {k} random heads: the pool {pool!r} holds {len(candidates)} "
                f"once {len(excluded)} heads are excluded"
            )
        drawn = np.random.default_rng(seed).choice(len(candidates), size=k, replace=False)
        return self._set([candidates[int(i)] for i in drawn], f"random {k} ({pool}, seed {seed})")

    def _pool(self, pool: Pool, k: int, excluded: HeadSet) -> Sequence[Head]:
        ranking = self.ranking()
        if pool == "layers":
            layers = [head.layer for head in excluded]
            return [h for h in sorted(ranking) if min(layers) <= h.layer <= max(layers)]
        if pool == "bottom":
            return ranking[-max(k, math.ceil(BOTTOM_SHARE * len(ranking))) :]
        if pool == "below-median":
            return [head for head in ranking if self[head] < float(np.median(self.scores))]
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
        return replace(self, scores=diagonal - off_diagonal, name=name)

    def _set(self, heads: Iterable[Head], name: str) -> HeadSet:
        return HeadSet(tuple(heads), name, self.model, self.shape)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes scores, matrices and provenance as JSON, atomically."""
        return write_json(
            path,
            {
                "kind": "head-scores",
                "name": self.name,
                "provenance": self.provenance,
                "scores": self.scores.tolist(),
                "matrices": None if self.matrices is None else self.matrices.tolist(),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadScores:
        """Reads scores written by `save`."""
        data = read_json(path, "head-scores")
        try:
            matrices = None if data["matrices"] is None else np.asarray(data["matrices"])
            return cls(np.asarray(data["scores"]), matrices, data["name"], data["provenance"])
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"{path} is not a complete head-scores file: {error!r}") from error
