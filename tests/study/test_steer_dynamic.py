"""A moving gaze: schedules, blind judging by segment, and how soon the text follows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.judges import LabelJudge
from gazeheads.study.experiments import scheduled, steer_dynamic
from gazeheads.study.experiments.steer_dynamic import DynamicSettings, derangement, narration_record
from gazeheads.study.runs import RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM


@pytest.fixture(scope="module")
def strip() -> Strip:
    return draw_strips(1, 61, 3, size=32)[0]


@pytest.mark.parametrize("panels", [2, 3, 6])
def test_no_panel_of_a_schedule_has_its_own_place(panels: int) -> None:
    orders = [derangement(panels, np.random.default_rng((5, i))) for i in range(20)]
    for order in orders:
        assert sorted(order) == list(range(1, panels + 1))
        assert all(panel != place for place, panel in enumerate(order, 1))
    assert orders[0] == derangement(panels, np.random.default_rng((5, 0)))


def test_one_panel_has_no_schedule() -> None:
    with pytest.raises(GazeheadsError, match="at least 2"):
        derangement(1, np.random.default_rng(0))


def test_segments_are_judged_and_delays_counted(strip: Strip) -> None:
    assert strip.truths is not None
    told = [headline(truth) for truth in strip.truths]
    # segments of two tokens, schedule 3, 1, 2: follows at once, one token late, never
    pieces = [f"{told[2]} ", "", f"{told[2]} ", f"{told[0]} ", "so what ", "so what"]
    record = narration_record(LabelJudge(), strip, [3, 1, 2], "".join(pieces), pieces, 2)
    assert record["segments"][0]["panel"] == 3
    assert record["segments"][2]["reason"] == "junk"
    assert record["follows_after"] == [0, 1, None]


def summary_of(said: list[list[int | None]], schedule: list[list[int]]) -> dict[str, Any]:
    records = [
        {
            "schedule": order,
            "narrations": {
                "gaze": {
                    "segments": [
                        {"panel": p, "reason": "junk" if p is None else "described"} for p in own
                    ],
                    "follows_after": [0, 2, None],
                }
            },
        }
        for own, order in zip(said, schedule, strict=True)
    ]
    return scheduled.sets_summary({"gaze": 2}, records)[0]


def test_correlations_are_with_the_schedule_and_with_natural_order() -> None:
    own = summary_of([[3, 1, 2], [2, 3, 1]], [[3, 1, 2], [2, 3, 1]])
    assert own["segments"]["value"] == 1
    assert own["rho_schedule"]["value"] == pytest.approx(1)
    assert own["rho_natural"]["value"] == pytest.approx(-0.5)
    assert (own["switches"], own["followed"], own["tokens_until_followed"]) == (4, 2, 2)
    other = summary_of([[1, 2, 3], [None, 1, 1]], [[3, 1, 2], [2, 3, 1]])
    assert other["segments"]["hits"] == 1  # the last one of the second strip
    assert other["rho_natural"]["count"] == 1 and other["rho_natural"]["value"] == 1
    assert other["rho_natural"]["constant"] == 0
    assert other["junk"] == 1
    assert summary_of([[None, None, 1]], [[3, 1, 2]])["rho_schedule"] is None


def test_a_text_about_one_panel_alone_counts_as_zero_and_is_told() -> None:
    own = summary_of([[2, 2, 2], [3, 1, 2]], [[3, 1, 2], [3, 1, 2]])
    assert own["rho_schedule"]["value"] == pytest.approx(0.5)
    assert (own["rho_schedule"]["count"], own["rho_schedule"]["constant"]) == (2, 1)


def test_a_run_on_a_random_model(gqa: VLM, strip: Strip, tmp_path: Path) -> None:
    sets = {"gaze": HeadSet.of([(1, 0), (2, 1)]), "random": HeadSet.of([(3, 3), (0, 1)])}
    settings = DynamicSettings(segment=4, seed=3)
    run = steer_dynamic.run(gqa, [strip], sets, settings, RunOptions(tmp_path))
    record = run.records[strip.id]
    assert record["schedule"] == derangement(3, np.random.default_rng((3, 0)))
    assert set(record["narrations"]) == {"gaze", "random"}
    assert len(record["narrations"]["gaze"]["segments"]) == 3
    results = run.summary["results"]
    assert [own["name"] for own in results["sets"]] == ["gaze", "random"]
    assert results["chance"] == pytest.approx(1 / 3)


def test_the_attention_of_the_first_strip_is_kept_and_lies_where_it_was_sent(
    gqa: VLM, tmp_path: Path
) -> None:
    strips = draw_strips(2, 61, 3, size=32)
    heads = HeadSet.of([(1, 0), (2, 1)])
    settings = DynamicSettings(segment=4, seed=3)
    run = steer_dynamic.run(gqa, strips, {"gaze": heads}, settings, RunOptions(tmp_path))
    first, second = run.ordered()
    assert second["attention"] == {}
    told = first["narrations"]["gaze"]
    shares = np.array(first["attention"]["gaze"])
    assert shares.shape == (len(told["pieces"]), 3)
    # the prefill writes the first token unsteered, then each panel has its four decode steps
    for step, row in enumerate(shares[1:]):
        assert row.argmax() + 1 == first["schedule"][step // 4] and row.max() > 0.99
    # watching changes no text: the second strip's was not watched, nor is this one's here
    again = DynamicSettings(segment=4, seed=3)
    alone = gqa.generate(
        [(gqa.encode(strips[0].image, again.prompt), _moving(heads, strips[0], first["schedule"]))],
        max_new_tokens=12,
    )
    assert alone[0].text == told["text"]


def _moving(heads: HeadSet, strip: Strip, order: list[int]) -> Any:
    from gazeheads.steering import Schedule, Steering

    schedule = Schedule.every_decoded(4, [strip.panel(panel) for panel in order])
    return Steering(heads, schedule, 10_000.0, "paper", "decode")
