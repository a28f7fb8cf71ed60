"""The caption judge: which panel's caption an answer means, by sentence embeddings; offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges.embedding import EMBEDDER, Embed, sentence_embedder
from gazeheads.judges.verdict import JUNK, TIE, Verdict
from gazeheads.judges.wording import is_junk, without_numbering

FLOOR = 0.25
"""An answer less similar than this to every caption is about no panel."""
MARGIN = 0.02
"""Panels this close to the most similar one are described just as well."""


class CaptionJudge:
    """Compares the meaning of an answer with the captions of every panel.

    A panel is as similar as the most similar of its captions (cosine of sentence embeddings, from
    -1 to 1). The most similar panel is the described one. Below the floor the answer is junk;
    with another panel within the margin it is a tie. Empty answers, loops and bare numbers are
    junk without a look at the captions.

    Args:
        floor, margin: see `FLOOR` and `MARGIN`, which `gazeheads calibrate` found.
        embed: turns texts into vectors; default: the shipped model.
    """

    name = "caption"

    def __init__(
        self, floor: float = FLOOR, margin: float = MARGIN, embed: Embed | None = None
    ) -> None:
        self.floor, self.margin = floor, margin
        self._embed = embed or sentence_embedder()

    @property
    def about(self) -> dict[str, Any]:
        """The limits and the embedding model."""
        return {"floor": self.floor, "margin": self.margin, "embedder": EMBEDDER}

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        """One verdict per answer.

        Raises:
            GazeheadsError: the strip has no captions.
        """
        _captions(strip)  # a strip without captions is told even if there is nothing to judge
        if not answers:
            return []
        rows = self.similarities(strip, answers)
        return [
            verdict_of(answer, row, self.floor, self.margin)
            for answer, row in zip(answers, rows, strict=True)
        ]

    def similarities(self, strip: Strip, answers: Sequence[str]) -> np.ndarray:
        """(answers, panels) cosine of every answer and the nearest caption of every panel."""
        said = _captions(strip)
        texts = [without_numbering(answer).strip() for answer in answers]
        flat = [caption for wordings in said for caption in wordings]
        vectors = self._embed([*texts, *flat])
        cosines = vectors[: len(texts)] @ vectors[len(texts) :].T
        ends = np.cumsum([len(wordings) for wordings in said])[:-1]
        panels = [part.max(axis=1) for part in np.split(cosines, ends, axis=1)]
        return np.stack(panels, axis=1)


def verdict_of(answer: str, row: np.ndarray, floor: float, margin: float) -> Verdict:
    """The verdict that the similarities of an answer to the panels give."""
    best = int(row.argmax())
    if is_junk(answer) or row[best] < floor:
        return JUNK
    rivals = int((row >= row[best] - margin).sum())
    return Verdict(best + 1, "described") if rivals == 1 else TIE


def _captions(strip: Strip) -> tuple[tuple[str, ...], ...]:
    if strip.captions is None or not all(strip.captions):
        raise GazeheadsError(
            f"strip {strip.id!r} has no caption for every panel (captions.jsonl), "
            "so the caption judge cannot judge answers about it: choose --judge llm"
        )
    return strip.captions
