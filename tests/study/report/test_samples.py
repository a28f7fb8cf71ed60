"""The viewer of samples: its data is that of the records, and its page shows it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_model import steered

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.report import samples
from gazeheads.study.report.chapters import bundles_of
from gazeheads.study.report.embedding import Pictures
from gazeheads.study.report.page import write_report
from gazeheads.study.runs import RunFolder, find_runs

PANELS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    strips = draw_strips(2, 5, PANELS, size=32)
    folder = tmp_path_factory.mktemp("samples")
    run = steered(folder, strips, settings=SteerVqaSettings((2,), draws=2))
    write_report([run], folder / "report.html")
    return run


def read(run: RunFolder) -> list[dict[str, Any]]:
    """What the page's data says of every sample, in words."""
    source = (run.path.parents[1] / "report.html").read_text(encoding="utf-8")
    found = re.search(r'id="samples-data">(.*?)</script>', source, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    return [
        {
            "strip": data["strips"][strip][0],
            "heads": data["heads"][heads],
            "target": target,
            "text": data["texts"][text],
            "kind": data["kinds"][kind],
            "told": data["verdicts"][verdict][0],
        }
        for _, strip, heads, target, text, kind, verdict, _ in data["rows"]
    ]


def test_every_answer_of_the_first_draw_is_there_with_its_verdict(run: RunFolder) -> None:
    names = {"gaze": "2 gaze heads", "random": "2 random heads", "all": "all heads"}
    wanted = Counter(
        (record["unit"], names[a["condition"].split("-")[0]], a["target"], a["text"])
        for record in run.ordered()
        for a in record["answers"]
        if a.get("draw", 0) == 0
    )
    wanted += Counter((r["unit"], "unsteered", 0, r["baseline"]["text"]) for r in run.ordered())
    listed = read(run)
    assert Counter((s["strip"], s["heads"], s["target"], s["text"]) for s in listed) == wanted
    kinds = Counter((s["heads"], s["kind"]) for s in listed)
    # the scripted gaze heads tell the target, which for panel 1 equals the unsteered answer
    assert kinds["2 gaze heads", "same as unsteered"] == 2
    assert kinds["2 gaze heads", "hit"] == 2 * (PANELS - 1)
    assert kinds["all heads", "describes no panel"] == 2 * PANELS
    assert kinds["unsteered", "describes one panel"] == 2


def test_more_strips_than_a_page_can_hold_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = steered(tmp_path, draw_strips(4, 5, 2, size=32), settings=SteerVqaSettings((2,), draws=2))
    monkeypatch.setattr(samples, "MOST_STRIPS", 3)
    found = samples.samples_of(bundles_of([run]), Pictures())
    assert found is not None and len(found.values["strips"]) == 3
    assert found.left_out[0].endswith("the first 3 of 4 strips")
    page = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert found.left_out[0] in page


def test_a_report_without_answers_has_no_viewer(out: Path, tmp_path: Path) -> None:
    path = write_report(find_runs([out / "discover"]), tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert "samples-data" not in page.split("<script>")[0] and 'href="#samples"' not in page


@pytest.fixture
def page(browser: Any, run: RunFolder) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda told: faults.append(told.text))
    page.goto((run.path.parents[1] / "report.html").as_uri())
    yield page
    assert faults == []
    page.close()


def test_filters_turning_and_keys(page: Any, run: RunFolder) -> None:
    viewer = page.locator("#samples .viewer")
    place = viewer.locator("output")
    assert place.inner_text() == f"1 of {2 * (1 + 3 * PANELS)}"
    viewer.locator("select[name=heads]").select_option(label=f"2 gaze heads ({2 * PANELS})")
    viewer.locator("select[name=target]").select_option(label="panel 3 (2)")
    assert place.inner_text() == "1 of 2"
    records = [r for r in run.ordered()]

    def shown() -> tuple[str, str]:
        said = viewer.locator(".answer .said").inner_text()
        return viewer.locator(".unsteered .name").inner_text(), said

    def wanted(record: dict[str, Any]) -> tuple[str, str]:
        (own,) = (a for a in record["answers"] if a["condition"] == "gaze-2" and a["target"] == 3)
        return record["unit"], own["text"]

    assert shown() == wanted(records[0])
    assert "describes panel 3" in viewer.locator(".answer .told").inner_text()
    assert "judge: label" in viewer.locator(".answer .told").inner_text()
    assert viewer.locator(".looked-at").count() == 1
    viewer.locator(".sample").focus()
    page.keyboard.press("ArrowRight")
    assert place.inner_text() == "2 of 2" and shown() == wanted(records[1])
    assert viewer.locator(".next").is_disabled()
    viewer.locator(".back").click()
    assert shown() == wanted(records[0])
    # what the other filters leave is offered, and nothing else
    kinds = viewer.locator("select[name=kind] option").all_inner_texts()
    assert kinds == ["all", "hit (2)"]
    viewer.locator("select[name=kind]").select_option(label="hit (2)")
    assert place.inner_text() == "1 of 2"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
