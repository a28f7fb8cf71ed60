"""What every contender is asked: one strip, the study's questions, and the heads to steer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadSet
from gazeheads.regions import Region

PANELS = 6
NEW_TOKENS = 15
"""The study's length of an answer."""
SIZES = {54: (576, 96), 256: (1024, 256), 384: (1536, 256), 1024: (2048, 512), 4096: (4096, 1024)}
"""Image tokens -> pixels of the strip, for cells of 32 pixels."""


@dataclass(frozen=True)
class Page:
    """One strip as the model sees it, cell for cell.

    Attributes:
        image: of `image_tokens` cells.
        regions: its six panels.
        image_tokens: how many cells.
    """

    image: Image.Image
    regions: tuple[Region, ...]
    image_tokens: int

    @property
    def questions(self) -> list[str]:
        """The six questions of discovery."""
        return [prompts.discovery(k, PANELS) for k in range(1, PANELS + 1)]

    def panel_of_token(self) -> np.ndarray:
        """(T,) panel under the centre of every image token, from 0; row-major."""
        columns, rows = (side // 32 for side in self.image.size)
        across = (np.arange(columns) + 0.5) * PANELS / columns
        return np.tile(across.astype(int), rows)


def draw_pages(count: int, image_tokens: int) -> list[Page]:
    """Held-out strips at the size that gives so many image tokens."""
    width, height = SIZES[image_tokens]
    edges = [round(width * k / PANELS) for k in range(PANELS + 1)]
    regions = tuple(Region.from_box(left, 0, right, height) for left, right in pairwise(edges))
    strips = draw_strips(count, seed=1000, panels=PANELS)
    return [
        Page(strip.image.resize((width, height), Image.Resampling.LANCZOS), regions, image_tokens)
        for strip in strips
    ]


def conditions(layers: int, heads: int, k: int) -> list[HeadSet]:
    """Chosen heads, as many others of the same band of layers, and all heads.

    The band lies where the study found its gaze heads: from 55% to 80% of the depth.
    """
    band = range(round(0.55 * layers), round(0.8 * layers))
    places = [(layer, head) for layer in band for head in range(heads)]
    drawn = np.random.default_rng(0).permutation(len(places))[: 2 * k]
    chosen = [places[int(i)] for i in drawn]
    every = [(layer, head) for layer in range(layers) for head in range(heads)]
    return [HeadSet.of(chosen[:k]), HeadSet.of(chosen[k:]), HeadSet.of(every)]
