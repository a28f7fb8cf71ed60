"""What was found out about the place of a phrase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gazeheads.boxes import Box
from gazeheads.html_parts import heat, line
from gazeheads.locating.cells import Cells

NAMING, ATTENTION, LOCALIZATION = "naming", "attention", "localization"
METHODS = (NAMING, ATTENTION, LOCALIZATION)
LIKELY = 0.5
"""A phrase whose words are less probable than this, wherever the heads look, is likely not in the
picture. Chosen on drawn scenes with comic-tiny (docs/locate.md), not on any other model."""


@dataclass(frozen=True, eq=False)
class Located:
    """Where a phrase is, as far as a model shows it.

    Attributes:
        phrase: as asked for.
        method: "naming": what the model names where its heads look; "attention": where heads look
            when the question names the phrase; "localization": the same of localization heads.
        values: (rows, columns) one value per cell: "naming": the mean probability of the phrase's
            tokens (geometric); otherwise attention.
        cells: of the picture.
        box: (x0, y0, x1, y1) in pixels.
        peak: (x, y) in pixels, the middle of the strongest cell.
        unsteered: "naming": the phrase's value when the heads look where they like; otherwise None.

    Example:
        >>> located = gazeheads.locate(vlm, strip.image, "dog")
        >>> (located.phrase, located.method, len(located.box))
        ('dog', 'naming', 4)
    """

    phrase: str
    method: str
    values: np.ndarray
    cells: Cells
    box: Box
    peak: tuple[float, float]
    unsteered: float | None = None

    def __repr__(self) -> str:
        box = ", ".join(f"{corner:g}" for corner in self.box)
        found = {True: "", False: ", not found", None: ""}[self.likely]
        return f"Located({self.phrase!r} by {self.method}: box ({box}), {self.score:.3g}{found})"

    def _repr_html_(self) -> str:
        """In a notebook: the map of cells."""
        return line(repr(self)) + heat(self.values, f"cells of the picture for {self.phrase!r}")

    @property
    def point(self) -> tuple[float, float]:
        """The middle (x, y) of the box, in pixels."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @property
    def score(self) -> float:
        """The value of the strongest cell."""
        return float(self.values.max())

    @property
    def likely(self) -> bool | None:
        """Whether the model names the phrase anywhere; None: the method does not tell."""
        return None if self.unsteered is None else self.score >= LIKELY

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "phrase": self.phrase,
            "method": self.method,
            "box": list(self.box),
            "point": list(self.point),
            "peak": list(self.peak),
            "score": self.score,
            "unsteered": self.unsteered,
            "likely": self.likely,
            "rows": self.cells.rows,
            "columns": self.cells.columns,
            "values": self.values.tolist(),
        }
