"""The browser engine in a real browser: the same tokens as the model, steered at every token."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsers import CHROMIUM, ENGINE
from PIL import Image

from gazeheads.export.check import reference
from gazeheads.export.prompt import prepare
from gazeheads.heads import HeadSet
from gazeheads.steering import Schedule, Steering

from .conftest import noisy_strips

if TYPE_CHECKING:
    from gazeheads.heads import HeadScores
    from gazeheads.models import VLM

PAGE = """<!doctype html><script type="module">
import * as gaze from "./assets/engine.js";
window.gaze = gaze;
window.pixels = async (url) => {
  const image = await createImageBitmap(await (await fetch(url)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
};
// writes a text; hovers[n] is where the pointer goes after n tokens, or a new strength
window.write = async (engine, request, hovers) => {
  const steps = [];
  const image = await pixels("picture.png");
  const begun = performance.now();
  let first = null;
  const ending = await engine.start({ delta: Infinity, ...request, image }, (step) => {
    first ??= performance.now() - begun;
    steps.push({ ...step, attention: [...step.attention] });
    const where = hovers[steps.length];
    if (where === "stop") engine.stop();
    else if (where?.delta !== undefined) engine.setHeads(request.heads, where.delta);
    else if (where !== undefined) engine.steer(where);
  });
  return { ending, steps, first, seconds: (performance.now() - begun) / 1000 };
};
window.load = async () => {
  const seen = [];
  const engine = new gaze.BrowserEngine();
  const begun = performance.now();
  const info = await engine.load((share, what) => seen.push(share));
  return { engine, info, seen, seconds: (performance.now() - begun) / 1000 };
};
</script>"""
QUESTION = "what happens in the panel?"
TOKENS = 30


def page_folder(folder: Path, exported: Path) -> Path:
    """An export with the built engine and a page for tests."""
    shutil.copytree(exported, folder)
    shutil.copytree(ENGINE.parent, folder / "assets", dirs_exist_ok=True)
    (folder / "index.html").write_text(PAGE)
    return folder


@pytest.fixture
def opened(
    browser: Any, serve: Callable[[Path], str], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Opens a page with an exported model loaded as `window.loaded`, and a picture beside it."""
    pages = []

    def open_export(exported: Path, picture: Image.Image) -> Any:
        folder = page_folder(tmp_path / f"page{len(pages)}", exported)
        picture.save(folder / "picture.png")
        pages.append(browser.new_page())
        pages[-1].goto(serve(folder))
        pages[-1].wait_for_function("() => Boolean(window.load)")
        pages[-1].evaluate("async () => { window.loaded = await load(); }")
        return pages[-1]

    yield open_export
    for page in pages:
        page.close()


def boxes(strip: Any) -> list[list[float]]:
    return [list(region.boxes[0]) for region in strip.regions]


def write(
    page: Any,
    strip: Any,
    heads: HeadSet,
    start: int | None,
    hovers: dict[int, Any],
    tokens: int = TOKENS,
    delta: float = math.inf,
) -> Any:
    """What the browser writes; `hovers` are panels (or None, or "stop") by number of tokens."""

    def where(panel: Any) -> Any:
        return {"panel": panel} if isinstance(panel, int) else panel

    request: dict[str, Any] = {
        "panels": boxes(strip),
        "prompt": QUESTION,
        "region": where(start),
        "heads": [list(head) for head in heads],
        "maxTokens": tokens,
    }
    if math.isfinite(delta):  # the page's own default is infinite, which JSON cannot say
        request["delta"] = delta
    moves = {str(step): where(panel) for step, panel in hovers.items()}
    return page.evaluate("([r, h]) => write(loaded.engine, r, h)", [request, moves])


def same_by_model(
    vlm: VLM,
    strip: Any,
    heads: HeadSet,
    start: int | None,
    hovers: dict[int, int | None],
    tokens: int = TOKENS,
    delta: float = math.inf,
) -> list[int]:
    """The tokens of the model itself under the same hovers, up to its end token."""
    regions = [None, *strip.regions]
    entries = [(0, regions[start or 0]), *((n, regions[p or 0]) for n, p in hovers.items())]
    encoded = vlm.encode(strip.image, QUESTION)
    steering = Steering(heads, Schedule(tuple(entries)), delta)
    written = reference(vlm, encoded, steering, tokens).tokens
    ends = [n for n, token in enumerate(written) if token in vlm.stops]
    return written[: ends[0]] if ends else written


@pytest.mark.slow
def test_writes_the_models_tokens_whatever_is_hovered(
    opened: Callable[..., Any],
    exported: Path,
    gqa: VLM,
    scores: HeadScores,
    strips: tuple[Any, ...],
) -> None:
    heads = scores.top(5)
    texts: list[tuple[int | None, dict[int, int | None], float]] = [
        (None, {}, math.inf),
        (2, {}, math.inf),
        (None, {3: 1, 8: 3, 9: 2, 15: None, 20: 1}, math.inf),
        (3, {1: 1, 12: None, 25: 2}, math.inf),
        (3, {5: 2}, 4.0),
    ]
    for strip in strips:
        page = opened(exported, strip.image)
        for start, hovers, delta in texts:
            done = write(page, strip, heads, start, hovers, delta=delta)
            tokens = [step["token"] for step in done["steps"]]
            expected = same_by_model(gqa, strip, heads, start, hovers, delta=delta)
            assert tokens == expected, (start, hovers, delta)
            assert done["ending"] == ("length" if len(expected) == TOKENS else "end")
            # an incomplete character at the end is not shown
            text = gqa.tokenizer.decode(expected, skip_special_tokens=True).rstrip("\ufffd")
            assert "".join(step["text"] for step in done["steps"]) == text


@pytest.mark.slow
def test_a_hover_and_a_strength_act_on_the_next_token_and_leaving_stops(
    opened: Callable[..., Any], exported: Path, scores: HeadScores, strips: tuple[Any, ...]
) -> None:
    page = opened(exported, strips[0].image)
    done = write(page, strips[0], scores.top(16), None, {2: 3, 7: {"delta": 0}, 9: "stop"})
    assert done["ending"] == "stopped"
    regions = [step["region"] for step in done["steps"]]
    assert regions == [None, None, *[{"panel": 3}] * 7]
    rows, columns = done["steps"][0]["grid"]
    attention = np.array([step["attention"] for step in done["steps"]])
    assert attention.shape == (9, rows * columns)
    third = np.tile(np.arange(columns) + 0.5 > columns * 2 / 3, rows)
    # every head is steered: all of its attention lies on the panel, none elsewhere
    np.testing.assert_allclose(attention[2:7, third].sum(1), 1, atol=1e-5)
    assert np.abs(attention[2:7, ~third]).max() < 1e-6
    # before, and with a strength of nothing: as in the plain model
    assert attention[[0, 1, 7, 8]][:, ~third].sum(1).min() > 0.01


@pytest.mark.slow
def test_mistakes_are_told_and_the_engine_lives_on(
    opened: Callable[..., Any], exported: Path, scores: HeadScores, strips: tuple[Any, ...]
) -> None:
    strip, heads = strips[0], scores.top(2)
    page = opened(exported, strip.image)
    said = page.evaluate(
        """async (request) => {
            const said = [];
            for (const wrong of [
                { region: { panel: 9 } },
                { region: { box: [0, 0, 1, 1] } },
                { heads: [[0, 99]], region: { panel: 1 } },
                { prompt: "an <|image_pad|> here" },
                { maxTokens: 1e9 },
            ]) {
                const error = await write(loaded.engine, { ...request, ...wrong }, {})
                    .then(() => null, (error) => error);
                said.push(`${error?.name}: ${error?.message}`);
            }
            return said;
        }""",
        {"panels": boxes(strip), "prompt": "?", "region": None, "heads": [], "maxTokens": 3},
    )
    wanted = [
        "no panel 9",
        "no image token",
        "0.99 does not exist",
        "word for an image",
        "too long",
    ]
    for message, words in zip(said, wanted, strict=True):
        assert message.startswith("EngineError: ") and words in message
    assert len(write(page, strip, heads, 1, {})["steps"]) > 0


@pytest.mark.slow
def test_stretches_pictures_as_the_model_does(
    opened: Callable[..., Any], exported: Path, gqa: VLM
) -> None:
    for strip in noisy_strips((300, 90), (190, 75)):
        page = opened(exported, strip.image)
        expected = prepare(gqa, strip.image, "?")[1].rgba
        rows, cell, columns = expected.shape[:3]
        found = page.evaluate(
            """async ([width, height]) =>
                [...gaze.stretch(await pixels("picture.png"), width, height)]""",
            [columns * cell, rows * cell],
        )
        difference = np.abs(np.array(found) - expected.reshape(-1).astype(int))
        assert difference.max() <= 2
        assert difference.mean() < 0.2


@pytest.mark.slow
def test_a_later_visit_fetches_nothing_again(
    opened: Callable[..., Any], exported: Path, strips: tuple[Any, ...]
) -> None:
    page = opened(exported, strips[0].image)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    shares = page.evaluate("async () => (await load()).seen")
    assert [url for url in fetched if ".onnx" in url] == []
    assert shares == sorted(shares) and shares[-1] == 1


@pytest.mark.slow
def test_four_bits_on_webgpu_are_the_rounded_models(
    opened: Callable[..., Any], exported_four_bits: Path, rounded: VLM, strips: tuple[Any, ...]
) -> None:
    strip, heads = strips[1], HeadSet.of([(1, 0), (2, 3), (3, 1)])
    page = opened(exported_four_bits, strip.image)
    for start, hovers in [(None, {}), (2, {4: 1, 8: None})]:
        done = write(page, strip, heads, start, hovers, tokens=12)
        tokens = [step["token"] for step in done["steps"]]
        assert tokens == same_by_model(rounded, strip, heads, start, hovers, tokens=12)


@pytest.mark.slow
def test_without_webgpu_a_model_that_needs_it_says_so(
    playwright_driver: Any,
    exported_four_bits: Path,
    serve: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    plain = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    folder = page_folder(tmp_path / "page", exported_four_bits)
    page = plain.new_page()
    page.goto(serve(folder))
    page.wait_for_function("() => Boolean(window.load)")
    said = page.evaluate("() => load().then(() => null, (e) => `${e.name}: ${e.message}`)")
    plain.close()
    assert said.startswith("EngineError: tiny-rounded needs WebGPU")
