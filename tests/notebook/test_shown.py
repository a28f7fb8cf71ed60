"""What public values show in notebooks: short, whole, with their picture, and nothing unescaped."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.html_parts import heat, table
from gazeheads.locating.naming import locate
from gazeheads.models import VLM
from gazeheads.regions import Region

NASTY = '<script>"x" & y</script>'


class _Read(HTMLParser):
    """Texts and pictures of a piece of HTML; everything opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.pictures: list[Image.Image] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"p", "table", "thead", "tbody", "tr", "th", "td", "img", "svg", "rect"}
        if tag == "img":
            own = dict(attrs)
            assert own["alt"]
            data = str(own["src"]).partition("base64,")[2]
            self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data))))
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def values(gqa: VLM) -> dict[str, Any]:
    strip = draw_strips(1, seed=0, panels=3, size=64)[0]
    scene = draw_scene(np.random.default_rng(0), (128, 128))
    heads = HeadSet.of([(1, 0), (2, 3)], NASTY)
    encoded = gqa.encode(strip.image, "?")
    trace = gqa.watch(strip.image, "What is there?", heads, max_new_tokens=4)
    with gqa.steer(heads, Region.from_box(0, 0, 64, 64, NASTY)):
        (steered,) = gqa.generate(encoded, watch=heads, max_new_tokens=4)
    noise = np.random.default_rng(0)
    scores = HeadScores(
        noise.random((4, 4)), noise.random((4, 4, 3, 3)), provenance={"model": NASTY}
    )
    mask = np.zeros((40, 50), dtype=bool)
    mask[5:9, 3:20] = True
    return {
        "HeadScores": scores,
        "HeadSet": heads,
        "Region": Region.from_box(3, 4, 50, 60, NASTY),
        "Region of a mask": Region.from_mask(mask, NASTY),
        "Strip": strip,
        "Scene": scene,
        "Generation": steered,
        "GazeTrace": trace,
        "PanelTrace": trace.by_panel(strip),
        "Located": locate(gqa, scene.image, "a", heads=heads, cells=2),
    }


NAMES = [
    "HeadScores", "HeadSet", "Region", "Region of a mask", "Strip", "Scene", "Generation",
    "GazeTrace", "PanelTrace", "Located",
]  # fmt: skip
PICTURES = {
    "HeadScores": 2, "Region of a mask": 1, "Strip": 1, "Scene": 1, "GazeTrace": 1, "PanelTrace": 1,
    "Located": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_value_shows_itself_whole_and_escaped(values: dict[str, Any], name: str) -> None:
    html = values[name]._repr_html_()
    read = _Read(html)
    assert "<script" not in html and "".join(read.texts).strip()
    assert len(read.pictures) == PICTURES.get(name, 0)
    assert all(max(each.size) >= 2 for each in read.pictures)
    assert len(html) < 400_000


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("Region", "Scene")])
def test_a_repr_is_a_line(values: dict[str, Any], name: str) -> None:
    told = repr(values[name])
    if name != "Region of a mask":
        assert "\n" not in told and len(told) < 200 and "array(" not in told


def test_what_is_shown_is_what_is_there(values: dict[str, Any]) -> None:
    scores, best = values["HeadScores"], values["HeadScores"].ranking()[0]
    texts = _Read(scores._repr_html_()).texts
    assert str(best) in texts and f"{scores[best]:.3g}" in texts
    strip = values["Strip"]
    texts = _Read(strip._repr_html_()).texts
    assert [wordings[0] for wordings in strip.captions] == [t for t in texts if t.endswith(".")]
    generation = values["Generation"]
    texts = _Read(generation._repr_html_()).texts
    assert generation.text in texts and str(len(generation.tokens)) in texts and NASTY in texts
    box = re.search(r'<rect x="3" y="4" width="47" height="56"/>', values["Region"]._repr_html_())
    assert box


def test_a_map_is_darkest_where_the_value_is_largest() -> None:
    (picture,) = _Read(heat(np.array([[0.0, 1.0], [0.5, -3.0]]), "map")).pictures
    grey = np.asarray(picture.convert("L"), dtype=int)
    assert grey[0, 1] < grey[1, 0] < grey[0, 0] == grey[1, 1] == 255


def test_numbers_of_a_table_are_short() -> None:
    assert "<td>0.123</td><td>7</td>" in table(("a", "b"), [(0.123456, 7)])
