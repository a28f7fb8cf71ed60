"""Judging stored answers again: same answers, another judge, the study's rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripted_model import ScriptedVlm, scores

from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges import LabelJudge, Verdict
from gazeheads.study.arrays import packed
from gazeheads.study.experiments import staircase, steer_vqa, sweeps
from gazeheads.study.pictures import keep_picture, kept_strip
from gazeheads.study.rejudge import (
    judged_runs,
    out_beside,
    rejudge,
    strips_of,
    texts_to_judge,
)
from gazeheads.study.runs import RunError, RunFolder, RunOptions

PANELS, STRIPS = 3, 2


class Always:
    """Takes every answer to describe one panel; remembers what it was asked."""

    def __init__(self, panel: int) -> None:
        self.panel, self.asked = panel, 0
        self.name, self.about = f"always {panel}", {"panel": panel}

    def judge(self, strip: Strip, answers: Sequence[str]) -> list[Verdict]:
        self.asked += len(answers)
        return [Verdict(self.panel, "described") for _ in answers]


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(STRIPS, 11, PANELS, size=32)


@pytest.fixture
def run(strips: list[Strip], tmp_path: Path) -> RunFolder:
    model = ScriptedVlm(strips, [])
    settings = steer_vqa.SteerVqaSettings((2,))
    return steer_vqa.run(model, strips, scores(), settings, RunOptions(tmp_path / "runs"))  # type: ignore[arg-type]


def again(run: RunFolder, judge: object, out: Path, **options: object) -> RunFolder:
    return rejudge(run, judge, out, strips=strips_of(run), **options)  # type: ignore[arg-type]


def test_the_same_judge_gives_the_same_figures_from_what_the_run_kept(
    run: RunFolder, tmp_path: Path
) -> None:
    judged = again(run, LabelJudge(), tmp_path / "other")
    before, after = run.summary["results"], judged.summary["results"]
    assert after.pop("agreement")["value"] == 1
    assert after == before
    assert [r["answers"] for r in judged.records.values()] == [
        r["answers"] for r in run.records.values()
    ]
    for record in judged.records.values():
        assert (judged.path / record["strip"]["picture"]).is_file()


def test_another_judge_gives_other_figures_under_the_same_rules(
    run: RunFolder, tmp_path: Path
) -> None:
    judge = Always(2)
    judged = again(run, judge, tmp_path / "other")
    results = judged.summary["results"]
    found = {c["key"]: c for c in results["conditions"]}
    # of three targets only panel 2 is hit; panel 1's answer is the baseline's: a miss unasked
    assert found["gaze-2"]["accuracy"]["hits"] == STRIPS
    assert found["gaze-2"]["accuracy"]["total"] == STRIPS * PANELS
    assert found["gaze-2"]["baseline_matches"] == STRIPS
    assert found["all-16"]["junk"] == STRIPS * PANELS
    assert found["random-2"]["accuracy"]["hits"] == 0
    assert results["unsteered"]["by_panel"] == [0, STRIPS, 0]
    assert results["peak"] == {"k": 2, "accuracy": pytest.approx(1 / 3)}
    # each strip: the baseline, and the captions of panels 2 and 3
    assert judge.asked == STRIPS * 3
    assert judge.asked == sum(map(len, texts_to_judge(run).values()))
    assert judged.settings["judge"] == "always 2"
    assert judged.settings["judged_before_by"] == "label"
    # of every strip's answers only those junk before and after, or about panel 2, stay the same
    assert results["agreement"]["hits"] == STRIPS * (PANELS + 1)


def test_the_run_itself_is_never_touched(run: RunFolder, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    again(run, Always(1), tmp_path / "other")
    with pytest.raises(RunError, match="written over"):
        again(run, Always(1), tmp_path / "runs", fresh=True)
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_a_killed_attempt_goes_on(run: RunFolder, tmp_path: Path) -> None:
    judge = Always(1)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(run, judge, tmp_path / "cut", progress=stop)
    asked = judge.asked
    cut = again(run, judge, tmp_path / "cut")
    assert judge.asked == 2 * asked  # one strip each
    whole = again(run, Always(1), tmp_path / "whole")
    for name in ("records.jsonl", "summary.json", "settings.json"):
        assert (cut.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_runs_without_answers_and_unfinished_ones_are_refused(
    run: RunFolder, tmp_path: Path
) -> None:
    with RunFolder.open(RunOptions(tmp_path / "runs"), "discover", "m", {}, {}) as other:
        other.append("one", {"questions": [], "matrices": packed(np.zeros((1, 1, 2, 2)))})
    assert judged_runs([other, run]) == [run]
    with pytest.raises(RunError, match="no steered answers and no narrations"):
        judged_runs([other])
    (run.path / "summary.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        judged_runs([run])


def test_narrations_are_judged_again_sentence_by_sentence(
    strips: list[Strip], tmp_path: Path
) -> None:
    strip = strips[0]
    assert strip.truths is not None
    one, two, _ = (headline(truth) for truth in strip.truths)
    pieces = [f"1. {two}", " ", one, ""]
    attention = {"gaze": [[0.1, 0.8, 0.1], [0.9, 0.1, 0], [0.9, 0.1, 0], [1, 0, 0]]}
    record = {
        "text": "".join(pieces),
        "pieces": pieces,
        "narrated": [3, 3, None, None],
        "order": [3],
        "attention": attention,
        "raw": attention,
    }
    with RunFolder.open(RunOptions(tmp_path / "runs"), "staircase", "m", {"judge": "x"}, {}) as run:
        run.append(strip.id, {"strip": keep_picture(run.path, strip), **record})
        run.summarise(staircase.summary_of(list(run.records.values()), {"gaze": [["L0H0"]]}))
    assert texts_to_judge(run)[strip.id] == [f"1. {two} ", one]
    judged = again(run, LabelJudge(), tmp_path / "other")
    found = judged.records[strip.id]
    assert found["narrated"] == [2, 2, 1, None] and found["order"] == [2, 1]
    assert found["attention"] == record["attention"]
    results = judged.summary["results"]
    tracking = results["tracking"]["gaze"]
    assert (tracking["hits"], tracking["total"]) == (2, 3)
    assert results["heads"] == {"gaze": ["L0H0"]}
    assert (results["agreement"]["hits"], results["agreement"]["total"]) == (1, 4)


def test_a_sweep_is_judged_again_variant_by_variant(strips: list[Strip], tmp_path: Path) -> None:
    vlm, settings = ScriptedVlm(strips, []), steer_vqa.SteerVqaSettings((2,))
    options = RunOptions(tmp_path / "runs")
    run = sweeps.run(sweeps.DELTA, vlm, strips, scores(), settings, options)  # type: ignore[arg-type]
    same = rejudge(run, LabelJudge(), tmp_path / "same", strips=strips_of(run, strips))
    results = same.summary["results"]
    assert results.pop("agreement")["value"] == 1 and results == run.summary["results"]
    other = again(run, Always(2), tmp_path / "other").summary["results"]
    for variant in other["variants"]:
        (gaze,) = variant["conditions"]
        assert gaze["accuracy"]["hits"] == STRIPS


def test_strips_the_judge_cannot_judge_are_told_before_anything_is_written(
    run: RunFolder, strips: list[Strip], tmp_path: Path
) -> None:
    bare = {strip.id: Strip(strip.id, strip.panels) for strip in strips}
    with pytest.raises(GazeheadsError, match="label judge"):
        rejudge(run, LabelJudge(), tmp_path / "other", strips=bare)
    assert not (tmp_path / "other").exists()


def test_given_strips_must_hold_those_of_the_run(run: RunFolder, strips: list[Strip]) -> None:
    assert strips_of(run, strips) == {strip.id: strip for strip in strips}
    with pytest.raises(RunError, match=strips[1].id):
        strips_of(run, strips[:1])


def test_where_judged_runs_go(run: RunFolder) -> None:
    found = out_beside(run, "llm:openai:my/model-4.1")
    assert found == run.path.parents[1].parent / "runs-by-llm-openai-my-model-4.1"
    options = RunOptions(run.path.parents[1], place="for-others")
    with RunFolder.open(options, "sweep-k", "scripted", {}, {}) as derived:
        assert out_beside(derived, "caption") == run.path.parents[1].parent / "runs-by-caption"


@pytest.mark.parametrize("columns", [None, 2])
def test_a_strip_is_kept_with_its_picture_and_all_that_judges_need(
    tmp_path: Path, columns: int | None
) -> None:
    (strip,) = draw_strips(1, 4, 4, size=64, columns=columns)
    kept = json.loads(json.dumps(keep_picture(tmp_path, strip)))
    found = kept_strip(tmp_path, strip.id, kept)
    assert (found.id, found.truths, found.columns) == (strip.id, strip.truths, columns)
    assert found.image.size == strip.image.size and found.regions == strip.regions
    assert strip.captions and found.captions == tuple(said[:1] for said in strip.captions)


def test_a_strip_about_which_nothing_is_known_is_kept_too(tmp_path: Path) -> None:
    panels = tuple(Image.new("RGB", (900, 256), colour) for colour in ("red", "blue"))
    kept = keep_picture(tmp_path, Strip("scan", panels))  # wider than pictures are kept
    found = kept_strip(tmp_path, "scan", kept)
    assert (found.truths, found.captions, len(found)) == (None, None, 2)
    red, blue = (panel.resize((1, 1)).getpixel((0, 0)) for panel in found.panels)
    assert red[0] > 200 and red[2] < 100 and blue[2] > 200  # type: ignore[index]
    (tmp_path / kept["picture"]).unlink()
    with pytest.raises(RunError, match="not found"):
        kept_strip(tmp_path, "scan", kept)


def test_every_strip_keeps_its_own_picture_whatever_its_id(tmp_path: Path) -> None:
    ids = ["猫", "犬", "my comic", "my-comic", "A", "a", "con", "..", "a/b", "../x", "x" * 300, "²"]
    colours = [(20 * n, 255 - 20 * n, 0) for n in range(len(ids))]
    kept = {}
    for name, colour in zip(ids, colours, strict=True):
        panels = (Image.new("RGB", (64, 64), colour),) * 2
        kept[name] = keep_picture(tmp_path / "run", Strip(name, panels))
    assert len({about["picture"].casefold() for about in kept.values()}) == len(ids)
    for name, colour in zip(ids, colours, strict=True):
        pixel = kept_strip(tmp_path / "run", name, kept[name]).panels[0].getpixel((20, 20))
        assert np.abs(np.subtract(pixel, colour)).max() < 12
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # none escaped
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["strips"]
