"""The tournament of rankings: its tests are paired and corrected."""

from __future__ import annotations

import numpy as np
import pytest

from gazeheads.study.tournament import holm, paired_p


def test_paired_p_is_small_for_a_difference_in_every_strip_and_one_for_none() -> None:
    ones, zeros = np.ones(12), np.zeros(12)
    assert paired_p(ones, zeros) == pytest.approx(2 / 2**12, abs=6e-4)
    assert paired_p(ones, ones) == 1


def test_holm_multiplies_by_what_is_left_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
