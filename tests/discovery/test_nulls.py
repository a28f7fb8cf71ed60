"""The permutation test of gaze scores: what it finds, and how rarely it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazeheads.discovery.nulls import (
    NullError,
    benjamini_hochberg,
    permutation_null,
    split_half,
)


def noise(seed: int, strips: int = 8, heads: int = 20, regions: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).random((strips, 2, heads, regions, regions))


def test_a_selective_head_is_found_and_a_strong_unselective_one_is_not() -> None:
    matrices = 0.01 * noise(0)
    matrices[:, 1, 3] += 0.05 * np.eye(4)
    matrices[:, 0, 5] = 0.25  # all of its attention on the image, whatever is asked
    null = permutation_null(matrices)
    assert null.q[1, 3] <= 0.01 and null.family[1, 3] <= 0.01
    assert null.p[0, 5] == 1
    assert null.count() == 1


def test_p_of_heads_that_do_not_depend_on_the_question_are_uniform() -> None:
    p = np.concatenate([permutation_null(noise(s), permutations=999).p.ravel() for s in range(25)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (p <= level).mean() == pytest.approx(level, abs=0.05)
    false = [permutation_null(noise(s), permutations=999).count() > 0 for s in range(60)]
    assert np.mean(false) <= 0.15  # 5% are expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(2, 5))
def test_p_is_of_the_seed_and_bounded_by_its_floor(seed: int, strips: int, regions: int) -> None:
    matrices = noise(seed, strips, 6, regions)
    one, again = (permutation_null(matrices, seed=seed, permutations=199) for _ in range(2))
    assert np.array_equal(one.p, again.p)
    assert (one.p >= 1 / 200).all() and (one.p <= 1).all()
    assert (one.q >= one.p - 1e-12).all() and (one.family >= one.p - 1e-12).all()
    order = np.random.default_rng(seed).permutation(6)
    moved = permutation_null(matrices[:, :, order], seed=seed, permutations=199)
    assert np.allclose(moved.p, one.p[:, order], atol=0.011)
    # a head's scale is not what is tested
    assert np.allclose(permutation_null(8 * matrices, seed=seed, permutations=199).p, one.p)


def test_dead_heads_are_not_tested() -> None:
    matrices = noise(1)
    matrices[:, 0] += np.eye(4)
    living = np.ones((2, 20), dtype=bool)
    living[0, :15] = False
    null = permutation_null(matrices, living)
    assert (null.p[~living] == 1).all() and (null.q[~living] == 1).all()
    assert null.count() == 5
    assert permutation_null(matrices, np.zeros((2, 20), dtype=bool)).count() == 0


def test_one_strip_of_two_panels_can_show_nothing() -> None:
    null = permutation_null(np.broadcast_to(np.eye(2), (1, 2, 3, 2, 2)))
    assert null.floor == pytest.approx(0.5)
    assert null.p.min() > 0.4 and null.count() == 0
    with pytest.raises(NullError, match="strips x layers"):
        permutation_null(np.ones((2, 3, 4, 4)))


def test_q_is_worked_out_by_hand() -> None:
    q = benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5]))
    assert q == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_halves_agree_where_heads_differ_and_not_on_noise() -> None:
    matrices = 0.01 * noise(2)
    assert abs((split_half(matrices, 5) or pytest.fail()).spearman) < 0.4
    matrices += np.linspace(0, 1, 40).reshape(2, 20)[..., None, None]
    stable = split_half(matrices, 5)
    assert stable is not None and stable.spearman > 0.98 and stable.overlap == 1
    assert stable.full >= stable.spearman
    assert split_half(matrices[:1], 5) is None
