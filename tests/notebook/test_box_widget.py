"""The widget: a drawn box is answered, in Python and in a real browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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
        "picture": box_widget.data_uri(picture()), "size": [160, 96], "box": [],
        "question": "what?", "answer": "", "plain": "", "problem": "", "note": "",
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
