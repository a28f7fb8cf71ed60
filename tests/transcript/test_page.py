"""The transcript page in a real browser: what it draws is what the trace says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads import GazeheadsError, GazeTrace, Head, Region
from gazeheads.discovery.sinks import Sinks
from gazeheads.regions import ImageTokens
from gazeheads.transcript import write_transcript

SIZE = (320, 160)
PIECES = ("The", " red", " boat", " and", " the", " moon", ".")
SINK = 3


def make_trace() -> GazeTrace:
    """Eight cells and a thumbnail over everything; one cell per word, and a sink in the corner."""
    cells = ImageTokens.of_grid(range(8), SIZE, 4, 2)
    boxes = np.concatenate([cells.boxes, [[0, 0, *SIZE]], [[np.nan] * 4]])
    tokens = ImageTokens(np.arange(10), boxes, (SIZE,), np.zeros(10, dtype=np.int64))
    attention = np.full((len(PIECES), 2, 10), 0.01)
    attention[:3, :, 0] = 0.5  # "The red boat": top left
    attention[4:6, :, 6] = 0.3  # "the moon": bottom, third of four
    attention[:, :, SINK] = 0.4
    heads = (Head(1, 0), Head(2, 3))
    return GazeTrace(attention, None, heads, tokens, PIECES, image=Image.new("RGB", SIZE, "white"))


def sinks() -> Sinks:
    placed = np.arange(10) == SINK
    return Sinks(placed, np.zeros(10, dtype=bool), placed * 9.0, 11)


def _strange(url: str) -> bool:
    return "page.html" not in url and not url.startswith("data:")


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Any:
    pages = []

    def opened(options: dict[str, Any], **context: Any) -> Any:
        path = write_transcript(make_trace(), tmp_path / "page.html", **options)
        page = browser.new_page(**context)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda told: page.faults.append(told.text))
        page.on("request", lambda asked: _strange(asked.url) and page.faults.append(asked.url))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert page.faults == []
        page.close()


def brightness(page: Any) -> np.ndarray:
    """(2, 4): the mean colour of the map in every cell, as one number."""
    read = """() => { const c = document.getElementById('map');
      const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
      return [c.width, c.height, Array.from(d)]; }"""
    width, height, data = page.evaluate(read)
    pixels = np.array(data, dtype=float).reshape(height, width, 4)[..., :3].sum(-1)
    return pixels.reshape(2, height // 2, 4, width // 4).mean((1, 3))


def test_pointing_at_a_phrase_shows_where_its_words_were_looked_at(visit: Any) -> None:
    page = visit({"sinks": sinks()})
    spans = page.locator(".span")
    assert spans.all_inner_texts() == ["The red boat", "the moon"]
    assert page.locator("#text").inner_text() == "The red boat and the moon."
    spans.nth(0).hover()
    assert brightness(page).argmax() == 0
    assert "at the top left" in page.locator("#told").inner_text()
    spans.nth(1).hover()
    assert brightness(page).argmax() == 6
    # one scale for all phrases: half as much attention is darker
    boat_is_brightest = brightness(page).max()
    spans.nth(0).hover()
    assert brightness(page).max() > boat_is_brightest
    page.locator("h1").hover()
    assert "The whole text" in page.locator("#told").inner_text()


def test_sinks_are_left_out_until_they_are_asked_for(visit: Any) -> None:
    page = visit({"sinks": sinks()})
    page.locator(".span").nth(1).focus()
    assert brightness(page).argmax() == 6
    page.locator("#sinks").uncheck()
    page.locator(".span").nth(1).focus()
    assert brightness(page).argmax() == SINK
    kept = visit({"sinks": sinks(), "sink_choice": "keep"})
    kept.locator(".span").nth(1).focus()
    assert not kept.locator("#sinks").is_checked() and brightness(kept).argmax() == SINK


def test_shares_are_of_the_attention_to_the_picture(visit: Any) -> None:
    regions = [Region.from_box(0, 0, 80, 80, "corner"), Region.from_box(160, 80, 240, 160, "moon")]
    page = visit({"sinks": sinks(), "regions": regions})
    page.locator(".span").nth(0).focus()
    trace = make_trace().without([SINK])
    shares = trace.by_region(regions, value_weighted=False).values[0]
    told = page.locator("#told").inner_text()
    assert f"{round(100 * shares[0])}% to corner" in told
    total = trace.attention[0].sum(-1).mean()
    assert f"{round(100 * total)}% of the heads" in told


def test_keyboard_and_touch_do_what_the_mouse_does(visit: Any) -> None:
    page = visit({}, viewport={"width": 390, "height": 844}, has_touch=True)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "The red boat"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator(".span").nth(1).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert page.locator("[aria-pressed=true]").count() == 0
    page.locator(".span").nth(0).tap()
    assert page.locator(".span").nth(0).get_attribute("aria-pressed") == "true"
    assert "The red boat" in page.locator("#told").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(visit: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit({"sinks": sinks(), "about": {"model": "m"}}, color_scheme=scheme)
    page.locator(".span").nth(0).click()
    page.locator("summary").click()
    assert [each["id"] for each in axe.Axe().run(page).response["violations"]] == []


def test_words_of_a_text_cannot_break_the_page(visit: Any, tmp_path: Path) -> None:
    hostile = '</script><img src=x onerror="throw 1">'
    trace = replace(make_trace(), pieces=(hostile, *PIECES[1:]))
    path = write_transcript(trace, tmp_path / "hostile.html", title=hostile, prompt=hostile)
    page = visit({})
    page.goto(path.as_uri().replace("hostile.html", "hostile.html?page.html"))
    assert hostile in page.locator("#text").inner_text()


def test_what_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    trace = make_trace()
    for wrong, told in (
        (replace(trace, image=None), "does not know its picture"),
        (replace(trace, image=Image.new("RGB", (9, 9))), "9 x 9 pixels"),
        (replace(trace, pieces=("",) * len(PIECES)), "nothing was written"),
    ):
        with pytest.raises(GazeheadsError, match=told):
            write_transcript(wrong, path)
    with pytest.raises(GazeheadsError, match="does not say"):
        write_transcript(trace, path, spans=["owl"])
    assert not path.exists()
