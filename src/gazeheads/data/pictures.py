"""The one reader of pictures: whatever a user names or hands over, as an upright RGB image.

Every command, folder, data set, judge and upload reads through here, so that one picture looks
the same everywhere: turned as its EXIF says, on white where it is transparent, in sRGB, 16-bit and
float grey scaled and not clipped (see `colour` and `arrays` for the rules). Of an animation or a
file of several pages the first one is taken, and that is said.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from gazeheads.data.arrays import image_of
from gazeheads.data.colour import ImageError, Notes, to_rgb
from gazeheads.data.drawn.mark import DRAWN, KEY, marked

if TYPE_CHECKING:
    from torch import Tensor

    ImageLike = (
        Image.Image | str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
        | np.ndarray | Tensor
    )  # fmt: skip
else:
    ImageLike = Any
"""A path, the bytes of a file, an open file, a PIL image, an array or a tensor (see `arrays`)."""

__all__ = ["ImageError", "ImageLike", "Picture", "is_plain", "open_image", "read_picture"]

logger = logging.getLogger("gazeheads")

_ADDRESS = re.compile(r"\s*(data:|[a-z][a-z0-9+.-]+:/)", re.IGNORECASE)
_LONGEST_NAME = 120
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF orientation -> what makes the stored picture upright."""
_NO_ANIMATION = ("MPO", "PSD")
"""Formats whose further frames are other versions of the picture, or its layers."""
_OTHERS = (
    (b"ftyphei", 4, "a HEIC picture"), (b"ftypmif1", 4, "a HEIC picture"),
    (b"ftypmsf1", 4, "a HEIC picture"), (b"%pdf", 0, "a PDF document"),
    (b"<svg", None, "an SVG drawing"), (b"<html", None, "a web page"),
    (b"<!doctype html", None, "a web page"), (b"version https://git-lfs", 0, "a Git LFS pointer"),
)  # fmt: skip
"""Beginnings (lower case) of files taken for pictures, and where: a place, or anywhere."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was read.

    Attributes:
        image: upright, RGB, without any metadata but the mark of `drawn.mark`.
        stored_size: (width, height) of the pixels in the file, before they were turned.
        orientation: EXIF's number of how they lie in the file; 1: upright.
        frames: frames or pages of the file, of which the first was taken.
        notes: what was guessed or left out, one line each.
    """

    image: Image.Image
    stored_size: tuple[int, int]
    orientation: int = 1
    frames: int = 1
    notes: tuple[str, ...] = ()


def open_image(image: ImageLike) -> Image.Image:
    """An upright RGB image from whatever holds one; what is to be said about it is logged.

    Args:
        image: see `read_picture`.

    Raises:
        ImageError: missing, corrupt, empty, or no picture.
    """
    if is_plain(image):
        return image.copy()
    read = read_picture(image)
    for note in read.notes:
        logger.warning("%s: %s", _name(image), note)
    return read.image


def is_plain(image: ImageLike) -> TypeGuard[Image.Image]:
    """Whether this is an RGB image in memory that nothing is to be done to."""
    return (
        type(image) is Image.Image
        and image.mode == "RGB"
        and image.info.keys() <= {KEY}
        and not image.getexif()
        and 0 not in image.size
    )


def read_picture(source: ImageLike) -> Picture:
    """A picture, with what is to be said about it.

    Args:
        source: a path; the bytes of a file, or a file opened in binary mode; a PIL image, which is
            taken at the frame it stands at; an array or a tensor (see `arrays.image_of`). An
            address is refused: nothing is downloaded.

    Raises:
        ImageError: missing, corrupt, empty, or no picture.
    """
    notes: Notes = []
    if isinstance(source, Image.Image):
        return _decoded(source, _name(source), notes)
    if isinstance(source, str | os.PathLike):
        return _from_file(os.fsdecode(source), notes)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), _name(source), notes)
    if hasattr(source, "read"):
        return _from_bytes(_content(source), _name(source), notes)
    if hasattr(source, "__array__") or hasattr(source, "detach"):
        image = image_of(source, notes)
        return Picture(image, image.size, notes=tuple(notes))
    raise ImageError(
        f"cannot read an image from a {type(source).__name__}: want a path, the bytes of a file, "
        "an open file, a PIL image, an array or a tensor"
    )


