"""Steering a question: known answers give known figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_model import GAZE, ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.heads import HeadScores
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.controls import control_heads
from gazeheads.study.experiments.counting import peak_of
from gazeheads.study.experiments.question import SteerVqaSettings, default_ks
from gazeheads.study.experiments.steered_answers import conditions_of
from gazeheads.study.runs import RunError, RunFolder, RunOptions

PANELS, STRIPS = 4, 3


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(STRIPS, 11, PANELS, size=32)


@pytest.fixture
def model(strips: list[Strip]) -> ScriptedVlm:
    return ScriptedVlm(strips, [])


def run(model: ScriptedVlm, strips: list[Strip], out: Path, ks: Any = (1, 2), **rest: Any) -> Any:
    options = {key: rest.pop(key) for key in ("progress", "fresh", "batch_size") if key in rest}
    settings = SteerVqaSettings(ks, **rest)
    return steer_vqa.run(model, strips, scores(), settings, RunOptions(out, **options))  # type: ignore[arg-type]


def by_key(folder: RunFolder) -> dict[str, Any]:
    return {c["key"]: c for c in folder.summary["results"]["conditions"]}


def test_every_condition_gets_the_figure_it_must(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    found = by_key(run(model, strips, tmp_path))
    # one gaze head alone does nothing: every answer is the unsteered one, panel 1's
    assert found["gaze-1"]["accuracy"]["value"] == 0
    assert found["gaze-1"]["baseline_matches"] == STRIPS * PANELS
    assert found["gaze-1"]["content"]["value"] == 1 / PANELS
    # both follow everywhere, but on panel 1 the answer is the unsteered one
    assert found["gaze-2"]["accuracy"]["value"] == (PANELS - 1) / PANELS
    assert found["gaze-2"]["content"]["value"] == 1
    assert [p["value"] for p in found["gaze-2"]["by_panel"]] == [0, 1, 1, 1]
    assert found["gaze-2"]["heads"] == [["L2H1", "L1H3"]]
    assert found["random-2"]["accuracy"]["value"] == 0
    assert found["all-16"]["accuracy"]["value"] == 0
    assert found["all-16"]["junk"] == found["all-16"]["pairs"] == STRIPS * PANELS


def test_the_peak_and_the_unsteered_answers_are_told(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    results = run(model, strips, tmp_path).summary["results"]
    assert results["peak"] == {"k": 2, "accuracy": 0.75}
    assert results["unsteered"] == {"by_panel": [3, 0, 0, 0], "junk": 0, "ties": 0, "strips": 3}
    assert results["chance"] == 0.25 and results["heads"] == 16


def test_a_strip_is_one_call_and_batches_hold_at_most_what_they_may(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    run(model, strips, tmp_path)
    # unsteered; gaze at K = 1 and 2, all heads; the 3 and 9 sets of 1 and 2 control heads there are
    rows = 1 + PANELS * (3 + 3 + 9)
    assert model.calls == [rows] * STRIPS
    model.calls.clear()
    run(model, strips, tmp_path, batch_size=8, fresh=True)
    assert max(model.calls) == 8 and sum(model.calls) == rows * STRIPS


def test_a_stopped_run_goes_on_and_equals_an_uninterrupted_one(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    whole = run(model, strips, tmp_path / "whole").path
    asked = len(model.calls)

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        run(model, strips, tmp_path / "cut", progress=stop)
    cut = run(model, strips, tmp_path / "cut").path
    assert len(model.calls) == 2 * asked  # nothing was asked twice
    for name in ("records.jsonl", "summary.json", "settings.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    pictures = [sorted(p.name for p in (path / "strips").iterdir()) for path in (cut, whole)]
    assert pictures[0] == pictures[1] and len(pictures[0]) == STRIPS


def test_another_k_or_other_strips_are_refused(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    run(model, strips, tmp_path)
    with pytest.raises(RunError, match=r"ks \[1, 2\] -> \[1, 3\]"):
        run(model, strips, tmp_path, ks=(1, 3))
    with pytest.raises(RunError, match="strips 3 -> 2"):
        run(model, strips[:2], tmp_path)
    others = draw_strips(STRIPS, 12, PANELS, size=32)
    with pytest.raises(RunError, match="strips_mark"):
        run(ScriptedVlm(others, []), others, tmp_path)


def test_records_hold_every_answer_with_its_verdict(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path
) -> None:
    folder = run(model, strips, tmp_path)
    record = json.loads((folder.path / "records.jsonl").read_text().splitlines()[0])
    assert record["unit"] == strips[0].id
    assert record["baseline"]["panel"] == 1
    one = next(a for a in record["answers"] if (a["condition"], a["target"]) == ("gaze-2", 3))
    assert one["text"] == record["strip"]["captions"][2]
    assert (one["panel"], one["reason"]) == (3, "described")
    assert (folder.path / record["strip"]["picture"]).is_file()
    assert record["strip"]["panels"][1] == [0.25, 0, 0.5, 1]


@pytest.mark.parametrize(("ks", "told"), [((17,), "16 heads"), ((0,), "K = 0"), ((), "at least 1")])
def test_a_k_the_model_does_not_have_is_refused_before_anything_is_written(
    model: ScriptedVlm, strips: list[Strip], tmp_path: Path, ks: Any, told: str
) -> None:
    with pytest.raises(GazeheadsError, match=told):
        run(model, strips, tmp_path, ks=ks)
    assert list(tmp_path.iterdir()) == []


def test_controls_are_never_gaze_heads_and_differ_between_draws() -> None:
    drawn = control_heads(scores(), 2, 4, seed=0, pool="layers")
    assert len(drawn) == 4 and len({heads.heads for heads in drawn}) > 1
    for heads in drawn:
        assert len(heads) == 2 and not set(heads) & set(GAZE)
        assert {head.layer for head in heads} <= {1, 2}  # the layers the gaze heads span


def test_controls_come_from_more_layers_when_the_gaze_heads_fill_theirs() -> None:
    table = np.full((3, 4), 0.1)
    table[1] = (0.9, 0.8, 0.7, 0.6)  # a layer of gaze heads only
    table[2, 3] = 0.2
    full = HeadScores(table)
    (drawn,) = control_heads(full, 4, 1, seed=0, pool="layers")
    # layer 2 holds only three others, so layer 0 is needed too, down to its first head
    assert all(full[head] == 0.1 for head in drawn)
    assert len(drawn) == 4 and {head.layer for head in drawn} <= {0, 2}


def test_a_pruned_model_still_has_controls_and_says_where_from() -> None:
    """Few living heads in the gaze heads' layers: the nearest layers', never dead ones."""
    table, living = np.zeros((5, 4)), np.zeros((5, 4), dtype=bool)
    table[2], living[2] = (0.9, 0.8, 0.7, 0.1), True
    living[1, 0] = living[3, 0] = living[0, 0] = living[4, 3] = True
    pruned = HeadScores(table, living=living)
    with pytest.warns(GazeheadsWarning, match=r"random 3 \(layers 1-3, seed 0\)"):
        drawn = control_heads(pruned, 3, 5, seed=0, pool="layers")
    assert len(drawn) == 1  # there is no other set of three
    for heads in drawn:
        assert all(living[head] for head in heads) and not set(heads) & set(pruned.top(3))
        assert {head.layer for head in heads} <= {1, 2, 3}
    with pytest.warns(GazeheadsWarning, match="no random heads beside 5 gaze heads"):
        assert control_heads(pruned, 5, 1, seed=0, pool="layers") == ()


def test_controls_that_do_not_exist_are_left_out_and_it_is_said() -> None:
    with pytest.warns(GazeheadsWarning, match="no random heads beside 12 gaze heads"):
        found = conditions_of(scores(), (12,), ("gaze", "random", "all"), 2, 0, "layers")
    assert [condition.key for condition in found] == ["gaze-12", "all-16"]


def test_every_draw_is_measured_on_the_same_strips() -> None:
    gaze, random = conditions_of(scores(), (2,), ("gaze", "random"), 3, 0, "matched")
    assert [len(random.draws_on(strip, 2)) for strip in range(4)] == [3, 3, 0, 0]
    assert [len(random.draws_on(strip, None)) for strip in range(4)] == [3] * 4
    assert [len(gaze.draws_on(strip, 1)) for strip in range(4)] == [1] * 4


def test_the_peak_prefers_accuracy_then_content_then_few_heads() -> None:
    def result(k: int, accuracy: float, content: float, name: str = "gaze") -> dict[str, Any]:
        own = {"accuracy": {"value": accuracy}, "content": {"value": content}}
        return {"condition": name, "k": k, **own}

    curve = [result(4, 0.8, 0.8), result(8, 0.8, 0.9), result(16, 0.8, 0.9), result(32, 0.7, 1.0)]
    assert peak_of([*curve, result(64, 1.0, 1.0, "random")]) == {"k": 8, "accuracy": 0.8}
    assert peak_of([result(8, 1, 1, "all")]) is None


def test_default_sizes_grow_with_the_model_and_always_exist() -> None:
    assert default_ks(160) == (2, 4, 8, 12, 16, 19, 24, 40, 80)
    assert 98 < default_ks(1152)[4] < 116  # the study's peak lies among them
    assert default_ks(1) == (1,)
    assert all(1 <= k <= n for n in range(1, 200) for k in default_ks(n))
