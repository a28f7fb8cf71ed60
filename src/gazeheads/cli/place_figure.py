"""A picture with the map and the box of a located phrase."""

from __future__ import annotations

import textwrap
from pathlib import Path

from PIL import Image

from gazeheads.figure_text import fit_fonts, plain_text, save_figure, shown
from gazeheads.locating.located import Located

_WIDTH = 46  # characters of a line of the note
_SIDE = 4.2  # inches of a picture's longer side


def place_figure(image: Image.Image, found: Located, path: Path, note: str = "") -> Path:
    """Saves the picture with the box, and beside it the map it was read from.

    Args:
        image: upright RGB.
        found: the phrase's place.
        path: of the PNG.
        note: below, if anything is to be said.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    shrink = _SIDE / max(image.size)
    wide, high = max(1.6, image.width * shrink), max(1.0, image.height * shrink)
    lines = textwrap.wrap(note, int(_WIDTH * wide / 2))
    extent = (0.0, float(image.width), float(image.height), 0.0)
    with plain_text():
        figure = Figure(
            figsize=(2 * wide + 1.2, high + 0.7 + 0.18 * len(lines)), layout="constrained"
        )
        left, right = figure.subplots(1, 2)
        left.imshow(image, extent=extent)
        lost = "" if found.likely is not False else ": likely not in the picture"
        left.set_title(shown(found.phrase) + lost, fontsize="medium", loc="left")
        right.imshow(image.convert("L"), extent=extent, cmap="gray", vmin=0, vmax=255)
        naming = found.unsteered is not None
        top = 1.0 if naming else float(found.values.max()) or 1.0
        drawn = right.imshow(
            found.values, extent=extent, cmap="inferno", vmin=0, vmax=top, alpha=0.65,
            interpolation="nearest",
        )  # fmt: skip
        told = "p of the phrase, per token" if naming else "attention per cell"
        figure.colorbar(drawn, ax=right, shrink=0.8, label=told)
        x0, y0, x1, y1 = found.box
        for axes in (left, right):
            axes.set_axis_off()
            if lost:
                continue
            box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec="white", lw=4)
            inner = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec="#d55e00", lw=2)
            axes.add_patch(box)
            axes.add_patch(inner)
        if lines:
            figure.supxlabel("\n".join(lines), fontsize="small", color="#666666")
        fit_fonts(figure)
        save_figure(figure, path, dpi=150)
    return path
