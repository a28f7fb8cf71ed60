"""What a page is told about heads: the ones to compare with are alive."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.heads import HeadScores
from gazeheads.live.info import control_heads, model_info


@given(seed=st.integers(0, 300), k=st.integers(1, 20), share=st.floats(0.05, 1))
def test_controls_are_living_heads_as_many_as_there_are(seed: int, k: int, share: float) -> None:
    noise = np.random.default_rng(seed)
    living = noise.random((5, 8)) < share
    living[0, 0] = True
    scores = HeadScores(noise.random((5, 8)), living=living)
    drawn = control_heads(scores, k, seed)
    gaze = scores.top(max(k, 3))  # the study's share of 40 heads
    others = int(living.sum()) - sum(bool(living[head]) for head in gaze)
    assert len(drawn) == len(set(drawn)) == min(k, others)
    assert all(living[head] for head in drawn) and not set(drawn) & set(gaze)


@pytest.mark.parametrize("known", [False, True])
def test_a_page_ranks_every_head(known: bool) -> None:
    living = np.eye(3, dtype=bool) if known else None
    scores = HeadScores(np.ones((3, 3)), np.ones((3, 3, 2, 2)), living=living)
    info = model_info(scores, 2)
    assert len(info["ranking"]) == 9
    assert info["ranking"][:3] == ([[0, 0], [1, 1], [2, 2]] if known else [[0, 0], [0, 1], [0, 2]])
