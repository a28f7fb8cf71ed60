"""A picture cut into equal cells, and boxes and points of a map over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, label

from gazeheads.boxes import Box, overlap_1d
from gazeheads.errors import GazeheadsError
from gazeheads.regions import ImageTokens, Region, UncoveredError

MOST = 12
"""Cells along an edge, at most: every cell costs a pass."""
NEAR = 0.8
"""Of the strongest cell: what exceeds that share of it speaks for the object, the rest against."""


@dataclass(frozen=True)
class Cells:
    """Equal cells of a picture.

    Attributes:
        size: (width, height) of the picture in pixels.
        rows, columns: of cells.
    """

    size: tuple[int, int]
    rows: int
    columns: int

    @classmethod
    def of(
        cls, tokens: ImageTokens, most: int = MOST, image: int = 0, each_steerable: bool = True
    ) -> Cells:
        """As fine as the image tokens allow.

        Args:
            tokens: of the prompt, in any arrangement: a grid, or tiles beside a small whole.
            most: cells along an edge.
            image: which image of the prompt.
            each_steerable: coarser, if need be, until the centre of a token lies in every cell.

        Raises:
            GazeheadsError: fewer than one cell is asked for.
        """
        if most < 1:
            raise GazeheadsError(f"a picture has at least 1 cell along an edge, not {most}")
        own = tokens.boxes[(tokens.image_index == image) & ~np.isnan(tokens.boxes[:, 0])]
        width, height = tokens.sizes[image]
        columns = _along(width, own[:, 2] - own[:, 0], most)
        rows = _along(height, own[:, 3] - own[:, 1], most)
        while True:
            cells = cls((width, height), rows, columns)
            if not each_steerable or rows == columns == 1 or cells._covered(tokens, image):
                return cells
            # the longer count first, so that cells stay about square
            columns, rows = (columns - 1, rows) if columns > rows else (columns, max(1, rows - 1))

    def _covered(self, tokens: ImageTokens, image: int) -> bool:
        try:
            for region in self.regions():
                tokens.indices(region.in_image(image))
        except UncoveredError:
            return False
        return True

    def __len__(self) -> int:
        return self.rows * self.columns

    def box(self, x0: int, y0: int, x1: int, y1: int) -> Box:
        """In pixels, of the cells from (x0, y0) up to but without (x1, y1)."""
        across, down = self.size[0] / self.columns, self.size[1] / self.rows
        return x0 * across, y0 * down, x1 * across, y1 * down

    def regions(self) -> list[Region]:
        """The cells, row by row."""
        return [
            Region((self.box(x, y, x + 1, y + 1),), name=f"cell {y + 1}, {x + 1}")
            for y in range(self.rows)
            for x in range(self.columns)
        ]

    def sums(self, values: np.ndarray, tokens: ImageTokens, image: int = 0) -> np.ndarray:
        """(N, rows, columns) sums per cell of (N, T) values per image token.

        Every token's value is spread evenly over its box; what lies outside all boxes is left out.
        """
        own = (tokens.image_index == image) & ~np.isnan(tokens.boxes[:, 0])
        boxes = tokens.boxes[own]
        wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        ends = np.linspace(0, self.size[0], self.columns + 1)
        across = overlap_1d(boxes[:, 0], boxes[:, 2], ends) / wide[:, None]
        ends = np.linspace(0, self.size[1], self.rows + 1)
        down = overlap_1d(boxes[:, 1], boxes[:, 3], ends) / high[:, None]
        return np.asarray(np.einsum("nt,tr,tc->nrc", values[:, own], down, across, optimize=True))

    def centre(self, values: np.ndarray) -> tuple[float, float]:
        """The middle (x, y) in pixels of the strongest cell; of the first, if several are."""
        row, column = divmod(int(values.argmax()), self.columns)
        x0, y0, x1, y1 = self.box(column, row, column + 1, row + 1)
        return (x0 + x1) / 2, (y0 + y1) / 2

    def best_box(self, values: np.ndarray, near: float = NEAR) -> Box:
        """The box around the strongest cell that holds most of what is nearly as strong.

        Of all rectangles of cells that contain it, the one with the largest sum of (value / largest
        value - near); of several, the smallest.

        Args:
            values: (rows, columns), none negative.
            near: see `NEAR`.

        Raises:
            GazeheadsError: all values are 0.
        """
        most = float(values.max())
        if not most > 0:
            raise GazeheadsError("a map of zeros shows no place")
        sums = np.zeros((self.rows + 1, self.columns + 1))
        sums[1:, 1:] = (values / most - near).cumsum(0).cumsum(1)
        row, column = divmod(int(values.argmax()), self.columns)
        y0, y1 = np.arange(row + 1), np.arange(row + 1, self.rows + 1)
        x0, x1 = np.arange(column + 1), np.arange(column + 1, self.columns + 1)
        a, b, c, d = np.ix_(y0, y1, x0, x1)
        inside = sums[b, d] - sums[a, d] - sums[b, c] + sums[a, c]
        area = (b - a) * (d - c)
        order = np.lexsort((area.ravel(), -inside.round(9).ravel()))
        i, j, m, n = np.unravel_index(int(order[0]), inside.shape)
        return self.box(int(x0[m]), int(y0[i]), int(x1[n]), int(y1[j]))

    def smoothed_box(self, values: np.ndarray, sigma: float = 1.0) -> Box:
        """The box of Kang et al. (CVPR 2025): smoothed, cut at the mean, the largest clump.

        Args:
            values: (rows, columns) attention.
            sigma: of the Gaussian, in cells.
        """
        smooth = gaussian_filter(values.astype(np.float64), sigma)
        clumps, count = label(smooth > smooth.mean(), structure=np.ones((3, 3)))
        if not count:
            return self.box(0, 0, self.columns, self.rows)
        largest = 1 + int(np.bincount(clumps.ravel())[1:].argmax())
        rows, columns = np.nonzero(clumps == largest)
        return self.box(
            int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
        )


def _along(edge: int, sides: np.ndarray, most: int) -> int:
    """How many cells fit along an edge when none is smaller than a token."""
    return max(1, min(most, int(edge / max(float(np.min(sides)), 1e-9) + 1e-6)))


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0.0) * max(high, 0.0)
    whole = sum((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b)) - both
    return both / whole if whole > 0 else 0.0


def holds(box: Box, point: tuple[float, float]) -> bool:
    """Whether a point lies in a box, x1 and y1 exclusive."""
    return box[0] <= point[0] < box[2] and box[1] <= point[1] < box[3]
