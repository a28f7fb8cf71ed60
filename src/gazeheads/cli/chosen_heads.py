"""The heads an experiment is asked to test: a file of any kind, heads by name, random ones, all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.cli.resolve import heads_of
from gazeheads.errors import GazeheadsError
from gazeheads.head_rankings import (
    ALL,
    RANDOM,
    every_head,
    heads_of_text,
    random_ranking,
    read_ranking,
    scores_of_set,
)
from gazeheads.heads import HeadScores, HeadSet

if TYPE_CHECKING:
    from gazeheads.models import VLM


class ChosenHeads:
    """What `--heads` of an experiment names; a file is read at once, before a model is loaded.

    Raises:
        GazeheadsError: it is no file of heads, no list of heads, and not `random` or `all`.
    """

    def __init__(self, named: str, seed: int, anyway: bool) -> None:
        self._named, self._seed, self._anyway = named, seed, anyway
        self._found: HeadScores | HeadSet | None = None
        if named in (RANDOM, ALL):
            return
        self._found = heads_of_text(named)
        if self._found is None:
            if not Path(named).exists():
                raise GazeheadsError(
                    f"--heads {named}: no such file, and no heads such as L3H1,L4H0, random or all"
                )
            self._found = read_ranking(named)

    def scores_for(self, vlm: VLM) -> HeadScores:
        """The ranking for a model.

        Raises:
            HeadError: it is of a model of another shape, or of other weights.
        """
        living = vlm.living_heads()
        if isinstance(self._found, HeadScores):
            scores = heads_of(vlm, self._found, self._anyway)
            unknown = scores.living is None  # in files of 0.1 and of the study
            return replace(scores, living=living) if unknown else scores
        named = self._found
        return self._ranking(heads_of(vlm, named, self._anyway) if named else None, living)

    def before_loading(self, shape: tuple[int, int]) -> HeadScores:
        """The ranking for a model of that many layers and heads, as if all heads lived."""
        if isinstance(self._found, HeadScores):
            return self._found
        return self._ranking(self._found, np.ones(shape, dtype=bool))

    def _ranking(self, heads: HeadSet | None, living: np.ndarray) -> HeadScores:
        """Heads that were named as a ranking, or one that needs no names."""
        if heads is None:
            every = self._named == ALL
            return every_head(living) if every else random_ranking(living, self._seed)
        file = "" if self._named == heads.name else Path(self._named).name
        return scores_of_set(heads, living, file)
