"""The narration along a schedule: strip, attention and coloured text from one record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_reader import Page

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadSet
from gazeheads.study.experiments import steer_dynamic
from gazeheads.study.report.page import write_report
from gazeheads.study.report.schedule import example_blocks
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

SEGMENT = 4


@pytest.fixture(scope="module")
def run(gqa: VLM, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    sets = {
        "gaze": HeadSet.of([(1, 0), (2, 1)]),
        "random": [HeadSet.of([(3, 3), (0, 1)]), HeadSet.of([(3, 2), (0, 2)])],
    }
    strips = draw_strips(2, 61, 3, size=32)
    settings = steer_dynamic.DynamicSettings(SEGMENT, seed=3)
    options = RunOptions(tmp_path_factory.mktemp("moved"))
    return steer_dynamic.run(gqa, strips, sets, settings, options)


def test_every_segment_stands_beside_its_panel_with_its_verdict(run: RunFolder) -> None:
    record = run.ordered()[0]
    told, figure = example_blocks(run, "gaze")
    assert told.kind == "schedule" and figure.kind == "figure"
    assert [step.panel for step in told.steps] == record["schedule"]
    assert [step.crop for step in told.steps] == [told.panels[p - 1] for p in record["schedule"]]
    texts = [own["text"] for own in record["narrations"]["gaze"]["segments"]]
    assert [step.said.text for step in told.steps] == texts
    ((name, first),) = told.others
    assert name == "random heads"
    drawn = record["controls"]["random"][0]["segments"]
    assert [step.said.text for step in first] == [own["text"] for own in drawn]
    data = json.loads((run.path / "schedule.json").read_text(encoding="utf-8"))
    assert data["attention"] == record["attention"]["gaze"]
    assert len(data["attention"]) == len(data["pieces"]) and data["segment"] == SEGMENT


def test_the_page_shows_it_and_says_nothing_of_attention_that_was_not_kept(
    run: RunFolder, tmp_path: Path
) -> None:
    page = Page(write_report([run], tmp_path / "report.html"))
    steps = 2 * len(run.ordered()[0]["schedule"])  # gaze and random
    assert page.source.split('id="samples"')[0].count("looking at panel") == steps
    assert any(name.endswith("schedule.json") for name in page.saved)
    lines = (run.path / "records.jsonl").read_text(encoding="utf-8").splitlines()
    older = [json.loads(line) for line in lines]
    for record in older:
        del record["attention"]
    (run.path / "records.jsonl").write_text("".join(json.dumps(own) + "\n" for own in older))
    page = Page(write_report([RunFolder(run.path)], tmp_path / "older.html"))
    assert page.source.split('id="samples"')[0].count("looking at panel") == steps
    assert not any(name.endswith("schedule.json") for name in page.saved)
