"""Shares and their bootstrap intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from gazeheads.errors import GazeheadsError
from gazeheads.study.stats import share, wilson

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


def test_certain_results_are_as_certain_as_so_many_strips_let_them_be() -> None:
    """Wilson's interval of the strips, not of the answers: 1 / (1 + z^2 / n) at the far end."""
    for strips in (1, 2, 100):
        sure, never = share([6] * strips, [6] * strips), share([0] * strips, [6] * strips)
        assert (sure.value, sure.high, never.value, never.low) == (1, 1, 0, 0)
        assert sure.low == pytest.approx(1 / (1 + 1.959964**2 / strips))
        assert never.high == pytest.approx(1 - sure.low)


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
    clustered, spread = share([6, 0] * 10, [6] * 20), share([2, 4] * 10, [6] * 20)
    assert clustered.value == spread.value == 0.5
    assert clustered.high - clustered.low > 0.3
    assert spread.high - spread.low < 0.2


def test_strips_that_all_agree_get_the_interval_of_as_many_observations() -> None:
    """Halves of all strips say no less than half of the strips: a bootstrap would have no width."""
    own = share([3] * 20, [6] * 20)
    assert (own.low, own.high) == pytest.approx(wilson(10, 20))
    reference = binomtest(10, 20).proportion_ci(method="wilson")
    assert (own.low, own.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize(("hits", "totals"), [([2], [1]), ([-1], [1]), ([1, 1], [1])])
def test_impossible_counts_are_refused(hits: list[int], totals: list[int]) -> None:
    with pytest.raises(GazeheadsError):
        share(hits, totals)
