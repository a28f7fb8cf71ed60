"""Training batches: images of one layout, with questions of several kinds about each."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from gazeheads.data.drawn.scenes import Scene, draw_scene
from gazeheads.data.strip import SEAM, paint_label
from gazeheads.tiny.model import CELL, MAX_PIXELS, MIN_PIXELS
from gazeheads.tiny.packing import Packed, Packer
from gazeheads.tiny.panel_cache import PANEL, PanelCache
from gazeheads.tiny.questions import (
    QA,
    Page,
    narration_question,
    strip_question,
)
from gazeheads.tiny.scene_questions import scene_page, scene_question

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "123456789"
SCENE = 256


@dataclass(frozen=True)
class Sheet:
    """Strips of one layout: pixels (B, 3, H, W) uint8 and what is on them."""

    images: Tensor
    pages: tuple[Page, ...]
    rows: int
    columns: int


@dataclass(frozen=True)
class Scenes:
    """Scenes: pixels (B, 3, H, W) uint8 and what is in them."""

    images: Tensor
    scenes: tuple[Scene, ...]


@dataclass(frozen=True)
class TrainingBatch:
    """Strips or scenes with the packed questions about them."""

    shown: Sheet | Scenes
    packed: Packed


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Attributes:
        until: Share of the training at which the stage ends.
        panels: How often strips of each length are drawn.
        scenes: Share of batches that are scenes.
        labelled: Share of strip batches with painted labels.
        narrations: Share of strip batches that hold a narration.
        grids: Share of strip batches laid out in a grid.
        small: Share of strips of fewer than six panels drawn with panels of 96 px.
        short: Share of questions about strips that ask for one attribute: short answers teach
            pointing fastest.
        existence: Share of the other questions that ask whether something can be seen.
        plain: Share of strips whose panels are only ever called "panel k": pointing is learned
            with one wording first.
        tokens: Sequence length that questions are packed into.
    """

    until: float
    panels: tuple[tuple[int, float], ...]
    scenes: float
    labelled: float
    narrations: float
    grids: float
    small: float
    short: float
    existence: float
    plain: float
    tokens: int


ENCODER_STAGE = Stage(
    1.0, ((1, 0.11), (2, 0.15), (3, 0.1), (4, 0.1), (5, 0.09), (6, 0.28), (7, 0.05), (8, 0.12)),
    0.2, 0.6, 0.0, 0.12, 0.4, 0.0, 0.0, 0.0, 0,
)  # fmt: skip
"""What the image encoder is trained on before it meets the language model."""
_EVERYTHING = (
    ((1, 0.04), (2, 0.09), (3, 0.08), (4, 0.12), (5, 0.11), (6, 0.36), (7, 0.08), (8, 0.12)),
    0.18, 0.2, 0.4, 0.06, 0.35, 0.15, 0.25, 0.0, 240,
)  # fmt: skip
CURRICULUM = (
    Stage(0.06, ((1, 1.0),), 0.1, 0.1, 0.0, 0.0, 1.0, 0.3, 0.1, 1.0, 90),
    Stage(
        0.50, ((2, 0.4), (3, 0.4), (4, 0.2)), 0.06, 0.05, 0.03, 0.0, 1.0, 0.8, 0.0, 0.95, 120
    ),
    Stage(
        0.65, ((2, 0.1), (3, 0.2), (4, 0.2), (6, 0.5)),
        0.1, 0.1, 0.12, 0.03, 0.7, 0.6, 0.0, 0.4, 180,
    ),
    Stage(
        0.75, ((1, 0.3), (2, 0.25), (3, 0.2), (6, 0.25)),
        0.15, 0.5, 0.1, 0.03, 0.7, 0.1, 0.5, 0.0, 150,
    ),
    Stage(0.92, *_EVERYTHING),
    Stage(
        0.955, ((1, 0.35), (2, 0.25), (3, 0.15), (6, 0.25)),
        0.1, 0.1, 0.15, 0.03, 0.7, 0.05, 0.6, 0.0, 150,
    ),
    Stage(1.0, *_EVERYTHING),
)  # fmt: skip


def stage_at(share: float) -> Stage:
    """The stage of the curriculum when ``share`` of the training is done."""
    return next((stage for stage in CURRICULUM if share < stage.until), CURRICULUM[-1])


def fitted(width: int, height: int) -> tuple[int, int]:
    """Size in pixels that the processor gives an image: multiples of 32 within the limits."""
    rows, columns = smart_resize(height, width, CELL, MIN_PIXELS, MAX_PIXELS)
    return columns, rows


