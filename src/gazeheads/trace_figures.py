"""Figures of a trace: the staircase over regions, and heatmaps over the image phrase by phrase."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.figure_text import fit_fonts, legend_label, new_figure, plain_text, png_uri, shown
from gazeheads.html_parts import img, line

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from gazeheads.trace import GazeTrace, PanelTrace

COLUMNS, MOST_MAPS = 4, 12
_NAME = 30  # characters of a region's name beside the staircase
_TITLE = 34  # characters of a phrase above its map


def staircase(trace: PanelTrace, title: str = "", what: str = "panel") -> Figure:
    """One line per region over the steps, the gaze as a strip of colour below.

    Args:
        trace: attention per step and region.
        title: above the figure.
        what: the regions are.
    """
    # only a plot pays for loading matplotlib
    from matplotlib import colormaps  # noqa: PLC0415

    names = [_cut(shown(name), _NAME) for name in trace.names]
    steps = np.arange(len(trace.values))
    with plain_text():
        figure = new_figure(figsize=(9, 4))
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        for i, name in enumerate(names):
            colour = colormaps["viridis"](i / max(len(names) - 1, 1))
            label = legend_label(name)
            top.plot(steps, trace.values[:, i], color=colour, label=label, linewidth=1.4)
        top.set_ylabel("share of attention" if trace.normalised else "attention")
        # beside the lines: a legend on top of them hides peaks
        top.legend(
            title=what, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.02),
            borderaxespad=0,
        )  # fmt: skip
        top.set_title(shown(title))
        picture: Any = bottom.imshow(
            trace.values.T, aspect="auto", interpolation="nearest", cmap="viridis", origin="upper"
        )
        figure.colorbar(picture, cax=bottom.inset_axes((1.015, 0.05, 0.015, 0.9)))
        bottom.set_yticks(range(len(names)), names)
        bottom.set_ylabel(what)
        bottom.set_xlabel("new token")
        fit_fonts(figure)
    return figure


def contact_sheet(
    trace: GazeTrace, image: Image.Image, title: str = "", most: int = MOST_MAPS
) -> Figure:
    """The image under a heatmap for the whole text, then for one phrase after the other.

    All maps share one scale: attention per pixel, averaged over the heads and the phrase's steps,
    as a share of the largest value of any map.

    Args:
        trace: of one generation about the image.
        image: upright RGB, the first image of the prompt.
        title: above the figure.
        most: maps at most.
    """
    parts = phrases(trace.pieces, most - 1)
    told = [("all words", range(len(trace)))] if len(parts) != 1 else []
    told += [("".join(trace.pieces[step] for step in part), part) for part in parts]
    maps = [trace.heatmap(list(part)) for _, part in told]
    top = max(float(values.max()) for values in maps) or 1.0
    columns = min(COLUMNS, len(maps))
    rows = math.ceil(len(maps) / columns)
    width = 2.6
    height = min(3.0, max(0.3, image.height / image.width)) * width
    extent = (0, image.width, image.height, 0)
    with plain_text():
        size = (max(4.0, width * columns), (height + 0.35) * rows + 0.5)
        figure = new_figure(figsize=size)
        figure.suptitle(shown(title), fontsize="medium")
        places = np.ravel(figure.subplots(rows, columns, squeeze=False))
        drawn: Any = None
        for axes in places:
            axes.set_axis_off()
        for axes, (phrase, _), values in zip(places, told, maps, strict=False):
            axes.imshow(image.convert("L"), extent=extent, cmap="gray", vmin=0, vmax=255)
            drawn = axes.imshow(
                values / top, extent=extent, cmap="inferno", vmin=0, vmax=1, alpha=0.65
            )
            axes.set_title(_short(phrase), fontsize="small")
        figure.colorbar(drawn, ax=places.tolist(), shrink=0.8, label="attention (share of most)")
        fit_fonts(figure)
    return figure


def trace_html(trace: GazeTrace) -> str:
    """A trace in a notebook: the text, and its contact sheet if the picture is known."""
    told = line(repr(trace)) + line(trace.text)
    if trace.image is None or not len(trace):
        return told
    return told + img(png_uri(contact_sheet(trace, trace.image)), repr(trace))


def panels_html(trace: PanelTrace) -> str:
    """A trace over regions in a notebook: the staircase."""
    told = line(repr(trace))
    return told + img(png_uri(staircase(trace)), repr(trace)) if len(trace.values) else told


def phrases(pieces: Sequence[str], most: int) -> list[range]:
    """Cuts the steps of a text into at most `most` runs of about the same length.

    A run begins where a word does, so that no word is torn apart; a text of few words gives
    fewer runs.

    Args:
        pieces: text each step added.
        most: runs at most, at least 1.
    """
    starts = [
        step
        for step, piece in enumerate(pieces)
        if step == 0 or (piece.strip() and (piece[:1].isspace() or pieces[step - 1][-1:].isspace()))
    ]
    count = min(most, len(starts))
    chosen = [starts[i * len(starts) // count] for i in range(count)]
    return [range(a, b) for a, b in itertools.pairwise([*chosen, len(pieces)])]


def _short(phrase: str) -> str:
    return _cut(shown(phrase) or "(nothing)", _TITLE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
