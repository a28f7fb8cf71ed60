"""What a page that loads nothing carries inside: figures, pictures of strips, and files."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gazeheads.data.pictures import ImageError, open_image
from gazeheads.errors import GazeheadsError
from gazeheads.html_parts import data_uri
from gazeheads.study.report.theme import SavedFigure, Theme

SHOWN_WIDTH, LISTED_WIDTH = 960, 640
"""Pixels of a strip that is shown at once, and of one that is only shown when asked for."""
_QUALITY = 60
_KINDS = {".csv": "text/csv", ".json": "application/json"}


class Pictures:
    """The pictures of strips in one page: each is there once, however many runs show it.

    A picture is a rule of CSS: every `.crop` below an element of its class shows it.
    """

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        self._rules: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._rules)

    def has(self, path: Path) -> bool:
        """Whether the page holds a picture already."""
        return path in self._names or _mark(path) in self._rules

    def name(self, path: Path, width: int = SHOWN_WIDTH) -> str:
        """The class of a picture; one that is there already keeps its width.

        Raises:
            GazeheadsError: it cannot be read.
        """
        if path not in self._names:
            mark = _mark(path)
            if mark not in self._rules:
                self._rules[mark] = data_uri(_small(path, width), "image/webp")
            self._names[path] = mark
        return self._names[path]

    @property
    def css(self) -> str:
        """The rules of all pictures named so far."""
        return "\n".join(
            f".{name} .crop{{background-image:url({uri})}}" for name, uri in self._rules.items()
        )


def figure_uri(figure: SavedFigure, theme: Theme) -> str:
    """A figure without loss in less than its PNG takes."""
    path = figure.path(theme)
    try:
        with Image.open(path) as image:
            return data_uri(_webp(image, lossless=True), "image/webp")
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error.strerror or error}") from error


def file_uri(path: Path) -> str:
    """A file with numbers, as a link that saves it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error.strerror or error}") from error
    return data_uri(data, f"{_KINDS[path.suffix]};charset=utf-8")


def text_uri(text: str, kind: str) -> str:
    """A text as a link that saves it."""
    return data_uri(text.encode(), f"{kind};charset=utf-8")


def download_name(path: Path, folders: Sequence[Path]) -> str:
    """What a file is saved as: its path below what `folders` have in common, in one name.

    So files that are called alike in several runs keep apart.
    """
    try:
        root = os.path.commonpath([folder.absolute() for folder in folders])
        own = path.absolute().relative_to(root)
    except ValueError:  # elsewhere
        own = Path(*path.absolute().parts[-2:])
    return "-".join(own.parts)


def _mark(path: Path) -> str:
    try:
        return f"p-{hashlib.sha256(path.read_bytes()).hexdigest()[:10]}"
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error.strerror or error}") from error


def _small(path: Path, width: int) -> bytes:
    try:
        image = open_image(path)
    except ImageError as error:
        raise GazeheadsError(str(error)) from error
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))))
    return _webp(image, quality=_QUALITY)


def _webp(image: Image.Image, quality: int = 80, lossless: bool = False) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=quality, lossless=lossless, method=4)
    return stream.getvalue()
