"""The page in a real browser, on the server engine with a tiny random model."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from gazeheads.live import gallery
from gazeheads.live.page import GALLERY, STATIC, page_files
from gazeheads.live.worker import WorkerLimits
from gazeheads.study import published
from live.serving import Running, serving
from live.visiting import Visit

if TYPE_CHECKING:
    from gazeheads.models import VLM

WEB = Path(__file__).parents[2] / "web"
Open = Callable[..., Visit]
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
}


@pytest.fixture(scope="module")
def running(gqa: VLM, browser: object) -> Iterator[Running]:
    server = serving(gqa, WorkerLimits(), page_files(), panels=6)
    server.healthy()
    yield server
    server.end()


@pytest.fixture
def opened(visit: Open, running: Running) -> Visit:
    return visit(running.url)


def test_hovering_another_panel_steers_tints_and_unveils_it_and_the_link_repeats_it(
    opened: Visit, visit: Open
) -> None:
    opened.panel(2).hover()
    opened.wait(2)
    opened.panel(4).hover()
    opened.wait(3, region=4)
    pressed = opened.page.locator('.region[aria-pressed="true"]').get_attribute("aria-label")
    assert pressed.startswith("Panel 4: ")
    # the least opaque spot of each panel's veil
    veil = opened.page.locator(".veil").evaluate_all(
        """veils => veils.map(veil => {
            const { data } = veil.getContext("2d").getImageData(0, 0, veil.width, veil.height);
            return data.filter((_, i) => i % 4 === 3).reduce((a, b) => Math.min(a, b), 255);
        })"""
    )
    assert veil[3] < 80 and min(veil[:3] + veil[4:]) > 150
    assert opened.audit() == []

    before, left = opened.leave()
    assert left - before <= 1

    (first, one), (second, two) = opened.log()
    assert (first, one, two) == (0, "2", "4") and second >= 2
    assert [region for region, _ in opened.story()] == ["2", "4"]
    again = visit(opened.page.url)
    again.wait(left)
    again.page.keyboard.press("Escape")
    assert again.log() == opened.log()
    for (region, tokens), (same, repeated) in zip(opened.story(), again.story(), strict=True):
        assert same == region and repeated[: len(tokens)] == tokens


def test_digits_and_arrows_steer_escape_stops_and_typing_is_typing(opened: Visit) -> None:
    keyboard = opened.page.keyboard
    keyboard.press("3")
    opened.wait(2, region=3)
    keyboard.press("ArrowRight")
    opened.wait(2, region=4)
    keyboard.press("Escape")
    count = opened.count()
    assert opened.later() == count
    assert [region for _, region in opened.log()] == ["3", "4"]
    opened.page.fill("#prompt", "")
    opened.page.locator("#prompt").press_sequentially("1 2")
    assert opened.page.input_value("#prompt") == "1 2" and opened.count() == count


def test_the_tab_key_reaches_every_control_and_shows_where_it_is(opened: Visit) -> None:
    seen: list[str] = []
    while len(seen) < 60:
        opened.page.keyboard.press("Tab")
        name, outline = opened.page.evaluate(
            """() => {
                const at = document.activeElement;
                return [at.id || at.className || at.tagName, getComputedStyle(at).outlineStyle];
            }"""
        )
        if name == "BODY":  # once round
            break
        assert outline != "none", name
        seen.append(name)
    controls = ["skip", "prompt", "region", "plain", "narrate", "another", "file", "k", "delta"]
    assert [control for control in controls if control not in seen] == []


def test_unsteered_text_head_choice_and_number_of_heads(opened: Visit) -> None:
    page = opened.page
    page.click("#plain")
    opened.wait(2, region="")
    assert opened.log() == [(0, "")]
    page.check("input[value=all]")
    assert opened.text("#heads-line").startswith("all 16 heads, 100.0% of tiny-random")
    page.check("input[value=gaze]")
    page.fill("#k", "0")
    assert opened.text("#heads-line").startswith("1 gaze head, ")
    assert page.locator(".cell.on").count() == 1


def test_heads_and_strength_change_in_mid_text_without_losing_the_target(opened: Visit) -> None:
    page = opened.page
    page.keyboard.press("3")
    opened.wait(2, region=3)
    page.evaluate(
        """() => { // as a slider does that is moved without leaving the strip
            const slider = document.querySelector("#delta");
            slider.value = "2";
            slider.dispatchEvent(new Event("input"));
        }"""
    )
    assert opened.text("#delta-value") == "±1"
    assert opened.text("#status").endswith("look at panel 3.")
    assert "delta=1" in page.url
    count = opened.count()
    opened.wait(count + 2, region=3)


def test_another_strip_is_drawn_and_what_is_no_picture_is_refused(opened: Visit) -> None:
    page = opened.page
    page.click("#another")
    page.wait_for_url(re.compile(r"drawn=\d+"))
    assert page.locator(".region").count() == 6
    wrong = {"name": "../../etc/passwd.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.set_input_files("#file", files=[wrong])
    page.locator("#trouble:visible").wait_for()
    assert "not a picture" in opened.text("#trouble")
    page.locator("#gallery button").nth(1).click()
    page.wait_for_url(re.compile(rf"strip={gallery.SEEDS[1]}&"))
    assert not page.is_visible("#trouble")


def test_a_box_dragged_over_an_own_picture_steers(opened: Visit, tmp_path: Path) -> None:
    page = opened.page
    Image.effect_noise((320, 240), 60).convert("RGB").save(tmp_path / "own.png")
    page.set_input_files("#file", tmp_path / "own.png")
    page.wait_for_selector(".stage.whole .tile")
    # a question about panels does not fit
    assert page.input_value("#prompt").startswith("What is the main object in this part")
    frame = page.locator(".stage.whole .tile").bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]

    page.mouse.move(*at(0.1, 0.1))
    page.mouse.down()
    page.mouse.move(*at(0.6, 0.9), steps=4)
    page.mouse.up()
    page.mouse.move(*at(0.9, 0.5))
    opened.panel(1).hover()
    opened.wait(2, region=1)
    page.keyboard.press("Escape")
    assert page.locator(".region").count() == 1
    assert not page.is_visible("#share")
    assert opened.audit() == []
    page.fill("#prompt", "A question of mine")
    page.locator("#gallery button").first.click()
    page.wait_for_selector(".stage.strip")
    assert page.input_value("#prompt") == "A question of mine"


def test_a_tap_steers_a_second_one_stops_and_the_phone_does_not_scroll_sideways(
    visit: Open, running: Running
) -> None:
    phone = visit(running.url, **PHONE)
    phone.panel(5).tap()
    phone.wait(2, region=5)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    question = "({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>"
    question += " scrollWidth <= clientWidth && scrollHeight <= clientHeight + 1"
    assert phone.page.locator("#prompt").evaluate(question), "the question is cut off"
    phone.panel(5).tap()
    count = phone.count()
    assert phone.later() == count
    assert phone.audit() == []


def test_the_published_figures_on_the_page_are_the_studys() -> None:
    page = re.sub(r"\s+", " ", (STATIC / "index.html").read_text())
    accuracy = published.VQA_ACCURACY
    for figure in (*accuracy.values(), *(published.K_CURVE[k] for k in (5, 10, 50))):
        assert f"{figure}%" in page
    assert f"{published.HEADS:,}" in page and published.MODEL in page


def test_the_gallery_is_what_its_seeds_draw() -> None:
    index = json.loads((GALLERY / gallery.INDEX).read_text())
    assert [entry["seed"] for entry in index["strips"]] == list(gallery.SEEDS)
    first = index["strips"][0]
    strip = gallery.drawn_strip(first["seed"])
    assert first == {**gallery.strip_json(first["seed"], strip), "picture": first["picture"]}
    with Image.open(GALLERY / first["picture"]) as picture:
        assert picture.size == strip.image.size


@pytest.mark.skipif(
    not (WEB / "node_modules" / "vite").is_dir(), reason="needs the Node packages: npm ci in web/"
)
def test_the_page_is_typed(tmp_path: Path) -> None:
    checked = subprocess.run(
        ["npx", "tsc", "--noEmit"], check=False, cwd=WEB, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
