"""LLaVA-NeXT and LLaVA-OneVision: a base view, then a grid of tiles over the unstretched image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from transformers.image_processing_utils import select_best_resolution
from transformers.models.llava_next.modeling_llava_next import unpad_image

from gazeheads.models.families.cells import Size, cells, clipped, from_edges, nowhere
from gazeheads.models.families.family import Family, Prompt


class LlavaNext(Family):
    """The tiles' grid loses its rows or columns of padding; a newline token ends every row."""

    name = "LLaVA-NeXT"
    model_types: tuple[str, ...] = ("llava_next", "llava_next_video")

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        return [self._of_image(prompt, size) for size in prompt.sizes]

    def _of_image(self, prompt: Prompt, size: Size) -> np.ndarray:
        tile = int(prompt.config.vision_config.image_size)
        patch = int(prompt.config.vision_config.patch_size)
        side = tile // patch
        xs, ys = _grid_edges(size, prompt.pixels.image_grid_pinpoints, tile, patch)
        xs, ys = self._shrunk(prompt, xs, ys, side)
        grid = clipped(from_edges(xs, ys), size).reshape(len(ys), len(xs), 4)
        newlines = nowhere(len(ys))[:, None]
        rows = np.concatenate([grid, newlines], 1).reshape(-1, 4)
        return np.concatenate([cells(self._base(size, tile, patch), side, side), rows])

    def _base(self, size: Size, tile: int, patch: int) -> tuple[float, float, float, float]:
        """The part of the image that the base view's whole patches cover."""
        covered = tile // patch * patch / tile
        return (0.0, 0.0, size[0] * covered, size[1] * covered)

    def _shrunk(
        self, prompt: Prompt, xs: np.ndarray, ys: np.ndarray, side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Edges after the model's limit on the number of tiles; there is none here."""
        del prompt, side
        return xs, ys

    def square(self, processor: Any) -> tuple[int, int]:
        """One tile."""
        pixels = processor.image_processor
        size = pixels.crop_size or pixels.size
        return int(size.width), int(size.height)


class LlavaOnevision(LlavaNext):
    """Beyond a number of tiles the grid is shrunk; several images are one padded view each."""

    name = "LLaVA-OneVision"
    model_types = ("llava_onevision",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        counts = prompt.inputs["batch_num_images"].tolist()
        alone = [count == 1 for count in counts for _ in range(count)]
        return [
            self._of_image(prompt, size) if tiled else self._view(prompt, size)
            for tiled, size in zip(alone, prompt.sizes, strict=False)
        ]

    def _view(self, prompt: Prompt, size: Size) -> np.ndarray:
        """One of several images of a sample: padded to a square, one newline at the end."""
        tile = int(prompt.config.vision_config.image_size)
        patch = int(prompt.config.vision_config.patch_size)
        edge = max(size)
        x, y = (edge - size[0]) // 2, (edge - size[1]) // 2
        x0, y0, x1, y1 = self._base((edge, edge), tile, patch)
        view = cells((x0 - x, y0 - y, x1 - x, y1 - y), tile // patch, tile // patch)
        return np.concatenate([clipped(view, size), nowhere(1)])

    def _shrunk(
        self, prompt: Prompt, xs: np.ndarray, ys: np.ndarray, side: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the coarser grid that the model interpolates to."""
        most = int(prompt.config.vision_aspect_ratio.rpartition("_")[2])
        ratio = math.sqrt(len(xs) * len(ys) / (most * side**2))
        if ratio <= 1.1:  # the model's own threshold
            return xs, ys
        return _coarser(xs, int(len(xs) // ratio)), _coarser(ys, int(len(ys) // ratio))


def _grid_edges(
    size: Size, resolutions: list[list[int]], tile: int, patch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Original coordinates of the columns and rows of the unpadded grid of features."""
    width, height = size
    canvas_height, canvas_width = select_best_resolution((height, width), resolutions)
    # the image keeps its aspect on the canvas, rounded up to whole pixels
    scale = min(canvas_width / width, canvas_height / height)
    shown_width = min(math.ceil(width * scale), canvas_width)
    shown_height = min(math.ceil(height * scale), canvas_height)
    xs = _axis(canvas_width, shown_width, width, tile, patch)
    ys = _axis(canvas_height, shown_height, height, tile, patch)
    # the model's own rule says which rows and columns of padding it drops
    index = torch.arange(len(ys) * len(xs)).reshape(1, len(ys), len(xs))
    kept = unpad_image(index, (height, width))[0]
    if not kept.numel():  # an image so thin that only the ends of rows are left
        return xs[: kept.shape[1]], ys[: kept.shape[0]]
    top, left = divmod(int(kept[0, 0]), len(xs))
    return xs[left : left + kept.shape[1]], ys[top : top + kept.shape[0]]


def _axis(canvas: int, resized: int, original: int, tile: int, patch: int) -> np.ndarray:
    """(n, 2) original coordinates of the features along one axis of the canvas."""
    side = tile // patch
    feature = np.arange(canvas // tile * side)
    starts = feature // side * tile + feature % side * patch - (canvas - resized) // 2
    return np.stack([starts, starts + patch], -1) * original / resized


def _coarser(edges: np.ndarray, count: int) -> np.ndarray:
    """(count, 2) edges after interpolating (n, 2) ones; neighbours blend in by up to a cell."""
    at = np.linspace(0, len(edges), count + 1)
    lines = np.interp(at, np.arange(len(edges) + 1), [*edges[:, 0], edges[-1, 1]])
    return np.stack([lines[:-1], lines[1:]], -1)
