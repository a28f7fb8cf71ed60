"""Text in figures as it is written: never mathematics, and no complaint about a missing glyph.

Titles, legends and labels hold what users wrote: names of files, models and regions, and texts of
models. matplotlib takes "$" for the start of a formula and warns about every character that its
font lacks. Every figure of this package is made inside `plain_text` and saved by `save_figure`.
"""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.errors import GazeheadsError
from gazeheads.files import write_bytes
from gazeheads.html_parts import data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LONGEST = 160
"""Characters of a text that a figure shows."""
_UNUSABLE = ("Last Resort", "cmex", "cmsy", "cmmi", "STIXSize", "STIXNonUnicode")
"""Fonts that have a box for everything, or other glyphs than the characters' own."""


@contextmanager
def plain_text() -> Iterator[None]:
    """Figures made inside take no text for mathematics."""
    from matplotlib import rc_context  # noqa: PLC0415 - only a figure pays for matplotlib

    # TrueType in PDF and PostScript: text that can be edited and searched, as journals ask
    fonts: Any = {"pdf.fonttype": 42, "ps.fonttype": 42}
    with rc_context({"text.parse_math": False, "text.usetex": False}), rc_context(fonts):
        yield


def shown(text: str) -> str:
    """A text as a figure can show it, on one line and not longer than `LONGEST`.

    A character that no installed font has is shown as its code point, "[U+732B]".
    """
    # controls and line separators, which have no glyph, end a word
    flat = " ".join("".join(" " if _is_control(c) else c for c in text).split())
    short = flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 3]}..."
    return "".join(
        c if c in _glyphs(_base_font()) or _family_with(c) else f"[U+{ord(c):04X}]" for c in short
    )


def legend_label(text: str) -> str:
    """A text as a legend shows it; matplotlib leaves out those that begin with "_"."""
    label = shown(text)
    return f" {label}" if label.startswith("_") else label


def fit_fonts(figure: Figure) -> None:
    """Gives every text that the default font lacks glyphs for a font that has them."""
    from matplotlib.text import Text  # noqa: PLC0415

    for text in figure.findobj(Text):
        _fit(text)


def save_figure(figure: Figure, path: str | os.PathLike[str], **options: Any) -> None:
    """Saves a figure, whole or not at all; the ending of the path chooses the format.

    Args:
        figure: made inside `plain_text`.
        path: of the file.
        options: of matplotlib's `savefig`.

    Raises:
        GazeheadsError: it cannot be drawn or written.
    """
    if not Path(path).parent.is_dir():
        raise GazeheadsError(f"cannot save the figure to {path}: there is no such folder")
    kind = Path(path).suffix.removeprefix(".").lower()
    options = {"format": kind, **options} if kind else options
    try:
        data = _rendered(figure, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise GazeheadsError(f"cannot save the figure to {path}: {error}") from error
    try:
        write_bytes(path, data)
    except GazeheadsError as error:
        raise GazeheadsError(f"cannot save the figure to {path}: {error}") from error


def new_figure(**options: Any) -> Figure:
    """A figure that shows itself in notebooks, whether or not pyplot is in use."""
    return _shown_figure()(layout="constrained", **options)


@cache
def _shown_figure() -> type[Figure]:
    # only a plot pays for loading matplotlib
    from matplotlib.figure import Figure  # noqa: PLC0415

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return _rendered(self, format="png", dpi=96)

    return ShownFigure


def png_uri(figure: Figure, dpi: int = 96) -> str:
    """A figure as the address of a picture that holds it, for HTML."""
    return data_uri(_rendered(figure, format="png", dpi=dpi), "image/png")


def _rendered(figure: Figure, **options: Any) -> bytes:
    fit_fonts(figure)
    buffer = io.BytesIO()
    with plain_text(), warnings.catch_warnings():
        # about glyphs in labels that are made while drawing, and about cramped layouts
        warnings.simplefilter("ignore", UserWarning)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def _fit(text: Text) -> None:
    said = text.get_text()
    strange = {c for c in said if not c.isspace() and c not in _glyphs(_base_font())}
    if not strange:
        return
    if any(_is_control(c) or _family_with(c) is None for c in strange):
        text.set_text("\n".join(shown(line) for line in said.split("\n")))
    families = dict.fromkeys(family for c in sorted(strange) if (family := _family_with(c)))
    if families:
        text.set_fontfamily([*text.get_fontfamily(), *families])


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _base_font() -> str:
    """File of the font that figures are set in."""
    from matplotlib.font_manager import FontProperties, findfont  # noqa: PLC0415

    return str(findfont(FontProperties()))


@cache
def _glyphs(path: str) -> frozenset[str]:
    """The characters that a font has."""
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):  # damaged, or of a kind that matplotlib cannot read
        return frozenset()


@cache
def _family_with(character: str) -> str | None:
    """An installed family that can draw a character; None if there is none."""
    from matplotlib.font_manager import fontManager  # noqa: PLC0415
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415

    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.style, entry.name)):
        if entry.name.startswith(_UNUSABLE) or character not in _glyphs(entry.fname):
            continue
        try:
            font = FT2Font(entry.fname)
            font.set_size(10, 72)  # fonts of coloured bitmaps refuse
            font.load_char(ord(character))
        except (OSError, RuntimeError):
            continue
        return str(entry.name)
    return None
