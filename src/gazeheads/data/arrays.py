"""Pictures given as arrays or tensors: which axis holds the colours, and what is white."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from gazeheads.data.colour import ImageError, Notes, divided, float_scale, on_white

CHANNELS = (1, 3, 4)


def numbers(value: Any) -> np.ndarray:
    """A numpy array of an array or tensor of any library, on any device.

    Raises:
        TypeError, ValueError: it is nothing of the kind.
    """
    if hasattr(value, "detach"):  # a torch tensor, which may need gradients or be on a GPU
        value = value.detach().cpu()
        if value.dtype.is_floating_point:
            value = value.float()  # numpy has no bfloat16
    return np.asarray(value)


def image_of(array: Any, notes: Notes) -> Image.Image:
    """An RGB image of an array or tensor.

    Args:
        array: (H, W), (H, W, C) or (C, H, W) with C of 1 (grey), 3 (RGB) or 4 (RGB and alpha); if
            both could be meant, the channels of a tensor come first and those of an array last.
            bool; uint8; uint16, of which 65535 is white; other whole numbers of either range;
            floats of 0 to 1 or of 0 to 255.
        notes: gets a line for what looks like a mistake.

    Raises:
        ImageError: other shapes, types or ranges.
    """
    tensor = hasattr(array, "detach")
    try:
        pixels = numbers(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ImageError(f"cannot read pixels from a {type(array).__name__}: {error}") from error
    pixels = _channels_last(pixels, tensor)
    levels = _levels(pixels, notes)
    if levels.shape[2] == 1:
        return Image.fromarray(levels[..., 0]).convert("RGB")
    colours = Image.fromarray(np.ascontiguousarray(levels[..., :3]))
    if levels.shape[2] == 3:
        return colours
    return on_white(colours, Image.fromarray(np.ascontiguousarray(levels[..., 3])))


def _channels_last(pixels: np.ndarray, tensor: bool) -> np.ndarray:
    shape = pixels.shape
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif pixels.ndim == 3 and (tensor or shape[2] not in CHANNELS) and shape[0] in CHANNELS:
        pixels = pixels.transpose(1, 2, 0)
    elif pixels.ndim != 3 or shape[2] not in CHANNELS:
        batch = "; give the pictures of a batch one by one" if pixels.ndim == 4 else ""
        raise ImageError(
            f"an array of shape {shape} is no picture: want (H, W), (H, W, C) or (C, H, W) with "
            f"1, 3 or 4 channels{batch}"
        )
    if 0 in pixels.shape:
        raise ImageError(f"an array of shape {shape} has no pixels")
    return pixels


def _levels(pixels: np.ndarray, notes: Notes) -> np.ndarray:
    """uint8 of pixels of any type."""
    kind = pixels.dtype.kind
    if kind == "b":
        return pixels.astype(np.uint8) * 255
    if kind == "f":
        scale = float_scale(pixels)
        if scale is None:
            raise ImageError(
                f"float pixels from {pixels.min():.4g} to {pixels.max():.4g}: want 0 to 1 or 0 to "
                "255 (undo a processor's normalisation first)"
            )
        return (np.clip(pixels.astype(np.float64) * scale, 0, 255) + 0.5).astype(np.uint8)
    if kind not in "ui":
        raise ImageError(f"an array of type {pixels.dtype} is no picture: want numbers")
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise ImageError(f"pixels from {low} to {high}: want 0 to 255, or 0 to 65535 for 16 bits")
    deep = pixels.dtype == np.uint16 or high > 255
    colours = pixels[..., :3]
    brightest = int(colours.max())
    if 0 < brightest <= (255 if deep else 1):
        notes.append(
            f"{pixels.dtype} pixels whose brightest value is {brightest} of "
            f"{65535 if deep else 255} show as black: scale them first"
        )
    return divided(pixels) if deep else pixels.astype(np.uint8)
