"""What became of answers: draws on the same strips, add-one p, clean hits, profiles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.judges import Verdict
from gazeheads.study.experiments.controls import distribution
from gazeheads.study.experiments.counting import counted
from gazeheads.study.stats import add_one_p, share, wilson


def answer(condition: str, target: int, panel: int | None, **more: Any) -> dict[str, Any]:
    reason = "junk" if panel is None else "described"
    return {"condition": condition, "target": target, "panel": panel, "reason": reason, **more}


def strip(*answers: dict[str, Any]) -> dict[str, Any]:
    return {"answers": list(answers), "strip": {"panels": [[0, 0, 1, 1]] * 2}}


def test_every_draw_stands_beside_the_gaze_heads_on_the_same_strips() -> None:
    measured = strip(
        answer("gaze-3", 1, 1), answer("gaze-3", 2, 2),
        *(answer("random-3", 1, 1, draw=draw) for draw in range(3)),
        *(answer("random-3", 2, 2 if draw == 2 else 1, draw=draw) for draw in range(3)),
    )  # fmt: skip
    missed = strip(answer("gaze-3", 1, 2), answer("gaze-3", 2, None))  # no draws on this one
    own = counted("random-3", [measured, missed])["controls"]
    assert [draw["value"] for draw in own["draws"]] == [0.5, 0.5, 1.0]
    assert (own["median"], own["least"], own["most"], own["strips"]) == (0.5, 0.5, 1.0, 1)
    assert own["gaze"]["value"] == 1.0  # not the half it gets on both strips
    assert own["p"] == 2 / 4  # one of three draws does as well
    assert counted("gaze-3", [measured, missed])["controls"] is None


def test_draws_that_took_turns_are_no_distribution() -> None:
    records = [strip(answer("random-3", 1, 1, draw=n)) for n in range(3)]
    assert counted("random-3", records)["controls"] is None


def test_clean_hits_are_counted_where_the_judge_can_say() -> None:
    known = [
        strip(
            answer("gaze-3", 1, 1, mixed=False, repeats=False),
            answer("gaze-3", 2, 2, mixed=True, repeats=True),
            answer("gaze-3", 2, 1, mixed=False, repeats=False),  # no hit
        )
    ]
    own = counted("gaze-3", known)
    assert (own["clean"]["hits"], own["clean"]["total"]) == (1, 3)
    assert (own["mixed_hits"], own["repeating_hits"]) == (1, 1)
    unknown = counted("gaze-3", [strip(answer("gaze-3", 1, 1, repeats=True))])
    assert (unknown["clean"], unknown["mixed_hits"], unknown["repeating_hits"]) == (None, None, 1)


def test_profiles_tell_target_against_description() -> None:
    own = counted("all-9", [strip(answer("all-9", 1, 2), answer("all-9", 2, None))])
    assert own["described"] == [[0, 1, 0], [0, 0, 1]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_p_is_never_zero_and_falls_with_the_value(null: list[float], value: float) -> None:
    p = add_one_p(value, null)
    assert 1 / (len(null) + 1) <= p <= 1
    assert add_one_p(value + 0.1, null) <= p
    assert add_one_p(2.0, null) == 1 / (len(null) + 1)


def test_a_distribution_without_gaze_heads_has_no_p() -> None:
    own = distribution([{"value": 0.2}, {"value": 0.4}], None, 3)
    assert (own["p"], own["median"]) == (None, pytest.approx(0.3))


@given(st.integers(1, 400), st.integers(1, 6), st.booleans())
def test_intervals_at_the_ends_have_a_width_that_shrinks_with_strips(
    strips: int, each: int, hits: bool
) -> None:
    total = [each] * strips
    own = share(total if hits else [0] * strips, total)
    assert own.value == float(hits) and own.low < own.high
    more = share([2 * each if hits else 0] * strips, [2 * each] * strips)
    assert (more.low, more.high) == (own.low, own.high)  # strips count, not answers
    wider = own.high - own.low
    longer = share([each if hits else 0] * (strips + 1), [each] * (strips + 1))
    assert longer.high - longer.low < wider


def test_wilson_by_hand() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_a_judge_that_cannot_say_leaves_nothing_of_the_earlier_one() -> None:
    """Judged again by captions, an answer must not stay "mixed" by the labels."""
    from gazeheads.data.drawn.strips import draw_strips
    from gazeheads.study.experiments.steered_answers import ANSWERS_AGAIN

    class Mute:
        name, about = "mute", {}

        def judge(self, strip: Any, answers: Any) -> list[Verdict]:
            return [Verdict(1, "described") for _ in answers]

    old = answer("gaze-3", 1, 1, mixed=True, repeats=True, text="a cow and a drum")
    record = {"answers": [old], "baseline": {**old, "text": "an owl"}}
    (shown,) = draw_strips(1, 3, 2, size=32)
    again = ANSWERS_AGAIN.judged(record, shown, Mute(), {})
    own = again["answers"][0]
    assert "mixed" not in own and own["repeats"] is False and own["target"] == 1
    assert counted("gaze-3", [{**record, **again}])["clean"] is None
