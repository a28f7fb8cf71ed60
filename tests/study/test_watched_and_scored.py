"""Discovery and the staircase: the records, the summary, and the whole job on a random model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadScores, HeadSet
from gazeheads.judges import LabelJudge
from gazeheads.regions import ImageTokens
from gazeheads.study.experiments import discover, main_job, staircase
from gazeheads.study.experiments.discover import DiscoverSettings, load_scores
from gazeheads.study.experiments.staircase import record_of, summary_of
from gazeheads.study.runs import RunError, RunFolder, RunOptions
from gazeheads.trace import GazeTrace

if TYPE_CHECKING:
    from gazeheads.models import VLM


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(4, 21, 2, size=32)


def test_scores_are_those_of_the_library_and_survive_a_stop(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    from gazeheads.discovery.gaze import discover as at_once

    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise Stop

    with pytest.raises(Stop):
        discover.run(gqa, strips, DiscoverSettings(), RunOptions(tmp_path, stop))
    folder = discover.run(gqa, strips, DiscoverSettings(), RunOptions(tmp_path))
    found = load_scores(folder.path)
    expected = at_once(gqa, strips)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert found.matrices is not None and expected.matrices is not None
    np.testing.assert_allclose(found.matrices, expected.matrices, atol=1e-6)
    assert found.provenance["strips"] == [strip.id for strip in strips]
    assert found.fingerprint == expected.fingerprint == gqa.fingerprint
    assert found.living is not None and found.living.all() and found.living.shape == (4, 4)
    assert load_scores(folder.path).ranking() == found.ranking()
    best = folder.summary["results"]["top"][0]
    assert best["head"] == str(found.ranking()[0])
    assert best["score"] == pytest.approx(float(found.scores.max()))


def test_retrained_weights_are_refused(gqa: VLM, strips: list[Strip], tmp_path: Path) -> None:
    discover.run(gqa, strips[:1], DiscoverSettings(), RunOptions(tmp_path))
    weight = next(iter(gqa.model.state_dict().values()))
    before = weight.clone()
    try:
        weight.add_(1e-3)
        with pytest.raises(RunError, match="model_mark"):
            discover.run(gqa, strips[:1], DiscoverSettings(), RunOptions(tmp_path))
    finally:
        weight.copy_(before)


def test_ablated_heads_are_other_weights_and_their_scores_rank_last(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    whole = discover.run(gqa, strips[:1], DiscoverSettings(), RunOptions(tmp_path / "whole"))
    best = load_scores(whole.path).ranking()[0]
    output = gqa.model.model.language_model.layers[best.layer].self_attn.o_proj.weight
    before = output.detach().clone()
    try:
        output.data[:, 16 * best.head : 16 * best.head + 16] = 0
        with pytest.raises(RunError, match="model_mark"):
            discover.run(gqa, strips[:1], DiscoverSettings(), RunOptions(tmp_path / "whole"))
        options = RunOptions(tmp_path / "ablated")
        found = load_scores(discover.run(gqa, strips[:1], DiscoverSettings(), options).path)
    finally:
        output.data.copy_(before)
    assert found.ranking()[-1] == best and found.living_text() == "15 of 16 living"


def test_summary_of_scores_by_hand() -> None:
    matrices = np.full((2, 8, 2, 2), 0.01)
    matrices[1, 3] = [[0.8, 0.1], [0.2, 0.6]]
    scores = HeadScores(np.trace(matrices, axis1=2, axis2=3) / 2, matrices)
    told = discover.summary_of(scores)
    assert told["top"][0] == {
        "head": "L1H3",
        "layer": 1,
        "number": 3,
        "score": pytest.approx(0.7),
        "least_diagonal": 0.6,
        "largest_off_diagonal": 0.2,
    }
    assert (told["gaze_heads"], told["gaze_layers"]) == (1, [0, 1])
    assert told["overlaps"] == {"selectivity": {"1": 1}, "normalised selectivity": {"1": 1}}
    assert told["cut_offs"][-1] == {"score": 0.5, "heads": 1}
    assert told["low_share"] == 15 / 16


def test_strips_of_different_lengths_are_refused(gqa: VLM, tmp_path: Path) -> None:
    mixed = [*draw_strips(1, 1, 2, size=32), *draw_strips(1, 2, 3, size=32)]
    for strips in (mixed, []):
        with pytest.raises(GazeheadsError, match="strips"):
            discover.run(gqa, strips, DiscoverSettings(), RunOptions(tmp_path))
    assert list(tmp_path.iterdir()) == []


def traced(strip: Strip, gaze: list[int], other: list[int], pieces: tuple[str, ...]) -> GazeTrace:
    """A trace of two heads over one token per panel; each looks at one panel per step."""
    panels = len(strip)
    attention = np.full((len(pieces), 2, panels), 0.1)
    for step, (one, two) in enumerate(zip(gaze, other, strict=True)):
        attention[step, 0, one - 1] = attention[step, 1, two - 1] = 0.5
    tokens = ImageTokens.of_grid(range(panels), strip.image.size, panels, 1)
    heads = (Head(0, 0), Head(1, 1))
    return GazeTrace(attention, np.ones((2, panels)), heads, tokens, pieces)


def test_tracking_counts_steps_whose_most_attended_panel_is_narrated(strips: list[Strip]) -> None:
    strip = strips[0]
    assert strip.truths is not None
    told = [headline(truth) for truth in strip.truths]
    pieces = (told[0], "\n", told[1], " ", "And so on", "")
    sets = {"gaze": (HeadSet.of([(0, 0)]),), "control": (HeadSet.of([(1, 1)]),)}
    names = {"gaze": [["L0H0"]], "control": [["L1H1"]]}
    trace = traced(strip, [1, 1, 2, 1, 2, 2], [2, 2, 2, 2, 2, 2], pieces)
    record: dict[str, Any] = {
        "strip": {"panels": [[], []]},
        **record_of(trace, strip, sets, LabelJudge()),
    }
    assert record["narrated"] == [1, 1, 2, 2, None, None]
    assert record["order"] == [1, 2]
    assert record["attention"]["gaze"][0] == pytest.approx([5 / 6, 1 / 6], abs=1e-4)
    summary = summary_of([record], names)
    assert summary["tracking"]["gaze"]["value"] == 3 / 4
    assert summary["tracking"]["control"]["value"] == 2 / 4
    assert (summary["steps"], summary["judged_steps"]) == (6, 4)
    assert (summary["in_order"], summary["panels_narrated"], summary["panels_shown"]) == (1, 2, 2)


def test_the_whole_job_runs_on_a_random_model_and_again_for_nothing(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    announced: list[str] = []

    def announce(name: str) -> Any:
        announced.append(name)
        return lambda done, total: None

    job = main_job.MainJob(ks=(1, 3))
    runs = main_job.run(gqa, strips[:2], strips[2:], job, tmp_path, announce)
    assert [run.experiment for run in runs] == ["discover", "sweep-k", "steer-vqa", "staircase"]
    assert len(announced) == 4
    tuned = set(RunFolder(runs[1].path).records)
    measured = set(RunFolder(runs[2].path).records)
    assert not tuned & measured  # K is not chosen on the strips it is measured on
    k = runs[1].summary["results"]["peak"]["k"]
    assert runs[2].settings["ks"] == [k] and runs[3].settings["k"] == k
    before = [(run.path / "summary.json").read_bytes() for run in runs]
    again = main_job.run(gqa, strips[:2], strips[2:], job, tmp_path, announce)
    assert [(run.path / "summary.json").read_bytes() for run in again] == before


def test_a_given_k_needs_no_sweep(gqa: VLM, strips: list[Strip], tmp_path: Path) -> None:
    job = main_job.MainJob(k=2)
    runs = main_job.run(
        gqa, strips[:1], strips[2:3], job, tmp_path, lambda name: lambda done, total: None
    )
    assert [run.experiment for run in runs] == ["discover", "steer-vqa", "staircase"]
    with pytest.raises(GazeheadsError, match="K = 99"):
        main_job.run(
            gqa,
            strips[:1],
            strips[2:3],
            main_job.MainJob(k=99),
            tmp_path / "other",
            lambda name: lambda done, total: None,
        )
    assert not (tmp_path / "other").exists()


def test_the_staircase_of_a_random_model_is_recorded(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    scores = HeadScores(rng.random((4, 4)), provenance={"model": gqa.name})
    settings = staircase.StaircaseSettings(2, max_new_tokens=5)
    folder = staircase.run(gqa, strips[:1], scores, settings, RunOptions(tmp_path))
    record = folder.records[strips[0].id]
    assert set(record["attention"]) == {"gaze", "control"}
    for rows in record["attention"].values():
        assert np.array(rows).shape == (len(record["pieces"]), 2)
        np.testing.assert_allclose(np.sum(rows, 1), 1, atol=1e-3)
