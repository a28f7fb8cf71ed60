"""Cells of a picture: sums, boxes and points of maps over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.errors import GazeheadsError
from gazeheads.locating.cells import Cells, holds, iou
from gazeheads.regions import ImageTokens

sizes = st.tuples(st.integers(20, 200), st.integers(20, 200))
counts = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(sizes, counts, st.integers(1, 9), st.data())
def test_sums_over_cells_lose_nothing_of_a_grid(
    size: tuple[int, int], grid: tuple[int, int], most: int, data: st.DataObject
) -> None:
    columns, rows = grid
    tokens = ImageTokens.of_grid(np.arange(rows * columns), size, columns, rows)
    cells = Cells.of(tokens, most)
    assert cells.rows <= min(most, rows) and cells.columns <= min(most, columns)
    values = np.array(data.draw(st.lists(
        st.floats(0, 1), min_size=rows * columns, max_size=rows * columns
    )))  # fmt: skip
    assert cells.sums(values[None], tokens).sum() == pytest.approx(values.sum())
    for region in cells.regions():
        assert len(tokens.indices(region))


def test_every_cell_of_tiles_beside_a_small_whole_can_be_steered_to() -> None:
    # two tiles of 3 x 3 side by side, and a whole of 2 x 2 over both
    tile = [
        (x0 + 10 * x, 10 * y, x0 + 10 * x + 10, 10 * y + 10)
        for x0 in (0, 30) for y in range(3) for x in range(3)
    ]  # fmt: skip
    whole = [(30 * x, 15 * y, 30 * x + 30, 15 * y + 15) for y in range(2) for x in range(2)]
    boxes = np.array([*tile, *whole], dtype=float)
    tokens = ImageTokens(np.arange(22), boxes, ((60, 30),), np.zeros(22, dtype=int))
    cells = Cells.of(tokens)
    assert (cells.rows, cells.columns) == (3, 6)
    # what lies on one tile's token and on the whole above it adds up where both are
    values = np.zeros((1, 22))
    values[0, [0, 18]] = 1.0, 1.0
    found = cells.sums(values, tokens)[0]
    assert found[0, 0] == pytest.approx(1 + 100 / 450) and found[:, 3:].sum() == 0


def test_a_strip_of_tokens_without_a_place_leaves_its_mass_out() -> None:
    boxes = np.array([(0, 0, 10, 10), (10, 0, 20, 10), (np.nan,) * 4])
    tokens = ImageTokens(np.arange(3), boxes, ((20, 10),), np.zeros(3, dtype=int))
    assert Cells.of(tokens).sums(np.ones((1, 3)), tokens).tolist() == [[[1.0, 1.0]]]


def brute(values: np.ndarray, near: float) -> tuple[float, int]:
    """The largest sum of a rectangle around the strongest cell, and its smallest area."""
    rows, columns = values.shape
    row, column = divmod(int(values.argmax()), columns)
    gain = values / values.max() - near
    found = [
        (round(float(gain[a:b, c:d].sum()), 9), -(b - a) * (d - c))
        for a in range(row + 1) for b in range(row + 1, rows + 1)
        for c in range(column + 1) for d in range(column + 1, columns + 1)
    ]  # fmt: skip
    best = max(found)
    return best[0], -best[1]


@given(counts, st.sampled_from([0.5, 0.8]), st.integers(0, 2**32 - 1))
def test_the_best_box_is_the_best_of_all_rectangles(
    shape: tuple[int, int], near: float, seed: int
) -> None:
    values = np.random.default_rng(seed).random(shape)
    cells = Cells((70 * shape[1], 30 * shape[0]), *shape)
    x0, y0, x1, y1 = cells.best_box(values, near)
    a, b, c, d = (round(each) for each in (y0 / 30, y1 / 30, x0 / 70, x1 / 70))
    own = round(float((values / values.max() - near)[a:b, c:d].sum()), 9)
    assert (own, (b - a) * (d - c)) == pytest.approx(brute(values, near))
    assert holds((x0, y0, x1, y1), cells.centre(values))


def test_the_published_box_is_that_of_the_largest_clump() -> None:
    values = np.zeros((12, 12))
    values[1:4, 2:6] = 1.0
    values[10, 10] = 1.5
    x0, y0, x1, y1 = Cells((120, 120), 12, 12).smoothed_box(values)
    assert holds((x0, y0, x1, y1), (40, 25)) and not holds((x0, y0, x1, y1), (105, 105))
    assert Cells((10, 10), 2, 2).smoothed_box(np.ones((2, 2))) == (0, 0, 10, 10)


def test_maps_without_a_place_and_counts_below_one_are_refused() -> None:
    with pytest.raises(GazeheadsError, match="a map of zeros shows no place"):
        Cells((10, 10), 2, 2).best_box(np.zeros((2, 2)))
    tokens = ImageTokens.of_grid([0], (10, 10), 1, 1)
    with pytest.raises(GazeheadsError, match="at least 1 cell"):
        Cells.of(tokens, 0)


@given(st.integers(0, 2**32 - 1))
def test_overlap_is_symmetric_and_one_for_itself(seed: int) -> None:
    a, b = np.sort(np.random.default_rng(seed).random((2, 2, 2)), axis=1).reshape(2, 4)
    first, second = tuple(a.tolist()), tuple(b.tolist())
    assert iou(first, second) == pytest.approx(iou(second, first))
    assert 0 <= iou(first, second) <= 1 and iou(first, first) == pytest.approx(1)
    assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
