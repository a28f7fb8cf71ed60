"""Wide pictures for models that work at a square: squash, keep, or lay the panels out in a grid.

- "squash": the image is resized to the model's square, aspect ignored (the study's way).
- "keep": the processor does what it does: tiling, stretching to a grid of its own, cropping.
- "grid": the caller lays the panels out in rows before (`strips.layout.relaid`); what is then
  nearly square is squashed where the processor would crop, and kept elsewhere.
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
        FitError: unknown, or squash for a model that takes images of any shape.
    """
    if fit is None:
        return "squash" if family.crops(processor) else "keep"
    if fit not in get_args(Fit):
        raise FitError(f"unknown fit {fit!r}: use {', '.join(get_args(Fit))}")
    if fit == "squash" and family.square(processor) is None:
        raise FitError(f"{family.name} has no square to squash to: use fit='keep'")
    return fit


def fitted(image: Image.Image, fit: Fit, family: Family, processor: Any) -> Image.Image:
    """The image as the processor gets it."""
    square = family.square(processor)
    squash = fit == "squash" or (fit == "grid" and family.crops(processor))
    if not squash or square is None or image.size == square:
        return image
    return image.resize(square, Image.Resampling.BICUBIC)


def in_original(tokens: ImageTokens, sizes: tuple[tuple[int, int], ...]) -> ImageTokens:
    """Tokens of fitted images as tokens of the original ones, of `sizes` = (width, height)."""
    if tokens.sizes == sizes:
        return tokens
    own, shown = np.array(sizes, dtype=np.float64), np.array(tokens.sizes, dtype=np.float64)
    scale = np.tile(own / shown, 2)[tokens.image_index]
    return replace(tokens, boxes=tokens.boxes * scale, sizes=sizes)


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
                "panels out in rows), or fit='keep' with an image that is nearly square"
            )


def loss(tokens: ImageTokens, shown: tuple[tuple[int, int], ...], image: int = 0) -> str:
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
        how += f", squashed to {own_width}x{own_height} ({kept:.0%} of the pixels)"
    return f"{how}, {unseen:.1%} under no image token"