class BatchMaker:
    """Draws batches for one training process; deterministic in its seed and the calls made.

    Processes that share a seed draw batches of the same layout at every step, so that none waits
    long for another; what the batches show depends on the process.
    """

    def __init__(self, cache: PanelCache, packer: Packer, seed: tuple[int, ...], process: int = 0):
        self._cache = cache
        self._packer = packer
        self._layout = random.Random(repr(seed))
        self._numbers = np.random.default_rng((*seed, process))
        self._words = random.Random(repr((seed, process)))

    def draw(self, stage: Stage, images: int) -> TrainingBatch:
        """One batch of the stage, with questions."""
        shown = self.show(stage, images)
        if isinstance(shown, Scenes):
            pages = [scene_page(scene) for scene in shown.scenes]
            return self._batch(shown, pages, scene_question, None, stage.tokens)
        panels = shown.rows * shown.columns
        labelled = shown.pages[0].labels is not None
        narrate = panels > 1 and not labelled and self._layout.random() < stage.narrations
        narration = narration_question if narrate else None
        ask = partial(strip_question, short=stage.short, existence=stage.existence)
        return self._batch(shown, shown.pages, ask, narration, stage.tokens)

    def show(self, stage: Stage, images: int) -> Sheet | Scenes:
        """Images of the stage, strips or scenes, without questions."""
        if self._layout.random() < stage.scenes:
            return self._scenes(images)
        return self._sheet(stage, images)

    def _sheet(self, stage: Stage, images: int) -> Sheet:
        lengths, weights = zip(*stage.panels, strict=True)
        panels = self._layout.choices(lengths, weights)[0]
        labelled = self._layout.random() < stage.labelled
        columns = self._columns(panels, stage)
        strips = [self._strip(panels, columns, labelled, stage.plain) for _ in range(images)]
        size = self._size(panels, columns, stage)
        pixels = resized([image for image, _ in strips], size)
        return Sheet(pixels, tuple(page for _, page in strips), panels // columns, columns)

    def _scenes(self, images: int) -> Scenes:
        scenes = [draw_scene(self._numbers, (SCENE, SCENE)) for _ in range(images)]
        pixels = resized([np.asarray(scene.image) for scene in scenes], fitted(SCENE, SCENE))
        return Scenes(pixels, tuple(scenes))

    def _columns(self, panels: int, stage: Stage) -> int:
        grids = {4: (2,), 6: (2, 3), 8: (4,)}.get(panels)
        if grids and self._layout.random() < stage.grids:
            return self._layout.choice(grids)
        return panels

    def _size(self, panels: int, columns: int, stage: Stage) -> tuple[int, int]:
        """What the processor makes of the study's 256 px panels, or small panels for speed."""
        rows = panels // columns
        if rows == 1 and panels < 6 and self._layout.random() < stage.small:
            return (96 * panels, 96)
        return fitted(256 * columns, 256 * rows)

    def _strip(
        self, panels: int, columns: int, labelled: bool, plain: float
    ) -> tuple[np.ndarray, Page]:
        chosen = self._cache.draw(self._numbers, panels)
        rows = panels // columns
        canvas = np.empty((rows * PANEL, columns * PANEL, 3), np.uint8)
        labels = None
        if labelled:
            signs = LETTERS if self._words.random() < 0.7 else DIGITS
            labels = tuple(self._words.sample(signs, panels))
        for position, index in enumerate(chosen):
            panel = self._cache.panels[index]
            if self._words.random() < 0.5:
                panel = panel[:, ::-1]
            if labels:
                panel = np.asarray(paint_label(Image.fromarray(panel), labels[position]))
            row, column = divmod(position, columns)
            y, x = row * PANEL, column * PANEL
            canvas[y : y + PANEL, x : x + PANEL] = panel
        seam = round(SEAM * PANEL / 256 / 2)
        for x in range(PANEL, columns * PANEL, PANEL):
            canvas[:, x - seam : x + seam] = 255
        for y in range(PANEL, rows * PANEL, PANEL):
            canvas[y - seam : y + seam] = 255
        truths = tuple(self._cache.truths[index] for index in chosen)
        return canvas, Page(truths, labels, rows == 1, self._words.random() < plain)

    def _batch(
        self,
        shown: Sheet | Scenes,
        pages: Sequence[Any],
        ask: Callable[..., QA],
        narrate: Callable[..., QA] | None,
        tokens: int,
    ) -> TrainingBatch:
        grid = (shown.images.shape[2] // CELL, shown.images.shape[3] // CELL)
        prefix = self._packer.prefix_length(grid)
        rows = []
        for page in pages:
            row = [narrate(self._words, page)] if narrate else []
            used = prefix + sum(self._packer.segment_length(qa) for qa in row)
            while True:
                qa = ask(self._words, page)
                used += self._packer.segment_length(qa)
                if row and used > tokens:
                    break
                row.append(qa)
            rows.append(row)
        return TrainingBatch(shown, self._packer.pack(rows, grid))


def resized(images: Sequence[np.ndarray], size: tuple[int, int]) -> Tensor:
    """Stack images (H, W, 3) and resize them to (width, height) as the processor would."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    width, height = size
    if pixels.shape[2:] == (height, width):
        return pixels
    return F.interpolate(
        pixels, (height, width), mode="bicubic", antialias=True, align_corners=False
    )
