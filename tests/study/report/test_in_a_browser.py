"""The report in a real browser: on a phone, with keys alone, for a reader of its accessibility."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PHONE, DESK = (390, 844), (1280, 900)
Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, out: Path) -> Iterator[Visit]:
    """Opens the report from the disk; whatever it complains of or asks for fails the test."""
    pages = []

    def opened(size: tuple[int, int], path: Path | None = None, **context: Any) -> Any:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **context)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda told: page.faults.append(told.text))
        page.on("request", lambda asked: _strange(asked.url) and page.faults.append(asked.url))
        page.goto((path or out / "report.html").as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        assert page.faults == []
        page.close()


def _strange(url: str) -> bool:
    return not url.startswith(("file:", "data:"))


@pytest.mark.parametrize("size", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, size: tuple[int, int], scheme: str) -> None:
    needed = "needs axe: pip install 'gazeheads[test]'"
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=needed)
    page = visit(size, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:150]) for each in found] == []


def test_a_phone_never_scrolls_the_page_sideways_and_rows_keep_their_headers(visit: Visit) -> None:
    page = visit(PHONE)
    page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true; })")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE[0]
    table = page.locator("#accuracy .scroll").first
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")
    header, cell = table.locator("tbody th").first, table.locator("tbody td").first
    before = header.bounding_box()["x"], cell.bounding_box()["x"]
    table.focus()
    table.evaluate("box => box.scrollTo(150, 0)")
    assert header.bounding_box()["x"] == pytest.approx(before[0], abs=1)
    assert cell.bounding_box()["x"] == pytest.approx(before[1] - 150, abs=1)


def test_a_term_is_explained_at_a_touch_and_by_keys(visit: Visit) -> None:
    phone = visit(PHONE, has_touch=True)
    word = phone.locator("#accuracy .term").first
    told = phone.locator(f"#{word.get_attribute('popovertarget')}")
    assert not told.is_visible()
    word.tap()
    told.wait_for(state="visible")
    box = told.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]
    phone.locator("h1").tap()
    told.wait_for(state="hidden")
    desk = visit(DESK)
    word = desk.locator("#accuracy .term").first
    word.focus()
    desk.keyboard.press("Enter")
    told = desk.locator(f"#{word.get_attribute('popovertarget')}")
    told.wait_for(state="visible")
    box, at = told.bounding_box(), word.bounding_box()
    assert abs(box["x"] - at["x"]) < 360
    desk.keyboard.press("Escape")
    told.wait_for(state="hidden")


def test_the_contents_lead_to_a_section_and_fold_away_on_a_phone(visit: Visit) -> None:
    page = visit(PHONE)
    contents = page.locator(".contents details")
    assert not page.locator(".contents ol").is_visible()
    contents.locator("summary").click()
    contents.locator("a[href='#accuracy']").click()
    assert not page.locator(".contents ol").is_visible()
    heading = page.locator("#accuracy h2").bounding_box()
    bar = page.locator(".contents").bounding_box()
    assert bar["y"] + bar["height"] <= heading["y"] < PHONE[1]
    assert visit(DESK).locator(".contents ol").is_visible()


def test_a_file_of_numbers_is_saved_as_it_is_on_the_disk(visit: Visit, out: Path) -> None:
    page = visit(DESK)
    with page.expect_download() as saving:
        page.locator("a", has_text="conditions.csv").first.click()
    assert saving.value.suggested_filename == "steer-vqa-tiny-random-conditions.csv"
    there = (out / "steer-vqa/tiny-random/conditions.csv").read_bytes()
    assert Path(saving.value.path()).read_bytes() == there
