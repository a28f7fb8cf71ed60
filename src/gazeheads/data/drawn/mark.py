"""The mark of pictures drawn by this package: in memory, in PNG files and beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gazeheads.errors import GazeheadsError
from gazeheads.files import read_lines

KEY, DRAWN = "gazeheads", "drawn"
"""The text chunk of a PNG, and the entry of `image.info`."""
_CAPTIONS = "captions.jsonl"


def marked(image: Image.Image) -> Image.Image:
    """The image itself, marked as drawn by this package."""
    image.info[KEY] = DRAWN
    return image


def png_text(drawn: bool) -> PngInfo | None:
    """The text chunk to write into a PNG of a drawn picture; None for any other picture."""
    if not drawn:
        return None
    text = PngInfo()
    text.add_text(KEY, DRAWN)
    return text


def is_drawn(picture: Any) -> bool:
    """Whether a picture is known to be drawn by this package; what is unknown is not.

    Args:
        picture: a path, a PIL image, or anything else that holds a picture.

    Returns:
        True if the image or the PNG has the mark, or if `captions.jsonl` beside the file, or
        beside its folder, gives the truth of the comic it is a panel of.
    """
    if isinstance(picture, Image.Image):
        return picture.info.get(KEY) == DRAWN
    if not isinstance(picture, str | os.PathLike):
        return False
    path = Path(os.fsdecode(picture))
    try:
        with Image.open(path) as opened:
            if opened.info.get(KEY) == DRAWN:
                return True
    except Exception:  # whatever is wrong with it is told by who reads it
        return False
    return _has_truth(path.absolute().parent)


def _has_truth(comic: Path) -> bool:
    """Whether the captions of a folder of comics give the truth of one of them."""
    path = comic.parent / _CAPTIONS
    if not path.is_file():
        return False
    try:
        notes = [json.loads(line) for _, line in read_lines(path)]
    except (GazeheadsError, ValueError):
        return False
    own = (note for note in notes if isinstance(note, dict) and note.get("comic") == comic.name)
    return any("truth" in panel for note in own for panel in note.get("panels", ()))
