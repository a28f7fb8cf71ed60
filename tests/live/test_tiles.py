"""Where the heads look, in every family: on the wire, and on the page where tokens are tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tiny_families import BUILDERS, make_family

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.live.generation import LiveGeneration
from gazeheads.live.messages import Start
from gazeheads.live.page import page_files
from gazeheads.live.worker import WorkerLimits
from gazeheads.models import VLM, wrap
from gazeheads.models.continuous import ContinuousBatch
from gazeheads.regions import Region
from live.serving import Running, serving
from live.visiting import Visit

PANEL = 2


def vlm_of(name: str) -> VLM:
    return wrap(*make_family(name), name)


@pytest.mark.parametrize("name", list(BUILDERS))
def test_heads_pinned_to_a_panel_show_that_panel(name: str) -> None:
    vlm = vlm_of(name)
    (strip,) = draw_strips(1, 3, panels=2, size=64)
    heads = tuple((layer, 0) for layer in vlm.attention_layers[:2])
    panels = tuple(region.boxes[0] for region in strip.regions)
    start = Start(
        text=1, prompt="what?", panels=panels, heads=heads, delta=float("inf"), max_tokens=3,
        region=Region.from_box(*panels[PANEL - 1], name="panel"),
    )  # fmt: skip
    generation = LiveGeneration(vlm, strip.image, start, heads)
    made = ContinuousBatch(vlm).join([generation.request])
    token = generation.shown(made[generation.request])
    assert len(token.attention)
    if token.boxes is None:
        rows, columns = token.grid
        x = (np.arange(rows * columns) % columns + 0.5) * strip.image.width / columns
        y = (np.arange(rows * columns) // columns + 0.5) * strip.image.height / rows
    else:
        x, y = token.boxes[:, [0, 2]].mean(1), token.boxes[:, [1, 3]].mean(1)
    x0, y0, x1, y1 = panels[PANEL - 1]
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    # as the page counts: a token belongs where its centre is
    assert token.attention[inside].sum() == pytest.approx(1.0, abs=1e-4)


@pytest.fixture(scope="module")
def running(browser: object) -> Iterator[Running]:
    server = serving(vlm_of("internvl"), WorkerLimits(), page_files(), panels=6)
    server.healthy()
    yield server
    server.end()


def test_the_veil_of_a_tiled_family_leaves_the_panel_looked_at_bright(
    running: Running, visit: Callable[..., Visit]
) -> None:
    opened: Any = visit(running.url)
    opened.panel(5).hover()
    opened.wait(3, region=5)
    veil = opened.page.locator(".veil").evaluate_all(
        """veils => veils.map(veil => {
            const { data } = veil.getContext("2d").getImageData(0, 0, veil.width, veil.height);
            const alpha = data.filter((_, i) => i % 4 === 3);
            return alpha.reduce((a, b) => a + b, 0) / alpha.length;
        })"""
    )
    assert min(veil) == veil[4] and veil[4] < 100 < min(veil[:4] + veil[5:])
