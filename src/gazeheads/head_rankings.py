"""Rankings of heads from any file, and by name: called what they are, with where they come from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.files import read_text
from gazeheads.heads import Head, HeadError, HeadScores, HeadSet

RANDOM, ALL = "random", "all"
"""Rankings that need no file: living heads in a random order, and every head of the model."""
RECOMMENDED = "recommended_k"
"""Where scores may say in their provenance how many heads to steer."""
_LIST = re.compile(r"\s*L\d+H\d+\s*(,\s*L\d+H\d+\s*)*", re.IGNORECASE)


def read_ranking(path: str | os.PathLike[str]) -> HeadScores | HeadSet:
    """The ranking of a file: scores, a head set, or the study's `gaze_head_ranking.json`.

    A ranking without a name is called by its file.

    Raises:
        GazeheadsError: the file cannot be read.
        HeadError: it holds no heads.
    """
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise GazeheadsError(f"{path} is not a JSON file: {error}") from error
    if isinstance(data, list):
        return _of_study(Path(path), data)
    if isinstance(data, dict) and data.get("kind") == "head-set":
        return HeadSet.load(path)
    return HeadScores.load(path)


def _of_study(path: Path, rows: Sequence[Any]) -> HeadScores:
    """The list of layer, head and score that the study's code writes, best first."""
    try:
        cells = {(int(row["layer"]), int(row["head"])): float(row["score"]) for row in rows}
    except (TypeError, KeyError, ValueError) as error:
        raise HeadError(
            f"{path} is a list but not the study's ranking, whose entries have layer, head and "
            f"score: {error!r}"
        ) from error
    if not cells or min(min(head) for head in cells) < 0:
        raise HeadError(f"{path} names no heads, or one below 0")
    shape = tuple(max(places) + 1 for places in zip(*cells, strict=True))
    if len(cells) < len(rows) or len(cells) < shape[0] * shape[1]:
        raise HeadError(
            f"{path} ranks {len(rows)} heads, not each of {shape[0]} layers x {shape[1]} once"
        )
    scores = np.zeros(shape)
    for head, score in cells.items():
        scores[head] = score
    return HeadScores(scores, name=path.stem, provenance={"file": path.name})


def heads_of_text(text: str) -> HeadSet | None:
    """The heads of a list such as "L3H1,L4H0"; None if it is no such list."""
    if _LIST.fullmatch(text) is None:
        return None
    numbers = re.findall(r"L(\d+)H(\d+)", text, re.IGNORECASE)
    return HeadSet.of([(int(layer), int(head)) for layer, head in numbers], text.strip())


def scores_of_set(heads: HeadSet, living: np.ndarray, file: str = "") -> HeadScores:
    """A head set as a ranking: its heads in their order, all others behind them alike.

    Args:
        heads: of a model of the shape of `living`.
        living: (L, H) bool.
        file: the set comes from; empty: from none.
    """
    scores = np.zeros(living.shape)
    for place, head in enumerate(heads):
        scores[head] = 1 - place / len(heads)
    about = {"model": heads.model, "fingerprint": heads.fingerprint, "file": file}
    provenance = {name: value for name, value in about.items() if value}
    name = heads.name or Path(file).stem or ", ".join(map(str, heads))
    return HeadScores(scores, None, name, {**provenance, RECOMMENDED: len(heads)}, living)


def random_ranking(living: np.ndarray, seed: int) -> HeadScores:
    """The living heads in a random order, the dead ones behind them."""
    drawn = np.random.default_rng(seed).permutation(living.size).reshape(living.shape)
    scores = np.where(living, 1 + drawn, 0) / (living.size + 1)
    return HeadScores(scores, None, "random ranking", {"seed": seed}, living)


def every_head(living: np.ndarray) -> HeadScores:
    """All heads alike; it recommends to steer all of them."""
    heads = HeadSet.of([Head(*place) for place in np.ndindex(*living.shape)], "every head")
    return scores_of_set(heads, living)


def told(scores: HeadScores) -> dict[str, Any]:
    """What a ranking is called and where it comes from, in short, for the settings of a run."""
    short: dict[str, Any] = {}
    for name, value in scores.provenance.items():
        kept = len(value) if name == "strips" and isinstance(value, list) else value
        if name != "questions" and len(json.dumps(kept)) <= 400:
            short[name] = kept
    return {"ranking": scores.name, "provenance": short}
