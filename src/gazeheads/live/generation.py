"""One text while it is written: its heads and its target can be moved, its attention is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gazeheads.boxes import grid_boxes, lattice
from gazeheads.heads import Head, HeadSet
from gazeheads.live.messages import Start
from gazeheads.regions import ImageTokens, Region
from gazeheads.steering import LiveSteering, LiveValue, Steering

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.continuous import Token

EQUAL = 1.0
"""Pixels by which tokens may differ from equal cells of the picture and be drawn as such."""
RECORDED = 4_000_000
"""Attention values read per token at most: bounds the heads watched."""


@dataclass(frozen=True, eq=False)
class LiveToken:
    """One new token.

    Attributes:
        text: what it adds.
        region: what the heads were pointed at, None if unsteered.
        attention: (T,) mass per image token in reading order, mean over the steered heads (as
            many of the best while nothing is steered); empty if none of them is watched.
        grid: rows and columns of the image tokens; (1, T) where they form no grid.
        boxes: (T, 4) of the tokens in pixels, in the same order, where they form no grid, as those
            of tiles beside a small whole; None: they do.
    """

    text: str
    region: Region | None
    attention: np.ndarray
    grid: tuple[int, int]
    boxes: np.ndarray | None = None


class LiveGeneration:
    """A text about one picture: what is asked of the model, and what is shown of its tokens.

    Heads, region and strength may be changed by any thread and act together on the next token.

    Attributes:
        request: to be written.
    """

    def __init__(self, vlm: VLM, image: Image.Image, start: Start, ranking: Sequence[Head]) -> None:
        """Encodes the prompt; nothing is generated yet.

        Args:
            vlm: the model.
            image: the picture.
            start: what was asked for.
            ranking: every head, best first.

        Raises:
            GazeheadsError: a head does not exist, a region lies outside, the prompt is refused.
        """
        from gazeheads.models.continuous import TextRequest  # noqa: PLC0415 - loads torch
        from gazeheads.models.generate import Decoding  # noqa: PLC0415 - loads torch

        self._shape = (vlm.num_layers, vlm.num_heads)
        self._ranking = ranking
        self._live = LiveSteering()
        self._known: dict[str, Region] = {}
        encoded = vlm.encode(image, start.prompt)
        self._tokens = encoded.tokens
        self._order, self.grid, self._boxes = reading_order(encoded.tokens)
        self.steer(start)
        most = max(1, RECORDED // len(self._tokens))
        watched = tuple(dict.fromkeys([*(self._live.value.heads or ()), *ranking]))[:most]
        self._rows = {head: row for row, head in enumerate(watched)}
        steering = Steering(HeadSet(()), self._live)
        decoding = Decoding(max_new_tokens=start.max_tokens)
        self.request = TextRequest(encoded, steering, decoding, watched)

    def steer(self, start: Start) -> None:
        """Points its heads at its region with its strength, and no others, from the next token on.

        Raises:
            RegionError: it lies outside the picture or covers no image token.
            HeadError: a head does not exist.
        """
        region, steered = start.region, HeadSet.of(start.heads)
        steered.check(*self._shape)
        if region is not None:
            self._tokens.indices(region)
            self._known[region.name] = region
        self._live.set(heads=steered, region=region, delta=start.delta)

    def shown(self, token: Token) -> LiveToken:
        """A token as the page shows it."""
        region = self._known[token.region] if token.region else None
        seen = self._attention(token.attention, self._live.value)
        return LiveToken(token.text, region, seen, self.grid, self._boxes)

    def _attention(self, attention: np.ndarray | None, value: LiveValue) -> np.ndarray:
        """(T,) mean over the steered heads, in reading order; else over as many of the best."""
        steered = value.heads or HeadSet(())
        chosen = steered.heads if value.region is not None else ()
        chosen = chosen or tuple(self._ranking[: max(1, len(steered))])
        rows = [self._rows[head] for head in chosen if head in self._rows]
        if attention is None or not rows:
            return np.zeros(0, np.float32)
        values: np.ndarray = attention[rows].mean(0)[self._order].astype(np.float32)
        return values


def reading_order(tokens: ImageTokens) -> tuple[np.ndarray, tuple[int, int], np.ndarray | None]:
    """Which tokens stand for a part of the picture, row by row.

    Tokens without a box (row ends, separators) are left out.

    Returns:
        Their indices; their rows and columns if they are equal cells of the whole picture, else
        (1, T); and else their (T, 4) boxes.
    """
    real = np.flatnonzero(~np.isnan(tokens.boxes[:, 0]))
    boxes = tokens.boxes[real]
    found = lattice(boxes)
    if found is not None:
        order, (rows, columns) = found
        equal = grid_boxes(tokens.sizes[0], columns, rows)
        if np.allclose(boxes[order], equal, atol=EQUAL):
            return real[order], (rows, columns), None
    order = np.lexsort((boxes[:, 0], boxes[:, 1]))
    return real[order], (1, len(real)), boxes[order]
