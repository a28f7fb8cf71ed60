"""How figures look in light and dark, and how they are saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure

from gazeheads.figure_text import plain_text, save_figure

PANEL_COLOURS = (
    "#2b6cb0", "#d9730d", "#2f8f5b", "#c2528b", "#b08900", "#6b5bd2", "#2a9db5", "#8a6d4b",
)  # fmt: skip
"""One per panel, told apart by people with any colour vision by hue and lightness together."""
DOTS_PER_INCH = 192  # twice the screen's


@dataclass(frozen=True)
class Theme:
    """Colours of one appearance."""

    name: str
    ink: str
    muted: str
    line: str
    paper: str
    gaze: str
    random: str
    all: str
    ramp: tuple[str, ...]

    @property
    def heat(self) -> LinearSegmentedColormap:
        """From nothing (the paper) to much."""
        return LinearSegmentedColormap.from_list(f"gaze-{self.name}", list(self.ramp))

    @property
    def panels(self) -> ListedColormap:
        """One colour per panel."""
        return ListedColormap(list(PANEL_COLOURS))

    def of(self, condition: str) -> str:
        """The colour of a condition."""
        return {"gaze": self.gaze, "random": self.random, "all": self.all}.get(
            condition, self.muted
        )


LIGHT = Theme(
    "light", "#22262b", "#6b7178", "#d9d6cf", "#fffefb", "#0b7285", "#8a8f96", "#c0492f",
    ("#f4f2ec", "#a9d5d8", "#3a9aa8", "#0b6576", "#08323d"),
)  # fmt: skip
DARK = Theme(
    "dark", "#e9e6df", "#9aa0a8", "#363b42", "#1a1d21", "#4cc3d3", "#878d95", "#ef8165",
    ("#22262c", "#1d5661", "#2a94a4", "#6fd6e2", "#e6fbff"),
)  # fmt: skip
THEMES = (LIGHT, DARK)

Draw = Callable[[Theme], Figure]


@dataclass(frozen=True)
class SavedFigure:
    """One figure in both appearances, as files of a run folder.

    Attributes:
        name: of the files, without ending.
        folder: they are in.
        width, height: in screen pixels.
    """

    name: str
    folder: Path
    width: int
    height: int

    def path(self, theme: Theme = LIGHT) -> Path:
        """The PNG of one appearance."""
        return self.folder / f"{self.name}{'' if theme is LIGHT else '-dark'}.png"


def save(folder: Path, name: str, draw: Draw) -> SavedFigure:
    """Draws a figure in both appearances: PNGs at twice the screen's resolution, and a PDF."""
    for theme in THEMES:
        with rc_context(_style(theme)), plain_text():
            figure = draw(theme)
            picture = SavedFigure(
                name, folder, *(round(inch * 96) for inch in figure.get_size_inches())
            )
            save_figure(figure, picture.path(theme), dpi=DOTS_PER_INCH, transparent=True)
            if theme is LIGHT:
                save_figure(figure, folder / f"{name}.pdf", metadata={"CreationDate": None})
    return picture


def _style(theme: Theme) -> dict[Any, Any]:
    return {
        "font.size": 9.5,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.muted,
        "axes.facecolor": "none",
        "axes.axisbelow": True,
        "figure.facecolor": "white" if theme is LIGHT else theme.paper,
        "figure.constrained_layout.use": True,
        "text.color": theme.ink,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "grid.color": theme.line,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }
