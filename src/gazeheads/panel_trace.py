"""Attention per step and region, as `GazeTrace.by_panel` gives it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.figure_text import save_figure
from gazeheads.frames import data_frame
from gazeheads.trace_figures import panels_html, staircase

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class PanelTrace:
    """Attention per step and region.

    Attributes:
        values: (steps, R).
        names: of the R regions.
        pieces: text each step added.
        normalised: whether every step sums to 1.
    """

    values: np.ndarray
    names: tuple[str, ...]
    pieces: tuple[str, ...]
    normalised: bool = True

    def __repr__(self) -> str:
        return f"PanelTrace({len(self.values)} tokens, {len(self.names)} regions)"

    _repr_html_ = panels_html

    def gaze(self) -> np.ndarray:
        """(steps,) index of the region looked at most, from 0."""
        return np.asarray(self.values.argmax(1))

    def to_dataframe(self) -> DataFrame:
        """One row per step and region: `step`, `piece`, `region`, `attention`.

        Raises:
            GazeheadsError: pandas is not installed.
        """
        steps, regions = self.values.shape
        return data_frame(
            {
                "step": np.repeat(np.arange(steps), regions),
                "piece": np.repeat(np.array(self.pieces, dtype=object), regions),
                "region": np.tile(np.array(self.names, dtype=object), steps),
                "attention": self.values.ravel(),
            }
        )

    def plot(
        self, path: str | os.PathLike[str] | None = None, title: str = "", what: str = "panel"
    ) -> Figure:
        """The staircase: one line per region over the steps, the gaze as a strip of colour below.

        Args:
            path: also save the figure there; the ending chooses the format.
            title: above the figure.
            what: the regions are.

        Raises:
            GazeheadsError: the figure cannot be saved.
        """
        figure = staircase(self, title, what)
        if path is not None:
            save_figure(figure, path, dpi=150)
        return figure
