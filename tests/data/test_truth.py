from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gazeheads.data.drawn.truth import INDOORS, PanelTruth, sample_truths


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), panels=st.integers(1, 12), held_out=st.booleans())
def test_no_attribute_repeats_within_a_strip(seed: int, panels: int, held_out: bool) -> None:
    truths = sample_truths(np.random.default_rng(seed), panels, held_out)

    words = [word for truth in truths for word in truth.attributes().values()]

    assert len(truths) == panels
    assert len(set(words)) == len(words)
    assert all(truth.weather is None for truth in truths if truth.place in INDOORS)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), held_out=st.booleans())
def test_training_and_held_out_draws_share_no_combination(seed: int, held_out: bool) -> None:
    truths = sample_truths(np.random.default_rng(seed), 8, held_out)

    assert {truth.held_out for truth in truths} == {held_out}


def test_held_out_depends_on_character_action_and_thing_only() -> None:
    inside = PanelTruth("cat", "rides", "ball", "bedroom")
    outside = PanelTruth("cat", "rides", "ball", "beach", "snow")

    assert inside.held_out == outside.held_out


def test_attributes_leave_out_missing_weather() -> None:
    assert PanelTruth("cat", "rides", "ball", "beach").attributes() == {
        "character": "cat",
        "action": "rides",
        "thing": "ball",
        "place": "beach",
    }
    assert PanelTruth("cat", "rides", "ball", "beach", "sun").attributes()["weather"] == "sun"


def test_weather_share_is_the_share_of_outdoor_panels() -> None:
    rng = np.random.default_rng(0)
    for share, expected in ((0.0, False), (1.0, True)):
        truths = [t for _ in range(20) for t in sample_truths(rng, 4, False, weather_share=share)]
        outdoors = [t for t in truths if t.place not in INDOORS]
        assert {t.weather is not None for t in outdoors} == {expected}
