"""A comic strip: panels side by side (or in a grid) as the one image a model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from gazeheads.data.drawn.mark import marked
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.pictures import is_plain, open_image
from gazeheads.errors import GazeheadsError
from gazeheads.html_parts import line, picture, table
from gazeheads.panel_columns import PanelRow
from gazeheads.regions import Region

PANEL_HEIGHT = 256
"""Height in pixels to which the study brings every panel."""
SEAM = 6
"""Width in pixels of the white gap between panels of that height."""
STEP = 32
"""Panels are this many pixels or a multiple of it wide and high: whole image tokens."""
LABEL = 0.27
"""Height of a painted label as a share of its panel."""
LABEL_CENTRE = 0.17
"""Where in its panel a label's centre lies, as a share from the left and from the top."""

PixelBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class Strip:
    """Panels in reading order, with what is known about them.

    Attributes:
        id: Name of the strip in records and files.
        panels: The panels as they were drawn or scanned, upright and RGB; perhaps still in their
            files.
        truths: What each panel shows, for drawn comics.
        captions: Wordings of each panel.
        columns: Panels per row; None for one row.
        labels: Letters or digits painted on the panels, kept here for judging.
        panel_height: Height in pixels to which panels are brought in `image`.
    """

    id: str
    panels: Sequence[Image.Image]
    truths: tuple[PanelTruth, ...] | None = None
    captions: tuple[tuple[str, ...], ...] | None = None
    columns: int | None = None
    labels: tuple[str, ...] | None = None
    panel_height: int = PANEL_HEIGHT

    def __post_init__(self) -> None:
        if not self.panels:
            raise GazeheadsError(f"strip {self.id!r} has no panels")
        upright = tuple(p if is_plain(p) else open_image(p) for p in self.panels)
        object.__setattr__(self, "panels", upright)
        if self.columns is not None and self.columns < 1:
            raise GazeheadsError(
                f"strip {self.id!r}: a grid needs at least 1 column, not {self.columns}"
            )
        if self.panel_height < 1:
            raise GazeheadsError(f"panel height must be at least 1, not {self.panel_height}")
        for name, entries in (
            ("truths", self.truths), ("captions", self.captions), ("labels", self.labels),
        ):  # fmt: skip
            if entries is not None and len(entries) != len(self.panels):
                raise GazeheadsError(
                    f"strip {self.id!r} has {len(self.panels)} panels but {len(entries)} {name}"
                )

    def __len__(self) -> int:
        return len(self.panels)

    def __repr__(self) -> str:
        known = [name for name in ("truths", "captions", "labels") if getattr(self, name)]
        more = f", with {' and '.join(known)}" if known else ""
        return f"Strip({self.id!r}, {len(self)} panels{more})"

    def _repr_html_(self) -> str:
        """In a notebook: the strip and its captions."""
        shown = line(repr(self)) + picture(self.image, repr(self))
        told = [(n, wordings[0]) for n, wordings in enumerate(self.captions or (), 1) if wordings]
        return shown + (table(("panel", "caption"), told) if told else "")

    @cached_property
    def image(self) -> Image.Image:
        """The whole strip in the study's layout, RGB."""
        boxes = self._boxes
        size = (max(box[2] for box in boxes), max(box[3] for box in boxes))
        page = Image.new("RGB", size, "white")
        for panel, (x0, y0, x1, y1) in zip(self.panels, boxes, strict=True):
            resized = panel.resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS)
            page.paste(resized, (x0, y0))
        self._paint_seams(page)
        return page if self.truths is None else marked(page)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Where each panel is in `image`, in reading order."""
        boxes = self._boxes
        edges = (*(float(box[0]) for box in boxes), float(boxes[-1][2]))
        one_row = all(box[1] == 0 for box in boxes)
        return tuple(
            Region((box,), name=f"panel {i + 1}", row=PanelRow(edges, i) if one_row else None)
            for i, box in enumerate(boxes)
        )

    def panel(self, number: int) -> Region:
        """Where one panel is in `image`.

        Args:
            number: Panels are numbered from 1.

        Raises:
            GazeheadsError: There is no such panel.
        """
        if isinstance(number, bool) or not hasattr(number, "__index__"):
            raise GazeheadsError(f"a panel is named by its number, from 1, not by {number!r}")
        if not 1 <= number <= len(self):
            exist = f"panels 1 to {len(self)}" if len(self) > 1 else "panel 1 only"
            raise GazeheadsError(f"no panel {number}: strip {self.id!r} has {exist}")
        return self.regions[number - 1]

    def with_labels(self, labels: Sequence[str]) -> Strip:
        """The same strip with a label painted in a corner of every panel."""
        if len(labels) != len(self):
            raise GazeheadsError(
                f"strip {self.id!r} has {len(self)} panels, cannot paint {len(labels)} labels"
            )
        painted = tuple(
            paint_label(panel, label) for panel, label in zip(self.panels, labels, strict=True)
        )
        return replace(self, panels=painted, labels=tuple(labels))

    @cached_property
    def _boxes(self) -> tuple[PixelBox, ...]:
        height = _whole_steps(self.panel_height)
        boxes: list[PixelBox] = []
        across = self.columns or len(self)
        for start in range(0, len(self), across):
            x, y = 0, start // across * height
            for panel in self.panels[start : start + across]:
                # the released code cuts the fraction off before it rounds
                width = _whole_steps(int(panel.width * height / panel.height))
                boxes.append((x, y, x + width, y + height))
                x += width
        return tuple(boxes)

    def _paint_seams(self, page: Image.Image) -> None:
        gap = max(1, round(SEAM * _whole_steps(self.panel_height) / PANEL_HEIGHT))
        before = gap // 2
        draw = ImageDraw.Draw(page)
        for x0, y0, x1, y1 in self._boxes:
            if x0 > 0:
                draw.rectangle([x0 - before, y0, x0 - before + gap - 1, y1 - 1], fill="white")
            if y0 > 0:
                draw.rectangle([x0, y0 - before, x1 - 1, y0 - before + gap - 1], fill="white")


def paint_label(panel: Image.Image, label: str) -> Image.Image:
    """A copy of the panel with a large label on a white badge in its upper left corner."""
    fine = 3
    side = round(LABEL * min(panel.size))
    height = side * fine
    font = _font(round(height * 0.78))
    width = max(height, round(font.getlength(label) + 0.4 * height))
    badge = Image.new("L", (width, height), 0)
    ink = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(badge).rounded_rectangle([0, 0, width - 1, height - 1], height // 5, fill=255)
    draw = ImageDraw.Draw(ink)
    frame = max(2, height // 18)
    draw.rounded_rectangle(
        [0, 0, width - 1, height - 1], height // 5, outline="#20242c", width=frame
    )
    draw.text((width / 2, height / 2), label, fill="#101318", font=font, anchor="mm")
    labelled = open_image(panel)
    small = (width // fine, side)
    inset = max(1, side // 8)
    labelled.paste(
        ink.resize(small, Image.Resampling.LANCZOS),
        (inset, inset),
        badge.resize(small, Image.Resampling.LANCZOS),
    )
    return labelled


def _whole_steps(length: float) -> int:
    return max(STEP, round(length / STEP) * STEP)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(fonts / "DejaVuSans-Bold.ttf"), size)
