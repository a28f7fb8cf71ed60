"""The page with comic-tiny in the browser: what the live demo must hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

import gazeheads
from gazeheads.export.check import reference
from gazeheads.heads import HeadSet
from gazeheads.live import gallery
from gazeheads.live.page import DESCRIPTION, GALLERY, STATIC, page_files
from gazeheads.prompts import FREE_NARRATION
from gazeheads.steering import Schedule, Steering
from live.serving import Running
from live.visiting import Visit

if TYPE_CHECKING:
    from gazeheads.models import VLM

Open = Callable[..., Visit]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (STATIC / DESCRIPTION).is_file(), reason="needs comic-tiny in live/static/model"
    ),
]
MOST_BYTES = 12_000_000
SMALL = {"a", "an", "the", "in", "at", "on", "of"}
WRITE = """async ([texts, boxes]) => {
    const { BrowserEngine } = await import("./assets/engine.js");
    const engine = new BrowserEngine();
    await engine.load(() => undefined);
    const written = [];
    for (const { picture, prompt, heads, turns, maxTokens } of texts) {
        const bitmap = await createImageBitmap(await (await fetch(picture)).blob());
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        context.drawImage(bitmap, 0, 0);
        const image = context.getImageData(0, 0, bitmap.width, bitmap.height);
        const where = (panel) => (panel ? { panel } : null);
        const steps = [];
        const request = { image, panels: boxes, prompt, heads, delta: Infinity, maxTokens };
        await engine.start({ ...request, region: where(turns[0]) }, ({ token, text }) => {
            steps.push([token, text]);
            if (steps.length in turns) engine.steer(where(turns[steps.length]));
        });
        written.push(steps);
    }
    engine.close();
    return written;
}"""


@pytest.fixture(scope="module")
def running(browser: object) -> Iterator[Running]:
    server = Running(None, page_files())
    server.healthy()
    yield server
    server.end()


@pytest.fixture(scope="module")
def info() -> dict[str, Any]:
    return json.loads((STATIC / DESCRIPTION).read_text())["info"]


def words(text: str) -> list[str]:
    """The words that say something, in order."""
    return [word for word in re.findall(r"\w+", text.lower()) if word not in SMALL]


def captions(seed: int) -> list[str]:
    return gallery.strip_json(seed, gallery.drawn_strip(seed))["captions"]


def own_words(seed: int, panel: int) -> set[str]:
    """Words that describe this panel and no other."""
    told = [set(words(caption)) for caption in captions(seed)]
    others = set().union(*(own for k, own in enumerate(told, 1) if k != panel))
    return told[panel - 1] - others


def described(seed: int, sentence: str) -> int | None:
    """The panel whose actor, action and object the sentence names."""
    found = set(words(sentence))
    for panel, caption in enumerate(captions(seed), 1):
        if set(words(caption)[:3]) <= found:
            return panel
    return None


def test_hovering_panel_4_after_two_words_changes_what_is_told_and_the_tints_say_so(
    visit: Open, running: Running
) -> None:
    seed = gallery.SEEDS[0]
    opened = visit(running.url)
    assert "running in your browser" in opened.text("#model-line")
    opened.panel(2).hover()
    opened.wait(2)
    opened.panel(4).hover()
    opened.wait(8, region=4)
    background = "spans => spans.map(span => getComputedStyle(span).backgroundColor)"
    tints = opened.page.locator("#story p:first-child > span").evaluate_all(background)
    hues = [
        opened.panel(panel).evaluate("button => getComputedStyle(button).getPropertyValue('--hue')")
        for panel in (2, 4)
    ]
    before, left = opened.leave()
    assert left - before <= 1

    # the tints are the log
    log, story = opened.log(), opened.story()
    assert [region for region, _ in story] == [region for _, region in log] == ["2", "4"]
    assert list(accumulate((len(run) for _, run in story), initial=0))[:-1] == [t for t, _ in log]
    assert len(set(tints)) == 2 and len(set(hues)) == 2
    # and the text is about the panel hovered
    first, second = ("".join(run) for _, run in story)
    assert own_words(seed, 2) & set(words(first))
    assert own_words(seed, 4) & set(words(second))
    assert not own_words(seed, 2) & set(words("".join(story[1][1][:8])))


def hovered(page: Any, info: dict[str, Any]) -> dict[str, list[int | None]]:
    """What the first sentence begun after a hover describes, per strip and choice of heads."""
    k = info["defaultK"]
    choices = {
        "gaze": info["ranking"][:k], "random": info["randomHeads"][:k], "all": info["ranking"],
    }  # fmt: skip
    turns, tokens = {0: 2, 2: 4}, 32
    texts = [
        {
            "picture": f"gallery/{seed}.webp", "prompt": FREE_NARRATION, "heads": heads,
            "turns": {str(at): panel for at, panel in turns.items()}, "maxTokens": tokens,
        }
        for heads in choices.values()
        for seed in gallery.SEEDS
    ]  # fmt: skip
    boxes = gallery.strip_json(0, gallery.drawn_strip(gallery.SEEDS[0]))["panels"]
    written = iter(page.evaluate(WRITE, [texts, boxes]))
    told: dict[str, list[int | None]] = {}
    for name in choices:
        told[name] = []
        for seed in gallery.SEEDS:
            _, *later = "".join(text for _, text in next(written)).strip().split("\n")
            told[name].append(described(seed, later[0]) if later else None)
    return told


def test_gaze_heads_steer_others_far_less_and_with_all_the_text_falls_apart(
    visit: Open, running: Running, info: dict[str, Any]
) -> None:
    told = hovered(visit(running.url).page, info)
    strips = len(gallery.SEEDS)
    assert told["gaze"].count(4) >= strips - 1, told
    # living heads of the same layers: some of them help to look, and a control has to show it
    assert 2 * told["random"].count(4) <= told["gaze"].count(4), told
    # no whole description of any panel
    assert told["all"].count(None) >= strips / 2 > told["gaze"].count(None), told


@pytest.fixture(scope="module")
def comic_tiny() -> VLM:
    return gazeheads.load("comic-tiny")


def test_the_browser_writes_pytorchs_tokens_plain_and_under_a_script_of_hovers(
    visit: Open, running: Running, info: dict[str, Any], comic_tiny: VLM
) -> None:
    heads = info["ranking"][: info["defaultK"]]
    scripts: list[dict[int, int | None]] = [
        {0: None},
        {0: 3},
        {0: None, 4: 5, 9: 2, 15: None, 21: 6, 26: 1},
    ]
    seeds, tokens = gallery.SEEDS[:2], 30
    strips = {seed: gallery.drawn_strip(seed) for seed in seeds}
    asked = [(seed, script) for seed in seeds for script in scripts]
    texts = [
        {
            "picture": f"gallery/{seed}.webp", "prompt": FREE_NARRATION, "heads": heads,
            "turns": {str(at): panel for at, panel in script.items()}, "maxTokens": tokens,
        }
        for seed, script in asked
    ]  # fmt: skip
    boxes = gallery.strip_json(0, strips[seeds[0]])["panels"]
    page = visit(running.url).page
    for (seed, script), steps in zip(asked, page.evaluate(WRITE, [texts, boxes]), strict=True):
        regions = (None, *strips[seed].regions)
        schedule = Schedule(tuple((at, regions[panel or 0]) for at, panel in script.items()))
        with Image.open(GALLERY / f"{seed}.webp") as picture:
            encoded = comic_tiny.encode(picture, FREE_NARRATION)
        steering = Steering(HeadSet.of(heads), schedule)
        expected = reference(comic_tiny, encoded, steering, tokens).tokens
        ends = [at for at, token in enumerate(expected) if token in comic_tiny.stops]
        assert [token for token, _ in steps] == expected[: ends[0] if ends else tokens], script
        assert len(steps) == tokens or script != scripts[0]


def test_the_page_and_its_model_are_at_most_12_mb_and_later_visits_fetch_no_weights(
    browser: Any, info: dict[str, Any]
) -> None:
    server = Running(None, page_files())
    try:
        server.healthy()
        first = Visit(browser, server.url)
        first.panel(1).hover()
        first.wait(2)
        sent = dict(server.sent)
        assert sent["/model/decoder.onnx"] > 1_000_000
        assert any(path.endswith(".wasm") and size for path, size in sent.items())
        assert sum(sent.values()) <= MOST_BYTES, sent
        server.sent.clear()
        first.page.reload()
        first.page.wait_for_selector("#plain:enabled")
        again = server.sent.items()
        assert sum(size for path, size in again if path.endswith((".onnx", ".wasm"))) == 0
        first.page.context.close()
        assert first.errors == first.outside == []
    finally:
        server.end()
