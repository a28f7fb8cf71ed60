"""The report: complete, self-contained, and true to the summaries."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text
from page_reader import Page
from PIL import Image
from scripted_model import ScriptedVlm, scores, steered

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.study import published
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.report import figures
from gazeheads.study.report.blocks import answer_of, crop_css
from gazeheads.study.report.naming import named_by
from gazeheads.study.report.numbers import counts, percent
from gazeheads.study.report.page import write_report
from gazeheads.study.report.sections import sections_of
from gazeheads.study.report.steered import unsteered_told
from gazeheads.study.report.theme import LIGHT
from gazeheads.study.runs import RunFolder, RunOptions, find_runs


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page(out / "report.html")


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    assert page.loaded and all(part.startswith("data:") for part in page.loaded)
    assert page.tags.count("script") == 2 and "@import" not in page.styles
    for part in page.styles.split("url(")[1:]:
        assert part.startswith("data:")


def test_a_page_that_is_mailed_has_its_numbers_inside(page: Page, out: Path) -> None:
    files = {file.read_bytes(): file for kind in ("csv", "json") for file in out.rglob(f"*.{kind}")}
    drawn = {file for file in files.values() if file.suffix == ".csv"}
    assert len(page.saved) >= 8
    for name, data in page.saved.items():
        assert Path(name).suffix in (".csv", ".json") and "/" not in name
        if data in files:
            assert name == "-".join(files[data].relative_to(out).parts)
            drawn.discard(files[data])
    assert not {file.name for file in drawn}
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.linked)


def test_the_file_of_a_table_holds_its_cells(page: Page) -> None:
    rows = list(csv.reader(io.StringIO(page.saved["accuracy-3.csv"].decode())))
    assert rows[0][:2] == ["steered", "follow"] and rows[1][0].startswith("gaze heads")
    assert all(cell in page.text for cell in rows[1])


def test_the_contents_name_every_section_once(page: Page) -> None:
    sections = [name for name in page.ids if f'<section id="{name}"' in page.source]
    assert len(sections) >= 6 and page.contents == sections


def test_a_strip_is_in_the_page_once_however_many_runs_show_it(tmp_path: Path) -> None:
    strips = draw_strips(3, 5, 2, size=32)
    runs = [steered(tmp_path, strips, name) for name in ("one", "two")]
    page = Page(write_report(runs, tmp_path / "report.html"))
    assert page.source.count('<article class="strip') == 6
    assert page.styles.count(".crop{background-image:url(data:image/webp") == 3


def test_the_page_tells_the_numbers_of_the_summaries(page: Page, out: Path) -> None:
    for condition in RunFolder(out / "steer-vqa" / "tiny-random").summary["results"]["conditions"]:
        assert percent(condition["accuracy"], interval=True) in page.text
        assert percent(condition["content"], interval=True) in page.text
    tracking = RunFolder(out / "staircase" / "tiny-random").summary["results"]["tracking"]
    for own in tracking.values():
        assert percent(own, interval=True) in page.text
    best = RunFolder(out / "discover" / "tiny-random").summary["results"]["top"][0]
    assert best["head"] in page.text and f"{best['score']:.2f}" in page.text
    assert "seed 7" in page.text and "torch" in page.text


def test_published_figures_are_labelled_as_another_models(page: Page) -> None:
    assert f"{published.MODEL}, published" in page.text
    assert f"{published.MODEL} is another model" in page.text
    for value in published.VQA_ACCURACY.values():
        assert f"{value:.1f}%" in page.text


def test_every_figure_comes_as_png_in_both_appearances_as_pdf_and_as_numbers(out: Path) -> None:
    figures = {
        "discover": {
            "matrices": "matrices.json",
            "head-map": "head-scores.csv",
            "histogram": "head-scores.csv",
        },
        "sweep-k": {"k-curve": "k-curve.csv"},
        "steer-vqa": {"conditions": "conditions.csv"},
        "staircase": {"staircase": "staircase.json"},
    }
    for experiment, own in figures.items():
        folder = out / experiment / "tiny-random"
        for name, numbers in own.items():
            assert (folder / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
            assert (folder / numbers).stat().st_size > 0
            for picture in (f"{name}.png", f"{name}-dark.png"):
                with Image.open(folder / picture) as image:
                    assert image.width >= 2 * 500  # twice the pixels of a screen


def test_the_tables_hold_the_numbers_of_the_figures(out: Path) -> None:
    folder = RunFolder(out / "sweep-k" / "tiny-random")
    rows = list(csv.DictReader((folder.path / "k-curve.csv").open()))
    conditions = folder.summary["results"]["conditions"]
    own = {(row["condition"], int(row["k"]), row["measure"]): row for row in rows}
    assert len(own) == len(rows)
    for condition in conditions:
        who, accuracy = (condition["condition"], condition["k"]), condition["accuracy"]
        for name in ("value", "low", "high"):
            told = float(own[*who, "accuracy"][name])
            assert told == pytest.approx(accuracy[name], abs=1e-6)
        assert int(own[*who, "accuracy"]["n"]) == accuracy["total"]
        junk = own[*who, "junk"]
        assert round(float(junk["value"]) * int(junk["n"])) == condition["junk"]
    listed = list(csv.DictReader((out / "discover/tiny-random/head-scores.csv").open()))
    values = [float(row["score"]) for row in listed]
    assert len(values) == 16 and values == sorted(values, reverse=True)
    record = json.loads((out / "staircase/tiny-random/staircase.json").read_text())
    assert len(record["attention"]["gaze"]) == len(record["pieces"]) == len(record["narrated"])


def test_examples_show_every_answer_with_its_verdict(tmp_path: Path) -> None:
    strips = draw_strips(6, 5, 3, size=32)
    page = Page(write_report([steered(tmp_path, strips)], tmp_path / "report.html"))
    for strip in strips:
        assert strip.captions is not None
        for wordings in strip.captions:
            assert wordings[0] in page.text
    assert page.text.count("describes panel 3") == 6
    assert page.text.count("same as unsteered") == 6 * (1 + 3)  # panel 1, and all random heads
    assert page.text.count("describes no panel") == 6 * 3  # all heads
    assert "2 more strips" in page.text
    assert "random" in page.text and "no no no no no" in page.text


def test_a_models_words_cannot_become_markup(tmp_path: Path) -> None:
    blank = Image.new("RGB", (32, 32))
    rude = PanelTruth("cat", "rides", "<script>alert(1)</script>", "city")
    strip = Strip("<b>id</b>", (blank, blank), (rude, PanelTruth("dog", "cuts", "ball", "reef")))
    page = Page(write_report([steered(tmp_path, [strip])], tmp_path / "report.html"))
    assert page.tags.count("script") == 2  # its own, and the data of the viewer
    assert "<script>alert(1)</script>" in page.text


def test_two_models_stand_in_one_page_one_after_the_other(tmp_path: Path) -> None:
    strips = draw_strips(1, 5, 2, size=32)
    for name in ("org/one", "two"):
        steered(tmp_path, strips, name)
    runs = find_runs([tmp_path])
    page = Page(write_report(runs, tmp_path / "pages" / "report.html"))
    assert "Gaze heads of org/one, two" in page.text
    assert len(page.ids) == len(set(page.ids))
    assert all(link[1:] in page.ids for link in page.linked)


def test_an_unfinished_run_has_no_report(tmp_path: Path) -> None:
    run = steered(tmp_path, draw_strips(1, 5, 2, size=32))
    (run.path / "summary.json").unlink()
    with pytest.raises(GazeheadsError, match="not finished"):
        write_report([run], tmp_path / "report.html")
    with pytest.raises(GazeheadsError, match="no runs"):
        write_report([], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_crop_shows_exactly_its_part_of_the_picture() -> None:
    # the second of four panels in a 2 x 2 grid of a picture twice as wide as high
    css = crop_css((0.5, 0, 1, 0.5), 2)
    assert "background-size:200.00% 200.00%" in css
    assert "background-position:100.00% 0.00%" in css
    assert "aspect-ratio:2.0000" in css
    whole = crop_css((0, 0, 1, 1), 1.5)
    assert "background-size:100.00% 100.00%;background-position:0.00% 0.00%" in whole


def test_answers_nobody_judged_get_a_column_only_if_there_are_any() -> None:
    share = {"value": 0.5, "low": 0.25, "high": 0.75}
    own = {"accuracy": share, "content": share, "pairs": 4, "junk": 1, "ties": 0}
    judged, declined = ({**own, "baseline_matches": 2, "unjudged": n} for n in (0, 1))
    head, cells = counts([judged])
    assert "unjudged" not in head and len(cells[0]) == len(head)
    head, cells = counts([judged, declined])
    assert head[-1] == "unjudged" and [row[-1] for row in cells] == ["0 (0%)", "1 (25%)"]
    assert answer_of({"text": "x", "panel": None, "reason": "unjudged"}, 1).told == "not judged"


def test_another_judge_stands_beside_the_exact_one(tmp_path: Path) -> None:
    """The confusion with the label judge, from the texts and truths of the run itself."""

    class Second:
        name, about = "always two", {}

        def judge(self, strip: Strip, answers: Any) -> list[Any]:
            from gazeheads.judges import Verdict

            return [Verdict(2, "described") for _ in answers]

    strips = draw_strips(2, 11, 3, size=32)
    settings = SteerVqaSettings((1,), ("gaze",), judge="always two")
    vlm: Any = ScriptedVlm(strips, [])
    run = steer_vqa.run(vlm, strips, scores(), settings, RunOptions(tmp_path), judge=Second())
    page = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    with (run.path / "confusion.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    texts = [t for r in run.ordered() for t in (r["baseline"], *r["answers"])]
    assert sum(int(row["count"]) for row in rows) == len(texts)
    # unsteered it tells the first panel: one text a strip, which this judge gives to the second
    ours = [r for r in rows if (r["label_judge_panel"], r["panel"]) == ("1", "2")]
    assert [int(r["count"]) > 0 for r in ours] == [True]
    assert "agree on" in page


def test_heads_of_another_ranking_are_not_called_gaze_heads(tmp_path: Path) -> None:
    strips = draw_strips(2, 5, 3, size=32)
    vlm: Any = ScriptedVlm(strips, [])
    options = RunOptions(tmp_path, heads_from={"ranking": "mine", "provenance": {"file": "m.json"}})
    run = steer_vqa.run(vlm, strips, scores(), SteerVqaSettings((2,), draws=4), options)
    assert run.summary["settings"]["provenance"] == {"file": "m.json"}
    page = Page(write_report([run], tmp_path / "report.html"))
    assert (
        "2 heads of \N{LEFT SINGLE QUOTATION MARK}mine\N{RIGHT SINGLE QUOTATION MARK} are"
        in page.text
    )
    assert "gaze heads" not in repr(sections_of({run.experiment: run})).lower()
    results = run.summary["results"]
    with named_by(run.settings):
        drawn = [
            figures.condition_bars(LIGHT, results["conditions"], results["chance"]),
            figures.k_curve(LIGHT, results["conditions"], results["heads"], results["chance"]),
        ]
    for figure in drawn:
        words = {text.get_text() for text in figure.findobj(Text)}
        assert any("mine" in each for each in words)
        assert not any("gaze" in each for each in words)
    for name in ("conditions", "by-panel", "profiles", "controls"):
        with (run.path / f"{name}.csv").open(encoding="utf-8") as file:
            told = {row["condition"] for row in csv.DictReader(file)}
        assert "mine" in told and "gaze" not in told


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"by_panel": [0, 0], "ties": 3, "junk": 0}, "3 fit several panels equally"),
        (
            {"by_panel": [2, 1], "ties": 0, "junk": 0},
            "3 describe one panel (panel 1 twice, panel 2 once)",
        ),
        (
            {"by_panel": [0, 1], "ties": 1, "junk": 1},
            "1 describes one panel (panel 2 once), 1 fits several panels equally, 1 describes none",
        ),
        ({"by_panel": [0, 0], "ties": 0, "junk": 3, "unjudged": 0}, "3 describe none"),
    ],
)
def test_a_sentence_tells_only_what_there_is(own: dict[str, Any], told: str) -> None:
    assert unsteered_told({**own, "strips": 3}) == f"Of the 3 unsteered answers {told}."
