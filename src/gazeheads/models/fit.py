"""Wide pictures for models that work at a square: squash, keep, lay panels out in a grid, or crop.

- "squash": the image is resized to the model's square, aspect ignored (the study's way).
- "keep": the processor does what it does: tiling, stretching to a grid of its own, cropping.
- "grid": the caller lays the panels out in rows before (`data.layout.relaid`); what is then
  nearly square is squashed where the processor would crop, and kept elsewhere.
- "crop": the shorter edge is brought to the square's and the middle is kept, as CLIP's processor
  does. What lies beside it is under no token, and looking there is an error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from PIL import Image

from gazeheads.errors import GazeheadsError
from gazeheads.models.families.family import Family, Fit
from gazeheads.regions import ImageTokens

CROPPED = 0.05
"""Share of an image that a processor may cut off before that is an error."""


class FitError(GazeheadsError):
    """A way to fit a picture that the model does not have, or that would drop parts of it."""


def choose_fit(fit: Fit | None, family: Family, processor: Any) -> Fit:
    """The way asked for, or the family's own: squash where the processor would crop, else keep.

    Raises:
        FitError: unknown, or squash or crop for a model that takes images of any shape.
    """
    if fit is None:
        return "squash" if family.crops(processor) else "keep"
    if fit not in get_args(Fit):
        raise FitError(f"unknown fit {fit!r}: use {', '.join(get_args(Fit))}")
    if fit in ("squash", "crop") and family.square(processor) is None:
        raise FitError(f"{family.name} has no square to {fit} to: use fit='keep'")
    return fit


def fitted(image: Image.Image, fit: Fit, family: Family, processor: Any) -> Image.Image:
    """The image as the processor gets it."""
    square = family.square(processor)
    if fit == "crop" and square is not None:
        return _cropped(image, square)
    squash = fit == "squash" or (fit == "grid" and family.crops(processor))
    if not squash or square is None or image.size == square:
        return image
    return image.resize(square, Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, square: tuple[int, int]) -> Image.Image:
    """The middle of an image whose edges were brought to at least the square's."""
    x0, y0, x1, y1 = _middle(image.size, square)
    return image.resize(square, Image.Resampling.BICUBIC, box=(x0, y0, x1, y1))


def _middle(size: tuple[int, int], square: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of an image of `size` that a centre crop to a square's shape keeps."""
    scale = min(size[0] / square[0], size[1] / square[1])
    # rounding must not reach beyond the image
    width, height = min(square[0] * scale, size[0]), min(square[1] * scale, size[1])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height


def in_original(
    tokens: ImageTokens, sizes: tuple[tuple[int, int], ...], fit: Fit = "keep"
) -> ImageTokens:
    """Tokens of fitted images as tokens of the original ones, of `sizes` = (width, height)."""
    if tokens.sizes == sizes:
        return tokens
    parts = np.array([
        _middle(size, shown) if fit == "crop" else (0, 0, *size)
        for size, shown in zip(sizes, tokens.sizes, strict=True)
    ])  # fmt: skip
    shown = np.array(tokens.sizes, dtype=np.float64)
    scale = np.tile((parts[:, 2:] - parts[:, :2]) / shown, 2)[tokens.image_index]
    start = np.tile(parts[:, :2], 2)[tokens.image_index]
    return replace(tokens, boxes=tokens.boxes * scale + start, sizes=sizes)


def check_crop(tokens: ImageTokens, family: Family, processor: Any) -> None:
    """Raises FitError when the processor has cut off a visible part of an image."""
    if not family.crops(processor):
        return
    for number, (width, height) in enumerate(tokens.sizes):
        boxes = tokens.boxes[tokens.image_index == number]
        x0, y0 = np.nanmin(boxes[:, :2], 0)
        x1, y1 = np.nanmax(boxes[:, 2:], 0)
        lost = 1 - (x1 - x0) * (y1 - y0) / (width * height)
        if lost > CROPPED:
            raise FitError(
                f"{family.name}'s processor cuts off {lost:.0%} of an image of {width}x{height} "
                "pixels: use fit='squash' (resize it to the model's square), fit='grid' (lay its "
                "panels out in rows), fit='crop' (do without what is cut off), or fit='keep' with "
                "an image that is nearly square"
            )


def resize_cost(tokens: ImageTokens, shown: tuple[tuple[int, int], ...], image: int = 0) -> str:
    """One line: how an image was fitted, and how much of it no token sees.

    Args:
        tokens: of the prompt, in the original images.
        shown: (width, height) of the images that the processor got.
        image: which image of the prompt.
    """
    (width, height), (own_width, own_height) = tokens.sizes[image], shown[image]
    unseen = float((tokens.coverage(image) < 1e-6).mean())
    how = f"{width}x{height} pixels"
    if shown[image] != tokens.sizes[image]:
        kept = min(1.0, own_width * own_height / (width * height))
        boxes = tokens.boxes[tokens.image_index == image]
        seen = np.nanmax(boxes[:, 2:], 0) - np.nanmin(boxes[:, :2], 0)
        # a crop leaves out whole sides, by more than a row of tokens that falls off an edge
        cut = bool((seen < 0.75 * np.array([width, height])).any())
        verb = "cropped" if cut else "squashed"
        how += f", {verb} to {own_width}x{own_height} ({kept:.0%} of the pixels)"
    return f"{how}, {unseen:.1%} under no image token"
