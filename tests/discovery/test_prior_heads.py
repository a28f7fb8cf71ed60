"""Image heads and localization heads against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gazeheads.discovery.image_heads import THRESHOLD, image_heads
from gazeheads.discovery.localization_heads import (
    averaged_localization_heads,
    elbow,
    localization_heads,
    looks_at_bottom,
    spatial_entropy,
)
from gazeheads.heads import Head, HeadError


def test_an_image_head_stands_out_in_its_own_layer() -> None:
    mass = np.full((2, 2, 10), 0.1)
    mass[:, 0, 3] = 0.9  # far above its layer
    mass[:, 1] = 0.9  # a whole layer that looks at the image: nobody stands out
    scores = image_heads(mass)
    assert scores.ranking()[0] == Head(0, 3)
    # one of ten differs: z = (0.9 - 0.18) / 0.24 = 3
    assert scores[0, 3] == pytest.approx(3.0)
    assert (scores.scores > THRESHOLD).sum() == 1
    assert scores.scores[1].tolist() == [0] * 10


def test_entropy_counts_clumps_touching_at_corners_as_one() -> None:
    one = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0.0]])
    two = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0.0]])
    uneven = np.array([[1, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0.0]])
    assert spatial_entropy(one, "paper") == 0
    assert spatial_entropy(two, "paper") == pytest.approx(np.log(2))
    quarter = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert spatial_entropy(uneven, "paper") == pytest.approx(quarter)
    assert spatial_entropy(np.ones((2, 2)), "paper") == np.inf
    assert spatial_entropy(one) == 0
    assert spatial_entropy(two) == pytest.approx(np.log(2))
    assert spatial_entropy(np.ones((2, 2))) == np.inf


def test_entropy_of_the_authors_code_weighs_clumps_by_their_excess_over_twice_the_mean() -> None:
    attention = np.zeros((4, 4))
    attention[0, 0], attention[0, 3], attention[3, 0] = 0.5, 0.3, 0.08
    # the mean is 0.055: excess 0.39, 0.19 and none
    shares = np.array([0.39, 0.19]) / 0.58
    assert spatial_entropy(attention) == pytest.approx(-(shares * np.log(shares)).sum())
    assert spatial_entropy(attention, "paper") == pytest.approx(np.log(3))


def test_the_bottom_row_is_told_from_the_others() -> None:
    grid = np.zeros((3, 2))
    grid[2, 1] = 1
    assert looks_at_bottom(grid) and not looks_at_bottom(grid[::-1])
    assert not looks_at_bottom(np.ones((1, 4)))  # a single row is no bottom


def test_the_elbow_is_where_a_falling_curve_bends() -> None:
    assert elbow(np.array([1.0, 0.9, 0.1, 0.08, 0.05, 0.0])) == 0.1
    assert elbow(np.array([0.3, 0.3, 0.3])) == 0.3


def test_localization_heads_are_often_among_the_most_focused() -> None:
    rng = np.random.default_rng(0)
    samples, layers, heads = 5, 4, 20
    mass = np.full((samples, layers, heads), 0.01)
    mass[:, 2:, :8] = 0.5 + 0.01 * rng.random((samples, 2, 8))
    entropy = np.full(mass.shape, 2.0)
    entropy[:, 2, :5] = 0.1
    entropy[:3, 3, 0] = 0.05
    entropy[:, 0, 0] = 0.0  # a first layer, never chosen
    bottom = np.zeros(mass.shape, dtype=bool)
    bottom[:, 2, 4] = True  # focused, but on the bottom row
    scores = localization_heads(mass, entropy, bottom)
    top = scores.ranking()
    assert set(top[:4]) == {Head(2, 0), Head(2, 1), Head(2, 2), Head(2, 3)}
    assert scores[2, 4] < 0.2
    assert all(head.layer < 2 for head in top[-40:])
    with pytest.raises(HeadError, match="one shape"):
        localization_heads(mass, entropy[:, :2], bottom)


def test_averaged_maps_are_judged_once() -> None:
    maps = np.full((4, 6, 4, 4), 0.001)
    maps[3, 2, 1, 1] = 0.9  # strong and in one clump
    maps[3, 4, 0, 0] = maps[3, 4, 0, 3] = maps[3, 4, 2, 1] = 0.3  # strong, three clumps
    maps[0, 0, 1, 1] = 0.9  # a first layer
    maps[2, 1, 3, 0] = 0.9  # the bottom row
    ranking = averaged_localization_heads(maps).ranking()
    assert ranking[:2] == (Head(3, 2), Head(3, 4))


def test_averaged_heads_of_excluded_layers_come_last_and_those_that_pass_are_counted() -> None:
    maps = np.random.default_rng(0).random((5, 6, 4, 4)) * 0.001
    maps[3, 2, 1, 1] = maps[0, 0, 1, 1] = maps[1, 3, 0, 0] = 0.9
    maps[2, 1, 3, 0] = 0.9
    scores = averaged_localization_heads(maps)
    assert {head.layer for head in scores.ranking()[-12:]} == {0, 1}
    passed = scores.provenance["passed"]
    assert passed["layers"] == 18
    assert passed["layers"] >= passed["mass"] > passed["bottom"] >= passed["all"] >= 1
