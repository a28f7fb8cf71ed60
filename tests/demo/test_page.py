"""The page in a real browser, on the server engine with a tiny random model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from gazeheads.demo import gallery
from gazeheads.demo.page import GALLERY, STATIC, page_files
from gazeheads.experiments import published

if TYPE_CHECKING:
    from gazeheads.vlm import VLM

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def seen(gqa: VLM, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a visit showed."""
    if shutil.which("node") is None or CHROMIUM is None:
        pytest.skip("needs node and chromium")
    if not (WEB / "node_modules" / "playwright-core").is_dir():
        pytest.skip("needs the packages of web/: run `npm ci` there")
    from demo.serving import Running
    from gazeheads.demo.house import HouseLimits

    picture = tmp_path_factory.mktemp("own") / "picture.png"
    Image.effect_noise((320, 240), 60).convert("RGB").save(picture)
    running = Running(gqa, HouseLimits(), page_files(), panels=6)
    try:
        running.healthy()
        visit = ["node", "test/visit.mjs", f"http://127.0.0.1:{running.port}/", picture, CHROMIUM]
        done = subprocess.run(
            visit, check=False, cwd=WEB, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        running.end()


def test_hovering_another_panel_in_mid_text_steers_and_tints_it(seen: dict[str, Any]) -> None:
    (first, one), (second, two), *rest = seen["log"]
    assert (first, one, two, rest) == (0, "2", "4", []) and second >= 2
    assert [region for region, _ in seen["story"]] == ["2", "4"]
    assert seen["tint"] not in ("", "rgba(0, 0, 0, 0)")
    assert seen["pressed"].startswith("Panel 4: ")


def test_the_veil_is_clear_where_the_heads_look(seen: dict[str, Any]) -> None:
    assert seen["veil"][3] < 30 and min(seen["veil"][:3] + seen["veil"][4:]) > 150


def test_leaving_stops_within_one_token(seen: dict[str, Any]) -> None:
    before, left, later = seen["leaving"]
    assert left - before <= 1 and later == left


def test_the_address_repeats_the_text_and_its_steering(seen: dict[str, Any]) -> None:
    log, story = seen["repeated"]
    assert log == seen["log"]
    for (region, text), (again, repeated) in zip(seen["story"], story, strict=True):
        assert again == region and repeated.startswith(text)


def test_digits_and_arrows_steer_and_escape_stops(seen: dict[str, Any]) -> None:
    assert seen["keys"] == {"log": ["3", "4"], "stopped": 0}
    assert seen["typed"] == "1 2"


def test_unsteered_text_head_choice_and_number_of_heads(seen: dict[str, Any]) -> None:
    assert seen["plain"] == [[0, ""]]
    assert seen["all"].startswith("all 16 heads, 100.0% of tiny-random")
    assert seen["one"][0].startswith("1 gaze head, ") and seen["one"][1] == 1


def test_other_pictures(seen: dict[str, Any]) -> None:
    assert seen["drawn"] == 6
    assert seen["own"] == [1, False]
    assert "not a picture" in seen["refused"]


def test_a_tap_steers_a_second_one_stops_and_the_phone_does_not_scroll_sideways(
    seen: dict[str, Any],
) -> None:
    assert seen["tapped"] == 0
    assert seen["wide"] <= 390


def test_nothing_serious_for_people_with_disabilities(seen: dict[str, Any]) -> None:
    assert [found for found in seen["axe"] if found[1] in ("serious", "critical")] == []


def test_no_request_leaves_the_server_and_nothing_fails_in_the_console(
    seen: dict[str, Any],
) -> None:
    assert seen["outside"] == []
    assert seen["errors"] == []


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
    not (WEB / "node_modules" / "vite").is_dir(), reason="needs the packages of web/"
)
def test_the_page_is_typed(tmp_path: Path) -> None:
    checked = subprocess.run(
        ["npx", "tsc", "--noEmit"], check=False, cwd=WEB, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
