"""How panels share the columns of image tokens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads import Region
from gazeheads.panel_columns import PanelRow
from gazeheads.regions import ImageTokens, TooSmallError

WIDTHS = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def panels_of(widths: list[int], height: int = 64) -> list[Region]:
    edges = tuple(float(x) for x in np.cumsum([0, *widths]))
    return [
        Region(((x0, 0.0, x1, float(height)),), name=f"panel {i}", row=PanelRow(edges, i))
        for i, (x0, x1) in enumerate(pairwise(edges))
    ]


def by_the_released_rule(widths: list[int], columns: int) -> list[int]:
    """The panel of every column: edges at the nearest border, and none without a column."""
    total, edges = sum(widths), [0]
    for i in range(1, len(widths)):
        nearest = round(columns * sum(widths[:i]) / total)
        lowest, highest = edges[-1] + 1, columns - (len(widths) - i)
        edges.append(min(max(nearest, lowest), highest))
    edges.append(columns)
    return [i for i in range(len(widths)) for _ in range(edges[i + 1] - edges[i])]


@given(WIDTHS, st.integers(1, 60), st.integers(1, 3))
def test_panels_have_the_columns_of_the_released_code(
    widths: list[int], columns: int, rows: int
) -> None:
    columns = max(columns, len(widths))
    size = (sum(widths), 64)
    tokens = ImageTokens.of_grid(np.arange(columns * rows), size, columns, rows)
    expected = np.tile(by_the_released_rule(widths, columns), rows)
    found = np.full(columns * rows, -1)
    for i, panel in enumerate(panels_of(widths)):
        own = tokens.indices(panel)
        assert len(own) >= rows and (found[own] == -1).all()
        found[own] = i
        assert sorted([*tokens.select(panel), *tokens.others(panel)]) == list(tokens.positions)
    assert found.tolist() == expected.tolist()


def test_without_enough_columns_or_beside_no_panels_the_centre_decides() -> None:
    tokens = ImageTokens.of_grid(np.arange(2), (90, 30), 2, 1)
    narrow = panels_of([40, 10, 40], 30)
    with pytest.raises(TooSmallError):
        tokens.indices(narrow[1])  # three panels on two columns
    more = ImageTokens.of_grid(np.arange(3), (90, 30), 3, 1)
    sliver = panels_of([88, 1, 1], 30)[1]
    assert more.indices(sliver).tolist() == [1]
    with pytest.raises(TooSmallError):
        more.indices(Region(sliver.boxes))


def test_an_image_that_was_cropped_keeps_the_rule_of_centres() -> None:
    whole = ImageTokens.of_grid(np.arange(3), (90, 30), 3, 1)
    seen = ImageTokens(whole.positions[1:], whole.boxes[1:], whole.sizes, whole.image_index[1:])
    assert seen.indices(panels_of([30, 30, 30], 30)[1]).tolist() == [0]
