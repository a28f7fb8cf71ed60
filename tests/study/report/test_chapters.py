"""Runs of one experiment side by side: both are there, labelled by what differs."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_reader import Page
from results_page import check_csv
from scripted_model import steered

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges import LabelJudge
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.report.chapters import bundles_of, differing
from gazeheads.study.report.page import write_report
from gazeheads.study.runs import RunFolder, find_runs

USUAL = SteerVqaSettings((2,), draws=2)


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(2, 5, 2, size=32)


class Namesake(LabelJudge):
    name = "namesake"


@pytest.mark.parametrize(
    ("settings", "judge", "labels"),
    [
        (replace(USUAL, ks=(3,)), None, ["K 2", "K 3"]),
        (
            replace(USUAL, prompt="What is it?"),
            None,
            ["question What is the", "question What is it?"],
        ),
        (replace(USUAL, judge="namesake"), Namesake(), ["judge label", "judge namesake"]),
        (replace(USUAL, seed=3), None, ["seed 0", "seed 3"]),
    ],
)
def test_two_runs_of_an_experiment_are_labelled_by_what_differs(
    tmp_path: Path, strips: list[Strip], settings: Any, judge: Any, labels: list[str]
) -> None:
    first = steered(tmp_path / "a", strips, settings=USUAL)
    second = steered(tmp_path / "b", strips, settings=settings, judge=judge)
    bundles = bundles_of([first, second])
    assert [
        bundle.label[: len(label)] for bundle, label in zip(bundles, labels, strict=True)
    ] == labels
    page = Page(write_report([first, second], tmp_path / "report.html"))
    assert len(page.ids) == len(set(page.ids))
    assert {"side-by-side", "accuracy", "r2-accuracy"} <= set(page.contents)
    rows = list(csv.reader(io.StringIO(page.saved["side-by-side-1.csv"].decode())))
    assert [row[0] for row in rows[1:]] == [bundle.title for bundle in bundles]
    check_csv(tmp_path / "side-by-side" / "side-by-side.csv")
    assert "side-by-side.csv" in page.text
    for row, run in zip(rows[1:], (first, second), strict=True):
        own = {c["condition"]: c for c in run.summary["results"]["conditions"]}
        hits = 100 * own["gaze"]["accuracy"]["value"]
        assert row[rows[0].index("gaze heads")].startswith(f"{hits:.1f}%")


def test_other_heads_are_told_and_more_of_the_same_ranking_are_not(
    tmp_path: Path, strips: list[Strip]
) -> None:
    first, more = (
        steered(tmp_path / str(k), strips, settings=replace(USUAL, ks=(k,))) for k in (2, 3)
    )
    assert set(differing([first, more])) == {"K"}
    other = RunFolder(first.path)
    other.settings["head_sets"] = {"gaze-2": [["L0H0", "L0H1"]]}
    assert set(differing([RunFolder(first.path), other])) == {"heads"}


def test_runs_that_differ_in_nothing_are_told_apart_by_their_folders(
    tmp_path: Path, strips: list[Strip]
) -> None:
    run = steered(tmp_path / "a", strips, settings=USUAL)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copied = RunFolder(tmp_path / "b" / run.path.relative_to(tmp_path / "a"))
    labels = [bundle.label for bundle in bundles_of([run, copied])]
    assert labels == ["in a/steer-vqa/scripted", "in b/steer-vqa/scripted"]
    with pytest.raises(GazeheadsError, match="named twice"):
        write_report([run, copied, run], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_runs_of_one_output_folder_stay_together(
    out: Path, strips: list[Strip], tmp_path: Path
) -> None:
    here = find_runs([out])
    (alone,) = bundles_of(here)
    assert alone.label == "" and len(alone.runs) == len(here)
    shutil.copytree(out / "steer-vqa", tmp_path / "steer-vqa")
    first, second = bundles_of([*here, *find_runs([tmp_path])])
    assert first.runs.keys() == alone.runs.keys() and second.runs.keys() == {"steer-vqa"}
