"""Panels side by side on a grid of image tokens: every panel gets at least one column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PanelRow:
    """The panels of a strip of one row, and which of them is meant.

    Attributes:
        edges: in pixels of the original image, ascending: the left edge of every panel, and the
            right edge of the last.
        place: of the panel, from 0.
    """

    edges: tuple[float, ...]
    place: int

    def columns(self, boxes: np.ndarray) -> tuple[float, float] | None:
        """Where the panel's columns of tokens begin and end, in pixels.

        The columns are shared out as the study's released code does: an edge goes to the nearest
        border between two columns (a half to the even one), and no panel is left without a column
        while there are enough. Apart from that and from halves it is the rule of centres.

        Args:
            boxes: (n, 4) of the image's tokens.

        Returns:
            None if the tokens are no columns over the whole row, or fewer than panels.
        """
        starts = np.unique(boxes[:, 0].round(6))
        ends = np.unique(boxes[:, 2].round(6))
        panels, count = len(self.edges) - 1, len(starts)
        borders = np.append(starts, ends[-1:])
        if (
            count < panels
            or len(ends) != count
            or not np.allclose(borders[1:], ends, atol=1e-3)
            or not np.allclose(np.diff(borders), (ends[-1] - starts[0]) / count, atol=1e-3)
            or not np.allclose(borders[[0, -1]], [self.edges[0], self.edges[-1]], atol=1e-3)
        ):
            return None
        shared = self._shared(count)
        return float(borders[shared[self.place]]), float(borders[shared[self.place + 1]])

    def _shared(self, count: int) -> list[int]:
        """Panel i has the columns from the i-th of these numbers up to the next one."""
        panels, width = len(self.edges) - 1, self.edges[-1] - self.edges[0]
        found = [0]
        for place in range(1, panels):
            nearest = round(count * (self.edges[place] - self.edges[0]) / width)
            found.append(min(max(nearest, found[-1] + 1), count - (panels - place)))
        return [*found, count]
