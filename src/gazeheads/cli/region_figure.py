"""A picture with regions drawn on it and texts beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gazeheads.figure_text import fit_fonts, plain_text, save_figure, shown
from gazeheads.regions import Region

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7b3294", "#444444")
"""Told apart by most people who do not see all colours."""
_WIDTH = 46  # characters of a line of text
_SIDE = 5.2  # inches of the longer side of the picture
_TEXT = 4.1  # inches of the column of texts
_LINE = 0.19  # inches


def region_figure(
    image: Image.Image,
    regions: Sequence[Region],
    texts: Sequence[str],
    plain: str,
    path: Path,
    title: str = "",
    note: str = "",
) -> Path:
    """Saves the picture, numbered regions on it, and the texts beside it.

    Args:
        image: upright RGB.
        regions: of the picture.
        texts: one per region.
        plain: the text without a region.
        path: of the PNG.
        title: above the picture.
        note: below the texts, if anything is to be said about them.
    """
    from matplotlib.figure import Figure

    entries = [("unsteered", "black", plain)]
    for number, (region, text) in enumerate(zip(regions, texts, strict=True), 1):
        entries.append((f"{number}  {region.name}", COLOURS[(number - 1) % len(COLOURS)], text))
    blocks = [
        (shown(head), colour, textwrap.wrap(shown(text.strip() or "(nothing)"), _WIDTH))
        for head, colour, text in entries
    ]
    said = textwrap.wrap(note, _WIDTH)
    lines = sum(len(block[2]) + 1.6 for block in blocks) + len(said)
    shrink = _SIDE / max(image.size)
    wide, high = image.width * shrink, image.height * shrink
    tall = max(high + 0.4, lines * _LINE + 0.2)
    whole = wide + _TEXT
    with plain_text():
        figure = Figure(figsize=(whole, tall))
        axes = figure.add_axes((0.1 / whole, 1 - (high + 0.3) / tall, wide / whole, high / tall))
        axes.imshow(np.asarray(image))
        axes.set_axis_off()
        axes.set_title(shown(title), fontsize=9, loc="left")
        for number, region in enumerate(regions, 1):
            _outline(axes, region, number, COLOURS[(number - 1) % len(COLOURS)])
        down, left = tall - 0.2, (wide + 0.3) / whole
        for head, colour, wrapped in blocks:
            figure.text(left, down / tall, head, color=colour, fontsize=9, weight="bold", va="top")
            down -= _LINE
            body = "\n".join(wrapped)
            figure.text(left, down / tall, body, fontsize=9, va="top", linespacing=1.35)
            down -= _LINE * (len(wrapped) + 0.6)
        if said:
            body = "\n".join(said)
            figure.text(left, down / tall, body, color="#666666", fontsize=8, va="top")
        fit_fonts(figure)
        save_figure(figure, path, dpi=150)
    return path


def _outline(axes: Any, region: Region, number: int, colour: str) -> None:
    """Draws a region and its number."""
    from matplotlib.patches import Rectangle

    for x0, y0, x1, y1 in region.boxes:
        box = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=colour, lw=2)
        axes.add_patch(box)
    if region.mask is not None:
        axes.contour(region.mask.astype(float), [0.5], colors=[colour], linewidths=2)
        rows, columns = np.nonzero(region.mask)
        left, top = float(columns.min()), float(rows.min())
    else:
        left, top = region.boxes[0][0], region.boxes[0][1]
    label = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
    axes.text(left + 1, top + 1, str(number), color="white", fontsize=8, va="top", bbox=label)
