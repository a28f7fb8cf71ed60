"""From options to the regions of pictures, and from paths to the pictures; loads no model."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gazeheads.boxes import RegionError
from gazeheads.cli.region_options import Units
from gazeheads.data.folders import ENDINGS
from gazeheads.data.mask_pictures import read_mask
from gazeheads.errors import GazeheadsError
from gazeheads.files import file_name, marked_name
from gazeheads.regions import Region

MOST_CELLS = 400


def region_of_text(text: str, units: Units, size: tuple[int, int], option: str) -> Region:
    """The region of a box written as x0,y0,x1,y1.

    Args:
        text: as the user wrote it.
        units: of the numbers.
        size: (width, height) of the picture.
        option: that holds it, in messages.

    Raises:
        GazeheadsError: it is no box, or outside the picture.
    """
    try:
        x0, y0, x1, y1 = (float(part) for part in text.strip(" ()[]").split(","))
    except ValueError as error:
        raise GazeheadsError(
            f"{option} wants x0,y0,x1,y1 in {units.value}, not {text!r}"
        ) from error
    region = Region.from_box(x0, y0, x1, y1, f"box {text}", units=units.value, size=size)
    return region.cut_to(*size)


@dataclass(frozen=True)
class Places:
    """The regions a user names for every picture.

    Attributes:
        boxes: as written, in `units`.
        masks: their files.
        grid: "ROWSxCOLUMNS"; None: no grid.
        units: of the boxes.
    """

    boxes: tuple[str, ...] = ()
    masks: tuple[Path, ...] = ()
    grid: str | None = None
    units: Units = Units.pixels

    def __bool__(self) -> bool:
        return bool(self.boxes or self.masks or self.grid)

    def on(self, size: tuple[int, int], name: str) -> tuple[Region, ...]:
        """The regions of a picture: boxes, masks, then the cells of the grid row by row.

        Args:
            size: (width, height) of the picture.
            name: of the picture, in messages.

        Raises:
            GazeheadsError: one is no region, or outside the picture.
        """
        try:
            found = [region_of_text(box, self.units, size, "--region") for box in self.boxes]
            for path in self.masks:
                mask = Region.from_mask(read_mask(path), f"mask {path.name}")
                found.append(mask.cut_to(*size))
        except RegionError as error:
            raise RegionError(f"{name}: {error}") from error
        return (*found, *(_cells(self.grid, size) if self.grid else ()))

    def asked(self) -> dict[str, Any]:
        """What makes them the same regions again, as JSON values."""
        masks = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in self.masks]
        boxes = list(self.boxes)
        return {"boxes": boxes, "units": self.units.value, "masks": masks, "grid": self.grid}


def _cells(grid: str, size: tuple[int, int]) -> list[Region]:
    match = re.fullmatch(r"\s*(\d{1,3})\s*[xX]\s*(\d{1,3})\s*", grid)
    rows, columns = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= rows * columns <= MOST_CELLS:
        raise GazeheadsError(
            f"--grid wants ROWSxCOLUMNS, such as 2x3, of at most {MOST_CELLS} cells, not {grid!r}"
        )
    width, height = size[0] / columns, size[1] / rows
    return [
        Region.from_box(
            column * width, row * height, (column + 1) * width, (row + 1) * height,
            f"row {row + 1}, column {column + 1}",
        )
        for row in range(rows)
        for column in range(columns)
    ]  # fmt: skip


def pictures_at(paths: Sequence[Path]) -> dict[str, Path]:
    """The pictures named, and those of folders in the order of their names, by file names to use.

    Raises:
        GazeheadsError: one is missing, a folder holds none, or a picture is named twice.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [each for each in path.iterdir() if _is_picture(each)]
            if not inside:
                raise GazeheadsError(f"no picture in {path}: it holds none of {', '.join(ENDINGS)}")
            found += sorted(inside)
        else:
            found.append(path)
    named: dict[str, Path] = {}
    stems = [file_name(path.name) for path in found]
    for path, stem in zip(found, stems, strict=True):
        name = stem if stems.count(stem) == 1 else marked_name(os.fspath(path.absolute()))
        if name in named:
            raise GazeheadsError(f"{path} is named twice")
        named[name] = path
    return named


def _is_picture(path: Path) -> bool:
    ending = path.suffix.lower().removeprefix(".")
    return path.is_file() and not path.name.startswith(".") and ending in ENDINGS
