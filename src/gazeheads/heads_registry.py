"""Heads that travel with a model: head sets kept in the package and in the user's cache.

A set is a model's by its fingerprint; one without a fingerprint by the name it was made for, which
is doubtful and said so where it is used. The user's sets go before those of the package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gazeheads.errors import GazeheadsError
from gazeheads.files import file_name, user_cache
from gazeheads.head_set import HeadError, HeadSet

PACKAGED = Path(__file__).parent / "registered_heads"


@dataclass(frozen=True)
class RegisteredHeads:
    """A head set that is kept.

    Attributes:
        heads: the set.
        path: its file.
        by_name: it knows its model by the name alone, and no weights.
    """

    heads: HeadSet
    path: Path
    by_name: bool

    @property
    def source(self) -> str:
        """Where it is kept, in a few words."""
        return "this package" if self.path.parent == PACKAGED else str(self.path)


def user_folder() -> Path:
    """Where a user's sets are kept: GAZEHEADS_HEADS, or `gazeheads/heads` of the user's cache."""
    own = os.environ.get("GAZEHEADS_HEADS")
    return Path(own) if own else user_cache() / "heads"


def registered_heads() -> list[RegisteredHeads]:
    """All sets that are kept, the user's first.

    Raises:
        GazeheadsError: a file is damaged, or has no model.
    """
    return [_registered(_read(path), path) for path in _files()]


def _files() -> Iterator[Path]:
    for folder in (user_folder(), PACKAGED):
        yield from sorted(folder.glob("*.json"))


def _registered(heads: HeadSet, path: Path) -> RegisteredHeads:
    return RegisteredHeads(heads, path, by_name=not heads.fingerprint)


def _read(path: Path) -> HeadSet:
    heads = HeadSet.load(path)
    if not heads.fingerprint and not heads.model:
        raise HeadError(f"{path} names no model: it can be no model's registered heads")
    return heads


def heads_registered_for(name: str, fingerprint: str) -> RegisteredHeads | None:
    """The set kept for a model; None if there is none.

    Args:
        name: of the model.
        fingerprint: of its weights.

    Raises:
        GazeheadsError: a file is damaged.
    """
    every = registered_heads()
    for each in every:
        if each.heads.fingerprint == fingerprint:
            return each
    by_name = (each for each in every if each.by_name and each.heads.model == name)
    return next(by_name, None)


def add_heads(path: str | os.PathLike[str], replace: bool = False) -> RegisteredHeads:
    """Keeps a set in the user's cache.

    Args:
        path: of a head-set file.
        replace: put it in the place of one that is kept for the same model there.

    Raises:
        GazeheadsError: the file is no head set of a model, or one is kept already.
    """
    heads = _read(Path(path))
    mark = heads.fingerprint or "by-name"
    target = user_folder() / f"{file_name(heads.model or 'model')}-{mark}.json"
    if target.exists() and not replace:
        raise GazeheadsError(
            f"{target} is kept for {heads.model or 'these weights'} already: add --overwrite to "
            "replace it"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GazeheadsError(f"cannot write {target.parent}: {error.strerror}") from error
    heads.save(target)
    return _registered(heads, target)