def _name(source: Any) -> str:
    """What a picture is called in messages."""
    if isinstance(source, str | os.PathLike):
        named = os.fsdecode(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        named = f"of {len(source):,} bytes"
    else:
        own = getattr(source, "filename", None) or getattr(source, "name", None)
        named = own if isinstance(own, str) else f"({type(source).__name__})"
    if len(named) > _LONGEST_NAME:
        named = f"{named[:_LONGEST_NAME]}..."
    return " ".join(named.split())


def _from_file(text: str, notes: Notes) -> Picture:
    name = _name(text)
    if _ADDRESS.match(text):
        raise ImageError(f"image {name} is an address: download it first and name the file")
    if not text.strip():
        raise ImageError("cannot read image: its name is empty")
    try:
        path = Path(text)
        if not path.exists():
            path = path.expanduser()
        if path.is_dir():
            raise ImageError(f"cannot read image {name}: it is a folder")
        if path.exists() and not path.is_file():
            raise ImageError(f"cannot read image {name}: it is no regular file")
        with path.open("rb") as file:
            return _opened(file, os.fstat(file.fileno()).st_size, name, notes)
    except FileNotFoundError as error:
        raise ImageError(f"image not found: {name}") from error
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"cannot read image {name}: {why}") from error


def _content(source: Any) -> bytes:
    try:
        if getattr(source, "seekable", bool)():
            source.seek(0)
        data = source.read()
    except Exception as error:  # any object with a read method may have been given
        raise ImageError(f"cannot read image {_name(source)}: {error}") from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ImageError(f"cannot read image {_name(source)}: open the file in binary mode, 'rb'")
    return bytes(data)


def _from_bytes(data: bytes, name: str, notes: Notes) -> Picture:
    return _opened(BytesIO(data), len(data), name, notes)


def _opened(file: IO[bytes], size: int, name: str, notes: Notes) -> Picture:
    if size == 0:
        raise ImageError(f"cannot read image {name}: it is empty, 0 bytes")
    try:
        image = Image.open(file)
    except UnidentifiedImageError as error:
        raise ImageError(f"cannot read image {name}: {_what_else(file)}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {name} is too large to be opened safely: {error}") from error
    except Exception as error:  # damaged files raise whatever their decoder stumbles over
        raise ImageError(f"cannot read image {name}: {_told(error)}") from error
    return _decoded(image, name, notes)


def _what_else(file: IO[bytes]) -> str:
    file.seek(0)
    head = file.read(1024).lower()
    for mark, place, what in _OTHERS:
        if mark in head if place is None else head[place:].startswith(mark):
            return f"it is {what}, not a picture that can be read (save it as PNG or JPEG)"
    return "it is no picture, or of an unknown format"


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _decoded(image: Image.Image, name: str, notes: Notes) -> Picture:
    if 0 in image.size:
        raise ImageError(f"image {name} has {image.size[0]}x{image.size[1]} pixels")
    frames = _frames(image)
    if frames > 1:
        what = "pages" if image.format == "TIFF" else "frames"
        notes.append(f"the first of {frames} {what} is taken")
    try:
        key = _transparent_colour(image)
        image.load()
        orientation = _orientation(image, notes)
        colours = to_rgb(image, key, notes)
        if orientation in _TURNS:
            colours = colours.transpose(_TURNS[orientation])
    except ImageError as error:
        raise ImageError(f"cannot read image {name}: {error}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {name} is too large to be opened safely: {error}") from error
    except MemoryError as error:
        raise ImageError(f"image {name} is too large for the memory") from error
    except Exception as error:  # damaged files raise whatever their decoder stumbles over
        raise ImageError(f"cannot read image {name}: {_told(error)}") from error
    drawn = image.info.get(KEY) == DRAWN
    colours.info.clear()
    if drawn:
        marked(colours)
    return Picture(colours, image.size, orientation, frames, tuple(notes))


def _frames(image: Image.Image) -> int:
    """Frames or pages of which the image stands at the first; 1 if the user chose one."""
    if image.format in _NO_ANIMATION:
        return 1
    try:
        return int(getattr(image, "n_frames", 1)) if image.tell() == 0 else 1
    except Exception:  # a later frame is damaged; the first one is tried on its own
        return 1


def _orientation(image: Image.Image, notes: Notes) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # as above: EXIF is written by many programs
        notes.append("its EXIF is damaged: it is taken as it is stored")
        return 1
    return found if found in _TURNS else 1


def _transparent_colour(image: Image.Image) -> int | tuple[int, ...] | None:
    """The colour that a PNG calls transparent, in the unit of the pixels that Pillow gives.

    Pillow scales pixels of 2, 4 and 16 bits to 8, but not the transparent colour; None: it is as
    `image.info` says.
    """
    key: Any = image.info.get("transparency")
    tiles: Sequence[Any] = getattr(image, "tile", ())
    if image.format != "PNG" or not tiles or not isinstance(key, int | tuple):
        return None
    match tiles[0][3], key:
        case "L;2", int():
            return key * 85
        case "L;4", int():
            return key * 17
        case "RGB;16B", tuple():
            return tuple(part >> 8 for part in key)
    return None
