"""Shares and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from gazeheads.errors import GazeheadsError
from gazeheads.study.stats import share

COUNTS = st.lists(
    st.integers(0, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=12,
)


@given(COUNTS)
@settings(max_examples=40)
def test_the_interval_holds_the_share_and_stays_between_0_and_1(
    counts: list[tuple[int, int]],
) -> None:
    hits, totals = zip(*counts, strict=True)
    own = share(hits, totals)
    assert 0 <= own.low <= own.value <= own.high <= 1
    assert (own.hits, own.total) == (sum(hits), sum(totals))
    assert own.value == (sum(hits) / sum(totals) if sum(totals) else 0)
    assert share(hits, totals) == own


def test_certain_results_have_no_spread() -> None:
    assert (share([6, 6], [6, 6]).low, share([0, 0], [6, 6]).high) == (1, 0)


def test_it_agrees_with_scipy_on_strips_of_equal_size() -> None:
    rng = np.random.default_rng(3)
    hits = rng.integers(0, 7, 40)
    own = share(hits.tolist(), [6] * 40)
    reference = bootstrap((hits / 6,), np.mean, method="percentile", rng=rng).confidence_interval
    assert own.low == pytest.approx(reference.low, abs=0.012)
    assert own.high == pytest.approx(reference.high, abs=0.012)


def test_strips_weigh_by_their_number_of_answers_and_empty_ones_not_at_all() -> None:
    assert share([1, 0, 0], [1, 3, 0]).value == 0.25
    assert share([1, 0, 0], [1, 3, 0]).low == share([1, 0], [1, 3]).low


def test_whole_strips_are_drawn_again() -> None:
    """All or nothing per strip is less certain than the same hits spread over the strips."""
    clustered, spread = share([6, 0] * 10, [6] * 20), share([3] * 20, [6] * 20)
    assert clustered.value == spread.value == 0.5
    assert clustered.high - clustered.low > 0.3
    assert spread.high == spread.low == 0.5


@pytest.mark.parametrize(("hits", "totals"), [([2], [1]), ([-1], [1]), ([1, 1], [1])])
def test_impossible_counts_are_refused(hits: list[int], totals: list[int]) -> None:
    with pytest.raises(GazeheadsError):
        share(hits, totals)
