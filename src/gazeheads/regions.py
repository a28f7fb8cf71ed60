"""Regions in pixels of the original image, and the image tokens that lie under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from gazeheads.boxes import (
    Box,
    RegionError,
    Units,
    areas,
    box_of,
    boxes_of,
    fitted_to,
    grid_boxes,
    in_pixels,
    overlap_1d,
    text,
)
from gazeheads.html_parts import outline
from gazeheads.masks import check_shape, mask_of
from gazeheads.panel_columns import PanelRow
from gazeheads.uncovered import CroppedError, TooSmallError, UncoveredError, why_uncovered

__all__ = [
    "Box", "CroppedError", "ImageTokens", "Region", "RegionError", "Rule", "TooSmallError",
    "UncoveredError", "Units", "grid_boxes",
]  # fmt: skip

Rule = Literal["centre", "overlap"]


@dataclass(frozen=True, eq=False)
class Region:
    """A part of an image: one or more boxes, or a mask, in pixels of the ORIGINAL image.

    Attributes:
        boxes: (x0, y0, x1, y1) each, x1 and y1 exclusive; overlaps count once. Any (N, 4).
        mask: (height, width) bool, the size of the image; instead of boxes.
        name: what the region is called in outputs.
        image: which image of the prompt it belongs to, from 0.
        row: of a panel of a strip, the panels beside it: each has a column of tokens of its own.
    """

    boxes: tuple[Box, ...] = ()
    mask: np.ndarray | None = None
    name: str = ""
    image: int = 0
    row: PanelRow | None = None

    def __post_init__(self) -> None:
        if (self.mask is None) == (not len(self.boxes)):
            raise RegionError("a region is either boxes or a mask, and not empty")
        if self.mask is not None:
            mask = np.array(mask_of(self.mask), dtype=bool)
            mask.setflags(write=False)
            object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "boxes", boxes_of(self.boxes) if len(self.boxes) else ())

    @classmethod
    def from_box(
        cls,
        x0: Any,
        y0: float | None = None,
        x1: float | None = None,
        y1: float | None = None,
        name: str = "",
        *,
        units: Units = "pixels",
        size: tuple[int, int] | None = None,
    ) -> Region:
        """One box, x1 and y1 exclusive.

        Args:
            x0, y0, x1, y1: its corners; or all four as `x0`, of any sequence, array or tensor.
            name: in outputs.
            units: "pixels" of the original image; "relative": 0 to 1 of its width and height;
                "per-mille": 0 to 1000.
            size: (width, height) of the original image; needed for other units than pixels.

        Raises:
            RegionError: it is empty, in another unit, or no box.
        """
        corners = x0 if y0 is None and x1 is None and y1 is None else (x0, y0, x1, y1)
        box = in_pixels(box_of(corners), units, size)
        return cls(boxes=(box,), name=name)

    @classmethod
    def from_mask(
        cls,
        mask: Any,
        name: str = "",
        *,
        threshold: float | None = None,
        label: int | None = None,
    ) -> Region:
        """Pixels of a mask of the original image's size.

        Args:
            mask: (height, width), with or without an axis of 1 more: bool; 0 and 1, or 0 and 255.
                Probabilities and logits need a threshold, maps of labels a label.
            name: in outputs.
            threshold: values above it belong to the region: 0.5 for probabilities, 0 for logits.
            label: the number of the object.

        Raises:
            RegionError: other shapes, or numbers whose meaning is not said.
        """
        return cls(mask=mask_of(mask, threshold, label), name=name)

    def in_image(self, image: int) -> Region:
        """The same region of the prompt's `image`-th image, from 0."""
        return replace(self, image=image)

    @property
    def called(self) -> str:
        """What the region is called in messages."""
        box = f", box {text(self.boxes[0])}," if len(self.boxes) == 1 else ""
        return f"region {self.name!r}{box}"

    _repr_html_ = outline

    def _key(self) -> tuple[object, ...]:
        mask = None if self.mask is None else (self.mask.shape, self.mask.tobytes())
        return (self.boxes, mask, self.name, self.image, self.row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def check_inside(self, width: int, height: int) -> None:
        """Raises RegionError unless it lies inside such an image, boxes but for a few pixels."""
        self.cut_to(width, height)

    def cut_to(self, width: int, height: int) -> Region:
        """The part of the region inside an image of that size; raises as `check_inside` does."""
        if self.mask is None:
            boxes = tuple(fitted_to(box, width, height, self.name) for box in self.boxes)
            return self if boxes == self.boxes else replace(self, boxes=boxes)
        check_shape(self.mask, width, height, self.name)
        return self

    def _raster(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column edges, row edges and which cells between them belong to the region."""
        if self.mask is not None:
            height, width = self.mask.shape
            return np.arange(width + 1.0), np.arange(height + 1.0), self.mask
        xs = np.unique([v for box in self.boxes for v in (box[0], box[2])])
        ys = np.unique([v for box in self.boxes for v in (box[1], box[3])])
        inside = np.zeros((len(ys) - 1, len(xs) - 1), dtype=bool)
        for x0, y0, x1, y1 in self.boxes:
            columns = (xs[:-1] >= x0) & (xs[1:] <= x1)
            inside |= ((ys[:-1] >= y0) & (ys[1:] <= y1))[:, None] & columns[None, :]
        return xs, ys, inside

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which of the points (x, y) lie inside; NaN points do not."""
        xs, ys, inside = self._raster()
        column = np.searchsorted(xs, x, side="right") - 1
        row = np.searchsorted(ys, y, side="right") - 1
        valid = (column >= 0) & (column < len(xs) - 1) & (row >= 0) & (row < len(ys) - 1)
        found = np.zeros(np.shape(x), dtype=bool)
        found[valid] = inside[row[valid], column[valid]]
        return found

    def covered_area(self, boxes: np.ndarray) -> np.ndarray:
        """Area in square pixels of each (T, 4) box that lies inside the region."""
        xs, ys, inside = self._raster()
        across = overlap_1d(boxes[:, 0], boxes[:, 2], xs)
        down = overlap_1d(boxes[:, 1], boxes[:, 3], ys)
        return np.asarray(((down @ inside.astype(np.float64)) * across).sum(1))


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """Where the image tokens of one prompt are, in the sequence and in the image.

    Attributes:
        positions: (T,) index of each image token in the prompt, ascending, without padding.
        boxes: (T, 4) box of each token in pixels of its original image; NaN for a token that
            stands for no part of the image (row ends, separators).
        sizes: (width, height) of each original image.
        image_index: (T,) which image each token belongs to, from 0.
    """

    positions: np.ndarray
    boxes: np.ndarray
    sizes: tuple[tuple[int, int], ...]
    image_index: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.positions)
        if self.boxes.shape != (count, 4) or self.image_index.shape != (count,):
            raise RegionError(
                f"{count} image tokens need {count} boxes and image numbers, found "
                f"{self.boxes.shape} and {self.image_index.shape}"
            )

    @classmethod
    def of_grid(
        cls, positions: Sequence[int] | np.ndarray, size: tuple[int, int], columns: int, rows: int
    ) -> ImageTokens:
        """One image whose tokens are the cells of a grid, row by row."""
        where = np.asarray(positions, dtype=np.int64)
        return cls(where, grid_boxes(size, columns, rows), (size,), np.zeros_like(where))

    def __len__(self) -> int:
        return len(self.positions)

    def shifted(self, offset: int) -> ImageTokens:
        """The same tokens when `offset` padding tokens stand before the prompt."""
        return replace(self, positions=self.positions + offset)

    def indices(self, region: Region, rule: Rule = "centre", threshold: float = 0.5) -> np.ndarray:
        """Which of the T tokens belong to `region`, as ascending indices into them.

        Args:
            region: of the image `region.image`.
            rule: "centre": the token's centre lies inside (the study's rule for boxes);
                "overlap": at least the share `threshold` of the token's box lies inside.
            threshold: in (0, 1], for "overlap" only.

        Raises:
            RegionError: it lies outside the image; `UncoveredError`: no token belongs to it.
        """
        if not 0 <= region.image < len(self.sizes):
            raise RegionError(
                f"region {region.name!r} is of image {region.image}, the prompt has "
                f"{len(self.sizes)} (counted from 0)"
            )
        region = region.cut_to(*self.sizes[region.image])
        own = (self.image_index == region.image) & ~np.isnan(self.boxes[:, 0])
        boxes = np.where(own[:, None], self.boxes, 0.0)
        if rule == "centre":
            centre_x, centre_y = boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)
            chosen = own & region.contains(centre_x, centre_y)
            if region.row is not None and (ends := region.row.columns(self.boxes[own])):
                chosen = own & (ends[0] < centre_x) & (centre_x < ends[1])
        elif rule == "overlap":
            if not 0 < threshold <= 1:
                raise RegionError(f"threshold must be in (0, 1], not {threshold}")
            area = areas(boxes)
            enough = region.covered_area(boxes) >= threshold * area - 1e-6
            chosen = own & (area > 0) & enough
        else:
            raise RegionError(f"unknown rule {rule!r}: use centre or overlap")
        if not chosen.any():
            covered = region.covered_area(boxes[own])
            raise why_uncovered(region.called, boxes[own], covered, rule, threshold)
        return np.flatnonzero(chosen)

    def select(self, region: Region, rule: Rule = "centre", threshold: float = 0.5) -> np.ndarray:
        """Positions in the sequence of the tokens of `region`; see `indices`."""
        return np.asarray(self.positions[self.indices(region, rule, threshold)])

    def others(self, region: Region, rule: Rule = "centre", threshold: float = 0.5) -> np.ndarray:
        """Positions of all other tokens of the region's image, those without a box included."""
        rest = self.image_index == region.image
        rest[self.indices(region, rule, threshold)] = False
        return np.asarray(self.positions[rest])

    @cached_property
    def _edges(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        return tuple((np.arange(w + 1.0), np.arange(h + 1.0)) for w, h in self.sizes)

    def heatmap(self, values: np.ndarray, image: int = 0) -> np.ndarray:
        """Spreads one value per token over the pixels its box covers.

        Args:
            values: (T,) for example attention mass.
            image: which image of the prompt.

        Returns:
            (height, width) value per pixel; its sum is the sum of the values of the tokens that
            have a box inside the image.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (len(self),):
            raise RegionError(f"heatmap wants {len(self)} values, found shape {values.shape}")
        own = (self.image_index == image) & ~np.isnan(self.boxes[:, 0])
        boxes = self.boxes[own]
        area, empty = areas(boxes), np.zeros(len(boxes))
        return self._paint(boxes, np.divide(values[own], area, out=empty, where=area > 0), image)

    def coverage(self, image: int = 0) -> np.ndarray:
        """(height, width): how many tokens lie over each pixel (fractions at token edges)."""
        boxes = self.boxes[(self.image_index == image) & ~np.isnan(self.boxes[:, 0])]
        return self._paint(boxes, np.ones(len(boxes)), image)

    def _paint(self, boxes: np.ndarray, density: np.ndarray, image: int) -> np.ndarray:
        across = overlap_1d(boxes[:, 0], boxes[:, 2], self._edges[image][0])
        down = overlap_1d(boxes[:, 1], boxes[:, 3], self._edges[image][1])
        return np.asarray((down * density[:, None]).T @ across)
