"""Families that bring every image to one square: LLaVA-1.5, FastVLM, PaliGemma, Gemma 3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gazeheads.models.families.cells import Size, cells, clipped, from_edges, pixel_size, whole
from gazeheads.models.families.family import Family, FamilyError, Prompt
from gazeheads.models.families.mistral import is_pixtral


class Llava(Family):
    """Resize, then a centre crop or padding to a square: pixels outside the crop have no token."""

    name = "LLaVA"
    model_types: tuple[str, ...] = ("llava", "vipllava")

    def handles(self, config: Any) -> bool:
        """A LLaVA with Pixtral's tower cuts nothing off: it is another family's."""
        return super().handles(config) and not is_pixtral(config)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        patch = int(prompt.processor.patch_size)
        return [_seen(prompt.pixels, size, patch) for size in prompt.sizes]

    def square(self, processor: Any) -> tuple[int, int]:
        """What is left of an image after the crop."""
        return _canvas(processor.image_processor)

    def crops(self, processor: Any) -> bool:
        """Whether a long image loses its ends."""
        pixels = processor.image_processor
        return bool(pixels.do_center_crop) and not getattr(pixels, "do_pad", False)


class FastVlm(Llava):
    """LLaVA's rule; the hybrid encoder's cells are nominal, its field of view is almost global."""

    name = "FastVLM"
    model_types = ("fast_vlm",)


def _canvas(pixels: Any) -> Size:
    """(width, height) of the pixel input."""
    size = pixels.crop_size if pixels.do_center_crop else pixels.size
    if not size.height or not size.width:
        raise FamilyError(f"the image processor makes inputs of no fixed size: {pixels.size}")
    return int(size.width), int(size.height)


def _seen(pixels: Any, size: Size, patch: int) -> np.ndarray:
    """Boxes of the patches of one image, through padding, resize and centre crop."""
    width, height = size
    canvas = _canvas(pixels)
    left = top = 0
    padded: Size = size
    if getattr(pixels, "do_pad", False):
        side = max(size)
        left, top, padded = (side - width) // 2, (side - height) // 2, (side, side)
    resized = _resized(pixels, padded)
    xs = _edges(canvas[0], resized[0], padded[0], patch) - left
    ys = _edges(canvas[1], resized[1], padded[1], patch) - top
    return clipped(from_edges(xs, ys), size)


def _resized(pixels: Any, size: Size) -> Size:
    """(width, height) after the processor's resize."""
    wanted = pixels.size
    if not pixels.do_resize:
        return size
    if wanted.height and wanted.width:
        return int(wanted.width), int(wanted.height)
    short, long = min(size), max(size)
    edge = int(wanted.shortest_edge)
    stretched = int(edge * long / short)
    return (edge, stretched) if size[0] <= size[1] else (stretched, edge)


def _edges(canvas: int, resized: int, original: int, patch: int) -> np.ndarray:
    """(n, 2) original coordinates of the patches along one axis of the pixel input."""
    # a crop rounds down, padding of a too small image too
    offset = (resized - canvas) // 2 if resized >= canvas else -((canvas - resized) // 2)
    starts = (np.arange(canvas // patch) * patch + offset) * original / resized
    return np.stack([starts, starts + patch * original / resized], -1)


class DeepseekVL(Family):
    """The longer edge is brought to the square's, the rest is padding with no part of the image."""

    name = "DeepSeek-VL, Janus"
    model_types = ("deepseek_vl", "janus")

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        side = math.isqrt(int(prompt.processor.num_image_tokens))
        edge, least = pixel_size(prompt.processor)[0], int(prompt.pixels.min_size)
        return [_padded(size, edge, least, side) for size in prompt.sizes]

    def square(self, processor: Any) -> tuple[int, int]:
        """The pixel input."""
        return pixel_size(processor)


def _padded(size: Size, edge: int, least: int, side: int) -> np.ndarray:
    """Boxes of the cells of a padded square, row by row."""
    scale = edge / max(size)
    resized = [max(round(each * scale), least) for each in size]
    lines = np.arange(side + 1) * edge / side
    axes = [
        (lines - (edge - length) // 2) * original / length
        for length, original in zip(resized, size, strict=True)
    ]
    xs, ys = (np.stack([axis[:-1], axis[1:]], -1) for axis in axes)
    return clipped(from_edges(xs, ys), size)


class PaliGemma(Family):
    """One stretched square; the whole prompt is one bidirectional block, so no prefix is shared."""

    name = "PaliGemma"
    model_types = ("paligemma",)
    shares_prefix = False
    text_keys = ("token_type_ids",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        side = math.isqrt(int(prompt.processor.image_seq_length))
        return [cells(whole(size), side, side) for size in prompt.sizes]

    def square(self, processor: Any) -> tuple[int, int]:
        """The pixel input."""
        return pixel_size(processor)

    def text(self, processor: Any, messages: list[dict[str, Any]], **template: Any) -> str:
        """Images first, then the bare text: these models were trained without a conversation."""
        del template
        parts = [part for message in messages for part in message["content"]]
        images = sum(part["type"] == "image" for part in parts)
        words = " ".join(part["text"] for part in parts if part["type"] == "text")
        text: str = processor.image_token * images + words
        return text

    def positions(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        rows: Sequence[Mapping[str, torch.Tensor]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Counted from 1; see `Family.positions`."""
        positions, following = super().positions(model, ids, mask, rows)
        return positions + 1, following + 1


class Gemma3(Family):
    """One stretched square, and with pan-and-scan further squares that cut the image up."""

    name = "Gemma 3"
    model_types = ("gemma3",)
    text_keys = ("token_type_ids",)

    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """See `Family.boxes`."""
        count = int(prompt.processor.image_seq_length)
        side = math.isqrt(count)
        squares, images = len(prompt.positions) // count, len(prompt.sizes)
        if squares == images:
            return [cells(whole(size), side, side) for size in prompt.sizes]
        if images > 1:
            raise FamilyError("pan-and-scan with several images is not supported: use one image")
        (size,) = prompt.sizes
        crops = [cells(box, side, side) for box in _scanned(size, squares - 1)]
        return [np.concatenate([cells(whole(size), side, side), *crops])]

    def square(self, processor: Any) -> tuple[int, int]:
        """The pixel input."""
        return pixel_size(processor)


def _scanned(size: Size, count: int) -> list[tuple[float, float, float, float]]:
    """The crops of pan-and-scan: strips across the longer side, the last may be narrower."""
    width, height = size
    if width >= height:
        step = math.ceil(width / count)
        return [(n * step, 0, min((n + 1) * step, width), height) for n in range(count)]
    step = math.ceil(height / count)
    return [(0, n * step, width, min((n + 1) * step, height)) for n in range(count)]
