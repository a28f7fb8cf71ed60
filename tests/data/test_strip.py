from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import STEP, Strip
from gazeheads.errors import GazeheadsError

COLOURS = ("#c02020", "#20a020", "#2020c0", "#a08020", "#208080", "#802080", "#404040", "#101010")
SIZES = st.lists(st.tuples(st.integers(16, 400), st.integers(16, 400)), min_size=1, max_size=8)


def plain(*sizes: tuple[int, int], **options: object) -> Strip:
    panels = tuple(
        Image.new("RGB", size, colour) for size, colour in zip(sizes, COLOURS, strict=False)
    )
    return Strip("plain", panels, **options)  # type: ignore[arg-type]


def boxes(strip: Strip) -> list[tuple[float, float, float, float]]:
    return [region.boxes[0] for region in strip.regions]


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, height=st.integers(32, 400))
def test_panel_boxes_tile_a_row(sizes: list[tuple[int, int]], height: int) -> None:
    strip = plain(*sizes, panel_height=height)

    assert strip.image.height % STEP == 0
    assert abs(strip.image.height - height) <= STEP / 2
    edge = 0.0
    for x0, y0, x1, y1 in boxes(strip):
        assert (x0, y0, y1) == (edge, 0, strip.image.height)
        assert (x1 - x0) % STEP == 0
        edge = x1
    assert edge == strip.image.width


@pytest.mark.parametrize("width", [79, 80, 81, 111, 112, 113])
def test_a_width_loses_its_fraction_before_it_is_rounded_to_whole_tokens(width: int) -> None:
    strip = plain((width * 3 + 2, 3 * 64), panel_height=64)  # brought to a width of `width` + 2/3

    assert strip.image.width == 32 * round(width / 32)


@settings(max_examples=30, deadline=None)
@given(panels=st.integers(1, 8), columns=st.integers(1, 8))
def test_grid_boxes_are_disjoint_and_inside(panels: int, columns: int) -> None:
    strip = plain(*[(64, 64)] * panels, columns=columns, panel_height=64)
    covered = np.zeros((strip.image.height, strip.image.width), int)

    for x0, y0, x1, y1 in boxes(strip):
        covered[int(y0) : int(y1), int(x0) : int(x1)] += 1

    assert covered.max() == 1
    assert covered.sum() == panels * 64 * 64
    assert strip.image.size == (64 * min(panels, columns), 64 * -(-panels // columns))


def test_each_region_shows_its_panel() -> None:
    strip = plain((100, 80), (60, 200), (50, 50), columns=2)
    page = np.asarray(strip.image)

    for number, panel in enumerate(strip.panels, 1):
        x0, y0, x1, y1 = (int(edge) for edge in strip.panel(number).boxes[0])
        assert tuple(page[(y0 + y1) // 2, (x0 + x1) // 2]) == panel.getpixel((0, 0))


@pytest.mark.parametrize(("height", "gap"), [(256, 6), (512, 12), (128, 3)])
def test_seams_are_white_and_scale_with_the_height(height: int, gap: int) -> None:
    strip = plain((50, 50), (50, 50), (50, 50), panel_height=height)
    row = np.asarray(strip.image)[height // 2]

    white = np.flatnonzero((row == 255).all(axis=1))

    first = range(height - gap // 2, height - gap // 2 + gap)
    assert list(white) == [*first, *(x + height for x in first)]


def test_grid_has_seams_between_rows() -> None:
    strip = plain(*[(50, 50)] * 4, columns=2)
    column = np.asarray(strip.image)[:, 100]

    assert list(np.flatnonzero((column == 255).all(axis=1))) == list(range(253, 259))


def test_panels_are_numbered_from_one() -> None:
    strip = plain((50, 50), (50, 50))

    assert strip.panel(2) == strip.regions[1]
    assert strip.panel(2).name == "panel 2"
    for number in (0, 3, -1):
        with pytest.raises(GazeheadsError, match=f"no panel {number}: .* panels 1 to 2"):
            strip.panel(number)


def test_labels_change_only_the_corner() -> None:
    strip = plain((200, 200), (200, 200))

    labelled = strip.with_labels("A7")

    assert labelled.labels == ("A", "7")
    for before, after in zip(strip.panels, labelled.panels, strict=True):
        changed = np.asarray(before) != np.asarray(after)
        assert changed[:60, :60].any()
        assert not changed[60:].any()
        assert not changed[:, 60:].any()


def test_labels_can_be_told_apart_and_keep_their_size() -> None:
    panel = Image.new("RGB", (96, 96), "green")
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    strip = Strip("same", (panel,) * len(signs))

    painted = [np.asarray(p).astype(int) for p in strip.with_labels(signs).panels]

    for i, one in enumerate(painted):
        for other in painted[:i]:
            # O and 0 are the closest pair; even they must differ in more than a pixel.
            assert (np.abs(one - other).max(axis=2) > 60).sum() > 5


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"captions": (("one",),)}, "2 panels but 1 captions"),
        ({"labels": ("A", "B", "C")}, "2 panels but 3 labels"),
        ({"columns": 0}, "at least 1 column"),
        ({"panel_height": 0}, "at least 1, not 0"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(GazeheadsError, match=complaint):
        plain((50, 50), (50, 50), **options)


def test_a_strip_needs_panels_and_a_label_for_each() -> None:
    with pytest.raises(GazeheadsError, match="has no panels"):
        Strip("none", ())
    with pytest.raises(GazeheadsError, match="2 panels, cannot paint 3 labels"):
        plain((50, 50), (50, 50)).with_labels("ABC")


def test_a_panel_is_named_by_a_whole_number() -> None:
    strip = draw_strips(1, 0, 2, size=32)[0]
    assert strip.panel(np.int64(2)).boxes == strip.panel(2).boxes
    for wrong in (1.0, "1", True, None):
        with pytest.raises(GazeheadsError, match="a panel is named by its number, from 1"):
            strip.panel(wrong)
