"""Heads and sets of heads: plain data with JSON, no model needed."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gazeheads.files import read_json, write_json
from gazeheads.head_names import Head, HeadError, given_heads, head_named, head_of, whole
from gazeheads.html_parts import line, table

__all__ = [
    "FORMAT", "Head", "HeadError", "HeadSet", "HeadsWarning", "head_named", "read_heads_file",
]  # fmt: skip

FORMAT = 3
"""Of files of head sets and scores; 1, without the number: those of gazeheads 0.1."""


class HeadsWarning(UserWarning):
    """Heads used with a model of another name, where no fingerprint tells whether it is another."""


@dataclass(frozen=True)
class HeadSet:
    """An ordered set of heads, best first, and the model they were found in.

    Attributes:
        heads: the heads, without repetition.
        name: what the set is called in reports, for example "gaze top 12".
        model: name of the model the set was made for; empty means any model.
        shape: (layers, heads per layer) of that model; None means any shape.
        fingerprint: of that model's weights (`VLM.fingerprint`); empty means unknown.
        delta: recommended strength of steering; None: none was looked for.
        found: how and on what the set was found, and how well it steers, as JSON values.

    Example:
        >>> HeadSet.of([(3, 1), "L4H2", (5, 0)], "mine").top(2).heads
        (Head(layer=3, head=1), Head(layer=4, head=2))
    """

    heads: tuple[Head, ...]
    name: str = ""
    model: str = ""
    shape: tuple[int, int] | None = None
    fingerprint: str = ""
    delta: float | None = None
    found: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        heads = tuple(head_of(each) for each in given_heads(self.heads))
        object.__setattr__(self, "heads", heads)
        if self.shape is not None:
            object.__setattr__(self, "shape", (int(self.shape[0]), int(self.shape[1])))
        if self.delta is not None and not (math.isfinite(self.delta) and self.delta > 0):
            raise HeadError(f"the recommended strength is a finite number above 0: {self.delta}")
        if len(set(heads)) != len(heads):
            raise HeadError(f"head set {self.name!r} names a head twice")
        if self.shape is not None:
            self._check_range(*self.shape)

    def __repr__(self) -> str:
        of = f" of {self.model}" if self.model else ""
        shown = ", ".join(map(str, self.heads[:6])) + (", ..." if len(self) > 6 else "")
        return f"HeadSet({self.name!r}{of}, {len(self)} heads: {shown})"

    def _repr_html_(self) -> str:
        """In a notebook: the heads by layer."""
        strength = "" if self.delta is None else f", recommended strength {self.delta:g}"
        rows = [(layer, ", ".join(map(str, own))) for layer, own in sorted(self.by_layer().items())]
        about = f"{self.name or 'HeadSet'}: {len(self)} heads{strength}"
        return line(about) + table(("layer", "heads"), rows)

    @classmethod
    def of(cls, heads: Iterable[tuple[int, int] | str], name: str = "") -> HeadSet:
        """A set for any model, from (layer, head) pairs or names of heads.

        Raises:
            HeadError: something among them names no head, or a head is named twice.

        Example:
            >>> HeadSet.of([(3, 1), "L4H2"]).heads
            (Head(layer=3, head=1), Head(layer=4, head=2))
        """
        return cls(tuple(head_of(each) for each in given_heads(heads)), name)

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self.heads)

    def __contains__(self, head: object) -> bool:
        return head in self.heads

    def top(self, k: int) -> HeadSet:
        """The first `k` heads."""
        if not 1 <= whole(k) <= len(self.heads):
            raise HeadError(f"top {k} of a set of {len(self.heads)} heads does not exist")
        return replace(self, heads=self.heads[:k], name=f"{self.name} top {k}".strip())

    def resized(self, k: int) -> HeadSet:
        """The first `k` heads, of the whole ranking if the set holds it (`found["ranking"]`).

        Raises:
            HeadError: it holds fewer.
        """
        ranking = [head_named(name) for name in self.found.get("ranking", ())]
        if k <= len(self.heads) or k > len(ranking):
            return self.top(k)
        return replace(self, heads=tuple(ranking[:k]), name=f"{self.name} top {k}".strip())

    def for_regions(self) -> HeadSet:
        """As many heads as are recommended for parts of pictures that are no strips.

        The set itself, unless `found["regions"]` tells another number.
        """
        told = self.found.get("regions")
        if not isinstance(told, Mapping) or not isinstance(told.get("k"), int):
            return self
        chosen = self.resized(told["k"])
        return replace(chosen, name=f"{self.name}, {len(chosen)} for regions".strip(", "))

    def by_layer(self) -> dict[int, list[int]]:
        """Head numbers per layer, ascending."""
        layers: dict[int, list[int]] = {}
        for layer, head in sorted(self.heads):
            layers.setdefault(layer, []).append(head)
        return layers

    def check_layers(self, layers: Sequence[int], model: str) -> None:
        """Raises HeadError for a head of a layer that has none, as hybrid models have."""
        for layer, head in self.heads:
            if layer not in layers:
                raise HeadError(
                    f"head L{layer}H{head} does not exist: layer {layer} of {model} has no softmax "
                    f"attention; layers with heads are {', '.join(map(str, layers))}"
                )

    def forced(self, model: str = "", fingerprint: str = "") -> HeadSet:
        """The same heads, to be used with another model of the same shape all the same.

        Args:
            model, fingerprint: of the model they are for now; empty: any model of the shape.
        """
        return replace(self, model=model, fingerprint=fingerprint)

    def check(self, layers: int, heads: int, model: str = "", fingerprint: str = "") -> None:
        """Checks that the set fits a model.

        Equal weights fit whatever the models are called. Where a fingerprint is unknown, another
        name is a `HeadsWarning` and no more.

        Args:
            layers, heads: shape of the model.
            model: its name.
            fingerprint: of its weights; empty if unknown.

        Raises:
            HeadError: the shape differs, a head does not exist, or the set was found in other
                weights (`forced` allows that).
        """
        if self.shape is not None and self.shape != (layers, heads):
            raise HeadError(
                f"head set {self.name!r} was made for {self.model or 'a model'} with "
                f"{self.shape[0]} layers x {self.shape[1]} heads; {model or 'this model'} has "
                f"{layers} x {heads}"
            )
        self._check_range(layers, heads)
        if self.fingerprint and fingerprint:
            if self.fingerprint != fingerprint:
                raise HeadError(
                    f"head set {self.name!r} was made for {self.model or 'a model'} (weights "
                    f"{self.fingerprint}), not for {model or 'this model'} (weights {fingerprint}),"
                    " which is another model, or the same in another precision; to use them all "
                    "the same: --heads-anyway, in Python heads.forced() or vlm.steer(force=True)"
                )
        elif self.model and model and self.model != model:
            warnings.warn(
                f"head set {self.name!r} was made for {self.model}, and is used with {model}: "
                "without a fingerprint it is unknown whether they have the same weights",
                HeadsWarning,
                stacklevel=3,
            )

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
                "format": FORMAT,
                "name": self.name,
                "model": self.model,
                "fingerprint": self.fingerprint,
                "shape": list(self.shape) if self.shape else None,
                "heads": [list(head) for head in self.heads],
                **({} if self.delta is None else {"delta": self.delta}),
                **({"found": dict(self.found)} if self.found else {}),
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeadSet:
        """Reads a set written by `save`, of this version or an earlier one."""
        data = read_heads_file(path, "head-set")
        try:
            shape = tuple(data["shape"]) if data["shape"] else None
            pairs = tuple(Head(*pair) for pair in data["heads"])
            found_in = str(data.get("fingerprint", ""))
            known = data.get("delta"), dict(data.get("found", {}))
            return cls(pairs, data["name"], data["model"], shape, found_in, *known)
        except (KeyError, TypeError, ValueError) as error:
            raise HeadError(f"{path} is not a complete head-set file: {error!r}") from error


def read_heads_file(path: str | os.PathLike[str], kind: str) -> Mapping[str, Any]:
    """The JSON of a file of heads.

    Raises:
        GazeheadsError: it cannot be read, or is of another kind.
        HeadError: a later version of gazeheads wrote it.
    """
    data = read_json(path, kind)
    found = data.get("format", 1)
    if found not in range(1, FORMAT + 1):
        raise HeadError(
            f"{path} has format {found!r}, and this version of gazeheads reads up to {FORMAT}: "
            "update gazeheads"
        )
    return data
