"""The widget: a drawn box is answered, in Python and in a real browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads import html_parts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadSet
from gazeheads.models import VLM

anywidget = pytest.importorskip("anywidget")

HEADS = HeadSet.of([(1, 0), (2, 3)])


def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def test_a_box_is_answered_as_describe_answers_it(gqa: VLM) -> None:
    from gazeheads.notebook import BoxWidget

    image = picture()
    widget = BoxWidget(gqa, image, heads=HEADS, max_new_tokens=5)
    assert (widget.answer, widget.problem, widget.size) == ("", "", [160, 96])
    widget.box = [32, 32, 96, 80]
    expected = gqa.describe(image, (32, 32, 96, 80), heads=HEADS, max_new_tokens=5)
    assert widget.answer == expected.strip()
    before = widget.answer
    widget.question = "what?"
    other = gqa.describe(image, (32, 32, 96, 80), "what?", heads=HEADS, max_new_tokens=5)
    assert widget.answer == other.strip() != before


@pytest.mark.parametrize(
    ("box", "told"),
    [([500, 0, 600, 90], "outside"), ([1, 2, 3], "x0, y0, x1, y1"), ([5, 5, 5, 5], "empty")],
)
def test_a_box_that_cannot_be_is_told_and_leaves_no_old_answer(
    gqa: VLM, box: Any, told: str
) -> None:
    from gazeheads.notebook import BoxWidget

    widget = BoxWidget(gqa, picture(), heads=HEADS, max_new_tokens=3)
    widget.box = [32, 32, 96, 80]
    widget.box = box
    assert widget.answer == widget.plain == "" and told in widget.problem


def test_panels_and_schedules_are_answered_as_ask_answers_them(gqa: VLM) -> None:
    from gazeheads.notebook import BoxWidget

    strip = draw_strips(1, seed=0, panels=3, size=64)[0]
    widget = BoxWidget(gqa, strip, heads=HEADS, max_new_tokens=6)
    assert [tuple(box) for box in widget.panels] == [each.boxes[0] for each in strip.regions]
    ask = {"heads": HEADS, "max_new_tokens": 6}
    widget.panel = 2
    assert widget.answer == gqa.ask(strip.image, widget.question, strip.panel(2), **ask).strip()
    widget.schedule = [3, 1]
    assert (widget.panel, widget.box) == (0, [])
    turns = [strip.panel(3), strip.panel(1)]
    assert widget.answer == gqa.ask(strip.image, widget.question, turns, **ask).strip()
    widget.box = [2, 2, 60, 60]
    assert (widget.panel, widget.schedule) == (0, [])
    expected = gqa.describe(strip.image, (2, 2, 60, 60), widget.question, **ask)
    assert widget.answer == expected.strip()
    widget.box = []
    assert widget.answer == widget.plain == widget.problem == ""


def test_panels_that_are_not_there_are_told(gqa: VLM) -> None:
    from gazeheads.notebook import BoxWidget

    widget = BoxWidget(gqa, picture(), heads=HEADS, max_new_tokens=3)
    widget.panel = 1
    assert widget.answer == "" and "no panels" in widget.problem
    strip = BoxWidget(gqa, draw_strips(1, seed=0, panels=3, size=64)[0], heads=HEADS)
    strip.schedule = [1, 9]
    assert strip.answer == "" and "9" in strip.problem


def test_a_bar_follows_the_work_and_starts_anew(capsys: pytest.CaptureFixture[str]) -> None:
    from gazeheads.notebook import progress_bar

    told = progress_bar("Finding")
    for _ in range(2):
        for done in range(1, 4):
            told(done, 3)
    assert capsys.readouterr().err.count("3/3") == 2


PAGE = """<!doctype html><meta charset="utf-8"><div id="here"></div><script type="module">
import widget from "data:text/javascript;base64,%s";
const values = %s, heard = {};
window.saved = [];
const model = {
  get: (name) => values[name],
  set: (name, value) => { values[name] = value; },
  save_changes: () => window.saved.push(JSON.parse(JSON.stringify(values))),
  on: (name, call) => { heard[name] = call; },
};
window.tell = (name, value) => { values[name] = value; heard[`change:${name}`](); };
widget.render({ model, el: document.getElementById("here") });
window.ready = true;
</script>"""


def test_a_box_drawn_with_the_pointer_is_sent_and_the_answer_shown(browser: Any) -> None:
    from gazeheads.notebook import box_widget

    script = Path(box_widget.__file__).with_name("box_widget.js")
    code = base64.b64encode(script.read_bytes()).decode()
    values = {
        "picture": html_parts.image_uri(picture()), "size": [160, 96], "box": [],
        "question": "what?", "answer": "", "plain": "", "problem": "", "note": "", "panels": [],
        "panel": 0, "schedule": [],
    }  # fmt: skip
    page = browser.new_page()
    page.set_content(PAGE % (code, json.dumps(values)))
    page.wait_for_function("window.ready === true")
    area = page.locator("img").bounding_box()
    page.mouse.move(area["x"] + 40, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + 120, area["y"] + 70, steps=4)
    page.mouse.up()
    (saved,) = page.evaluate("window.saved")
    scale = 160 / area["width"]
    assert saved["box"] == pytest.approx([40 * scale, 20 * scale, 120 * scale, 70 * scale], abs=1)
    page.evaluate("window.tell('answer', 'A red boat.')")
    assert page.locator(".gazeheads-answer").text_content() == "A red boat."
    page.evaluate("window.tell('problem', 'outside')")
    assert "gazeheads-problem" in page.locator(".gazeheads-answer").get_attribute("class")
    # a click is no box
    page.mouse.click(area["x"] + 10, area["y"] + 10)
    assert len(page.evaluate("window.saved")) == 1
    page.close()


def test_panels_are_chosen_by_button_or_click_and_one_after_the_other(browser: Any) -> None:
    from gazeheads.notebook import box_widget

    script = Path(box_widget.__file__).with_name("box_widget.js")
    code = base64.b64encode(script.read_bytes()).decode()
    values = {
        "picture": html_parts.image_uri(picture()), "size": [160, 96], "box": [],
        "question": "what?", "answer": "", "plain": "", "problem": "", "note": "",
        "panels": [[0, 0, 80, 96], [80, 0, 160, 96]], "panel": 0, "schedule": [],
    }  # fmt: skip
    page = browser.new_page()
    page.set_content(PAGE % (code, json.dumps(values)))
    page.wait_for_function("window.ready === true")
    page.get_by_role("button", name="panel 2").click()
    assert page.evaluate("window.saved.at(-1).panel") == 2
    page.evaluate("window.tell('panel', 2)")
    area = page.locator("img").bounding_box()
    frame = page.locator(".gazeheads-frame")
    assert frame.evaluate("(own) => [own.style.left, own.style.width]") == ["50%", "50%"]
    assert page.get_by_role("button", name="panel 2").get_attribute("aria-pressed") == "true"
    page.mouse.click(area["x"] + 10, area["y"] + 10)
    assert page.evaluate("window.saved.at(-1).panel") == 1
    page.get_by_label("one after the other").check()
    for number in (2, 1):
        page.get_by_role("button", name=f"panel {number}").click()
        page.evaluate("window.tell('schedule', window.saved.at(-1).schedule)")
    assert page.evaluate("window.saved.at(-1).schedule") == [2, 1]
    assert page.locator(".gazeheads-order").text_content() == "2 → 1"
    page.get_by_label("one after the other").uncheck()
    assert page.evaluate("window.saved.at(-1).schedule") == []
    page.close()
