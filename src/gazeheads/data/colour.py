"""From the pixels of any mode, depth and profile to 8-bit RGB on white.

| found | becomes |
|---|---|
| 16-bit grey (`I;16`) | divided by 257: 65535 is white |
| whole numbers (`I`) | to 255 as they are, to 65535 divided by 257, others by their range, said |
| float grey (`F`) | 0 to 1 times 255, 0 to 255 as they are, others by their range, said |
| transparency, in a channel, a palette or as one colour of the file | white behind it |
| a colour profile | converted to sRGB; said if it does not fit the picture |
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gazeheads.errors import GazeheadsError

Notes = list[str]
"""What is said to the user about one picture."""

DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
SLACK = 0.1
"""Share of the range by which float pixels may overshoot it, as after resampling."""
DARK_16_BIT = 4095
"""Brightest value of 16-bit grey that rather holds 12 bits."""
_LEAST_OF_255 = 5.0
"""A float picture whose brightest value lies between 1 and this is in no known range."""
_PHOTOMETRIC = 262
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Colour space of a profile -> mode of the pixels that it describes."""


class ImageError(GazeheadsError):
    """An image that cannot be read."""


def to_rgb(image: Image.Image, key: Any, notes: Notes) -> Image.Image:
    """A loaded image of any mode as RGB, on white where it is transparent.

    Args:
        image: as Pillow read it.
        key: the colour that stands for transparent, in the unit of the pixels; None: what
            `image.info` says.
        notes: gets a line for everything that was guessed or left out.

    Raises:
        ImageError: pixels that are not numbers, or a range of one value.
    """
    if image.mode in ("RGBa", "La"):  # colours that were multiplied by their alpha
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    alpha = _alpha(image, key)
    profile = image.info.get("icc_profile")
    if image.mode in DEEP:
        image = Image.fromarray(_deep_grey(image, notes))
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if alpha is not None else "RGB").convert("RGB")
    elif image.mode == "LA":
        image = image.getchannel("L")
    elif image.mode in ("1", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    colours = _in_srgb(image, profile, notes)
    if alpha is None:
        return colours
    return on_white(colours, alpha)


def on_white(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    """An RGB image over white, by an L image of how opaque it is."""
    white = Image.new("RGB", colours.size, "white")
    return Image.composite(colours, white, alpha)


def _alpha(image: Image.Image, key: Any) -> Image.Image | None:
    """L image of opacity; None if all of the image is opaque."""
    if image.mode in ("RGBA", "LA"):
        return image.getchannel("A")
    if image.mode in ("P", "PA"):
        if not image.has_transparency_data:
            return None
        return image.convert("RGBA").getchannel("A")
    key = image.info.get("transparency") if key is None else key
    if key is None or image.mode not in ("1", "L", "RGB", *DEEP):
        return None
    pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    colour = np.asarray(key if isinstance(key, int | tuple) else tuple(key))
    if colour.shape != pixels.shape[2:]:
        return None
    same = pixels == colour
    clear = same.all(-1) if same.ndim == 3 else same
    return Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))


def _deep_grey(image: Image.Image, notes: Notes) -> np.ndarray:
    """(H, W) uint8 of an image of a mode in `DEEP`."""
    values = np.asarray(image)
    if image.mode == "F":
        return _float_grey(values, notes)
    low, high = int(values.min()), int(values.max())
    if image.mode != "I":
        tags = getattr(image, "tag_v2", {})
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow turns for 8 bits only
            values, high = 65535 - values, 65535 - low
        if 0 < high <= DARK_16_BIT:
            notes.append(
                f"16-bit grey whose brightest value is {high} of 65535 is shown as dark as that: "
                "if it holds fewer bits, scale its values first"
            )
        return divided(values)
    if low >= 0 and high <= 65535:
        deep = high > 255 or image.format == "PNG"
        return divided(values) if deep else values.astype(np.uint8)
    return _by_range(values.astype(np.float64), notes)


def _float_grey(values: np.ndarray, notes: Notes) -> np.ndarray:
    scale = float_scale(values)
    if scale is None:
        return _by_range(values.astype(np.float64), notes)
    return (np.clip(values * scale, 0, 255) + 0.5).astype(np.uint8)


def float_scale(values: np.ndarray) -> float | None:
    """What brings float pixels to 0 to 255: 255 or 1; None if they lie in neither range.

    Raises:
        ImageError: some are no numbers.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ImageError("the picture's pixels are not all finite numbers")
    if low >= -SLACK and high <= 1 + SLACK:
        return 255.0
    if low >= -high * SLACK and _LEAST_OF_255 <= high <= 255 * (1 + SLACK):
        return 1.0
    return None


def _by_range(values: np.ndarray, notes: Notes) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ImageError(f"every pixel of the picture is {low:g}: no range to show it by")
    notes.append(f"grey values from {low:g} to {high:g} were brought to black and white")
    return ((values - low) / (high - low) * 255 + 0.5).astype(np.uint8)


def divided(values: np.ndarray) -> np.ndarray:
    """uint8 of 16-bit values: 65535 becomes 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes | None, notes: Notes) -> Image.Image:
    """RGB in sRGB, through the picture's own profile if it has one that fits."""
    if image.mode == "LAB":
        transform = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        return _applied(image, transform)
    if not profile:
        return image.convert("RGB")
    try:
        mode, own = _transform(bytes(profile))
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        notes.append("its colour profile is damaged and was left out")
        return image.convert("RGB")
    if mode == "RGB" and image.mode != "CMYK":  # grey files often carry the profile of a screen
        image = image.convert("RGB")
    if mode != image.mode:
        notes.append(f"its colour profile is for {mode}, not {image.mode}, and was left out")
        return image.convert("RGB")
    return image.convert("RGB") if own is None else _applied(image, own)


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    turned = ImageCms.applyTransform(image, transform)
    assert turned is not None  # it is only when done in place
    return turned


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Mode of the pixels a profile is for, and its way to sRGB; None if it is sRGB itself.

    Raises:
        ValueError: a profile of another kind; ImageCms has errors of its own for damaged ones.
    """
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _SPACES.get(opened.profile.xcolor_space.strip())
    if mode is None:
        raise ValueError(opened.profile.xcolor_space)
    transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "RGB":
        steps = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
        turned = np.asarray(_applied(Image.fromarray(cube), transform))
        if np.abs(turned.astype(int) - cube).max() <= 1:
            return mode, None
    return mode, transform
