"""Pictures of a page: uploads, judged by their content and bounded before they are decoded."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from gazeheads.data.pictures import ImageError, open_image
from gazeheads.errors import GazeheadsError

FORMATS = ("PNG", "JPEG", "WEBP")


class PictureError(GazeheadsError):
    """An upload that is refused."""


@dataclass(frozen=True)
class PictureLimits:
    """What an upload may be.

    Attributes:
        max_bytes: of the file.
        max_pixels: of the picture; what the model makes of it is bounded by the model.
        max_side: of either side, in pixels.
    """

    max_bytes: int = 6_000_000
    max_pixels: int = 2_100_000
    max_side: int = 4096


def open_upload(data: bytes, limits: PictureLimits) -> Image.Image:
    """The picture in an uploaded file, upright and RGB, as the page shows it.

    The file's content alone says what it is, and its size is checked before it is decoded, so
    that a small file cannot unfold into a huge picture.

    Raises:
        PictureError: too large, damaged, or neither PNG, JPEG nor WebP.
    """
    if len(data) > limits.max_bytes:
        raise PictureError(
            f"the picture's file has {len(data):,} bytes; at most {limits.max_bytes:,} are taken"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # checked here instead
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = opened.size
        if width * height > limits.max_pixels or max(width, height) > limits.max_side:
            raise PictureError(
                f"the picture has {width} x {height} pixels; at most {limits.max_pixels:,} in all "
                f"and {limits.max_side} on a side are taken"
            )
        return open_image(opened)
    except UnidentifiedImageError as error:
        raise PictureError("the file is not a PNG, JPEG or WebP picture") from error
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"the picture has far too many pixels; at most {limits.max_pixels:,} are taken"
        ) from error
    except (OSError, SyntaxError, ValueError, ImageError) as error:
        raise PictureError("the picture's file is damaged") from error
