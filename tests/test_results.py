"""Runs, traces and scores as tables: the same numbers, counted here another way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_model import ScriptedVlm, scores

from gazeheads import GazeheadsError, Head, HeadScores
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.models.rows import Generation
from gazeheads.results import read_run, read_runs, samples_df, summary_df
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.runs import RunFolder, RunOptions

pytest.importorskip("pandas", reason="needs pip install 'gazeheads[results]'")
OLD = Path(__file__).parent / "study/data/runs-0.1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    strips = draw_strips(3, 5, 3, size=32)
    settings = SteerVqaSettings((2,), draws=4, draw_strips=2)
    vlm: Any = ScriptedVlm(strips, [])
    options = RunOptions(tmp_path_factory.mktemp("runs"))
    return steer_vqa.run(vlm, strips, scores(), settings, options)


def test_samples_give_the_accuracies_of_the_summary(run: RunFolder) -> None:
    table = samples_df(read_run(run.path))
    answers = table[table["part"] == "answers"]
    assert len(answers) == 3 * 3 * 2 + 2 * 3 * 4  # gaze and all heads; random ones on two strips
    assert list(table[table["part"] == "baseline"]["condition"]) == ["unsteered"] * 3
    shares = answers.groupby(["condition", "k"])["follows"].mean()
    summary = summary_df(read_run(run.path))
    accuracy = summary[summary["measure"] == "accuracy"].set_index(["condition", "k"])
    for condition in run.summary["results"]["conditions"]:
        who = (condition["condition"], condition["k"])
        assert shares[who] == pytest.approx(condition["accuracy"]["value"])
        assert accuracy.loc[who, "value"] == condition["accuracy"]["value"]
        assert accuracy.loc[who, "low"] == condition["accuracy"]["low"]
        assert accuracy.loc[who, "n"] == condition["pairs"]
    drawn = summary[summary["measure"] == "controls.draws"]
    assert list(drawn["place"]) == [1, 2, 3, 4] and set(drawn["condition"]) == {"random"}
    one = answers[(answers["condition"] == "random") & (answers["draw"] == 2)]
    assert one["follows"].mean() == pytest.approx(float(drawn.iloc[2]["value"]))


def test_every_experiment_of_a_folder_is_a_table() -> None:
    runs = read_runs(OLD)
    assert len(runs) == 4
    for each in runs:
        table = samples_df(each)
        assert len(table) >= len(each.records) and set(table["unit"]) == set(each.records)
    whole = summary_df(runs)
    assert set(whole["experiment"]) == {"steer-vqa", "staircase", "steer-dynamic"}
    tracked = whole[(whole["experiment"] == "staircase") & (whole["measure"] == "tracking.gaze")]
    told = read_run(OLD / "staircase/comic-tiny").summary["results"]["tracking"]["gaze"]
    assert float(tracked["value"].iloc[0]) == told["value"]


def test_arrays_are_arrays() -> None:
    table = samples_df(read_run(OLD / "discover/comic-tiny"))
    assert table["matrices"].iloc[0].shape == (10, 16, 2, 2)


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(GazeheadsError, match=r"is no run but holds 4: name one of them, such as"):
        read_run(OLD)
    with pytest.raises(GazeheadsError, match=r"no run in .*settings\.json"):
        read_run(tmp_path)
    with pytest.raises(GazeheadsError, match="no run in"):
        read_run(tmp_path / "missing")


def test_scores_are_a_row_per_head_best_first() -> None:
    own = HeadScores(
        np.array([[0.1, 0.9], [0.9, 0.5]]),
        living=np.array([[True, True], [False, True]]),
        q=np.array([[1.0, 0.01], [1.0, 0.02]]),
    )
    table = own.to_dataframe()
    assert list(zip(table["layer"], table["head"], strict=True)) == [(0, 1), (1, 1), (0, 0), (1, 0)]
    assert list(table["score"]) == [0.9, 0.5, 0.1, 0.9] and list(table["rank"]) == [1, 2, 3, 4]
    assert list(table["living"]) == [True, True, True, False]
    assert list(table["q"]) == [0.01, 0.02, 1.0, 1.0]
    assert HeadScores(own.scores).to_dataframe()["q"].isna().all()


def test_a_trace_is_a_row_per_step_head_and_token(vlm: Any, strip: Any) -> None:
    heads = [Head(2, 3), Head(0, 1)]
    (done,) = vlm.generate([vlm.encode(strip.image, "what?")], watch=heads, max_new_tokens=3)
    trace = done.trace
    assert trace is not None
    table = trace.to_dataframe()
    assert len(table) == trace.attention.size
    for step, head, token in ((0, 0, 0), (2, 1, 5), (1, 0, len(trace.tokens) - 1)):
        layer, number = heads[head]
        (row,) = table[
            (table["step"] == step)
            & (table["layer"] == layer)
            & (table["head"] == number)
            & (table["token"] == token)
        ].to_dict("records")
        assert row["attention"] == trace.attention[step, head, token]
        assert row["norm"] == trace.norms[head, token]
        assert [row[x] for x in ("x0", "y0", "x1", "y1")] == list(trace.tokens.boxes[token])
        assert row["piece"] == trace.pieces[step] and row["steered_to"] is None
    panels = trace.by_panel(strip)
    long = panels.to_dataframe()
    wide = long.pivot(index="step", columns="region", values="attention")[list(panels.names)]
    assert np.array_equal(wide.to_numpy(), panels.values)


def test_a_generation_is_json(vlm: Any, strip: Any) -> None:
    encoded = vlm.encode(strip.image, "what?")
    (done,) = vlm.generate([encoded], watch=[Head(2, 3)], max_new_tokens=3)
    told = json.loads(json.dumps(done.to_dict()))
    assert told["text"] == done.text and tuple(told["tokens"]) == done.tokens
    assert told["trace"] == {"heads": ["L2H3"], "pieces": list(done.trace.pieces)}
    assert Generation("a", (1,), (None,)).to_dict() == {
        "text": "a", "tokens": [1], "steered_to": [None],
    }  # fmt: skip


def test_without_pandas_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "import numpy as np, gazeheads\n"
        "scores = gazeheads.HeadScores(np.zeros((2, 2)))\n"
        "try:\n    scores.to_dataframe()\n"
        "except gazeheads.GazeheadsError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "tables need pandas: pip install 'gazeheads[results]'"
