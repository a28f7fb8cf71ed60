"""From the places that a request names to regions of its picture."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from gazeheads.boxes import Box, RegionError, grid_boxes
from gazeheads.data.mask_pictures import read_mask
from gazeheads.live.uploads import PictureLimits, open_upload
from gazeheads.regions import Region
from gazeheads.serving.body import GazeBody, PlaceBody, RequestError


def content_of(url: str, field: str) -> bytes:
    """The bytes of a data URL; nothing is fetched.

    Raises:
        RequestError: it is another kind of URL, or damaged.
    """
    head, comma, data = url.partition(",")
    if not head.startswith("data:"):
        raise RequestError(
            f"{field}: send the picture itself, as data:image/png;base64,...: addresses are not "
            "fetched",
            param=field,
        )
    try:
        if not comma or not head.endswith(";base64"):
            raise ValueError
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error) as error:
        raise RequestError(f"{field}: this is no base64 data URL", param=field) from error


@dataclass(frozen=True, eq=False)
class PlacesOf:
    """What a request's places are counted in.

    Attributes:
        gaze: the request's.
        size: (width, height) of its picture.
        panels: of the picture, in order; empty: none were told.
        limits: of masks.
    """

    gaze: GazeBody
    size: tuple[int, int]
    panels: tuple[Region, ...]
    limits: PictureLimits

    @classmethod
    def on(cls, gaze: GazeBody, sizes: list[tuple[int, int]], limits: PictureLimits) -> PlacesOf:
        """The places of a request about pictures of these sizes.

        Raises:
            RequestError: it names a picture that is not there.
            RegionError: a panel lies outside it.
        """
        if gaze.image > len(sizes):
            count = f"{len(sizes)} picture" + "s" * (len(sizes) != 1)
            raise RequestError(
                f"gaze.image: no picture {gaze.image}: the conversation has {count}",
                param="gaze.image",
            )
        size = sizes[gaze.image - 1]
        return cls(gaze, size, _panels(gaze, size), limits)

    def region(self, place: PlaceBody) -> Region | None:
        """The region of a place; None: the heads are let go.

        Raises:
            RequestError: it names none, or counts in something that was not told.
            RegionError: it is empty or lies outside the picture.
        """
        named = place.one_place()
        if named == "release":
            return None
        if place.panel is not None:
            return self._panel(place.panel)
        if place.mask is not None:
            region = self._masked(place.mask)
        elif place.cell is not None:
            region = self._cell(*place.cell)
        else:
            units = self.gaze.units
            name = "box " + ",".join(f"{x:g}" for x in place.box or ())
            region = Region.from_box(place.box, name=name, units=units, size=self.size)
        return region.in_image(self.gaze.image - 1).cut_to(*self.size)

    def _panel(self, number: int) -> Region:
        if not self.panels:
            raise RequestError(
                "gaze.panel: say with gaze.panels how many panels the picture has, or where they "
                "are",
                param="gaze.panels",
            )
        if number > len(self.panels):
            raise RequestError(
                f"gaze.panel: no panel {number}: the picture has panels 1 to {len(self.panels)}",
                param="gaze.panel",
            )
        return self.panels[number - 1]

    def _cell(self, row: int, column: int) -> Region:
        if self.gaze.grid is None:
            raise RequestError(
                "gaze.cell: say with gaze.grid how many rows and columns it is counted in",
                param="gaze.grid",
            )
        rows, columns = self.gaze.grid
        if row > rows or column > columns:
            raise RequestError(
                f"gaze.cell: no cell {row}, {column} in a grid of {rows} x {columns}",
                param="gaze.cell",
            )
        box = grid_boxes(self.size, columns, rows)[(row - 1) * columns + column - 1]
        return Region.from_box(box, name=f"row {row}, column {column}")

    def _masked(self, url: str) -> Region:
        data = content_of(url, "gaze.mask")
        open_upload(data, self.limits)  # bounded before it is decoded as a mask
        return Region.from_mask(read_mask(data, "gaze.mask"), "mask")


def _panels(gaze: GazeBody, size: tuple[int, int]) -> tuple[Region, ...]:
    if gaze.panels is None:
        return ()
    if isinstance(gaze.panels, int):
        columns = gaze.columns or gaze.panels
        rows = -(-gaze.panels // columns)
        boxes: list[Box] = [tuple(b) for b in grid_boxes(size, columns, rows)[: gaze.panels]]
        named = [Region.from_box(box) for box in boxes]
    else:
        named = [Region.from_box(box, units=gaze.units, size=size) for box in gaze.panels]
    try:
        return tuple(
            Region(region.boxes, name=f"panel {n}", image=gaze.image - 1).cut_to(*size)
            for n, region in enumerate(named, 1)
        )
    except RegionError as error:
        raise RequestError(f"gaze.panels: {error}", param="gaze.panels") from error
