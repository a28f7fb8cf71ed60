"""Our own comics: panels and strips drawn from a seed, with a truth that is known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gazeheads.data.drawn.actions import Cast, paint_action
from gazeheads.data.drawn.backdrop import paint_place
from gazeheads.data.drawn.captions import captions
from gazeheads.data.drawn.mark import marked
from gazeheads.data.drawn.truth import ACTIONS, PanelTruth, sample_truths
from gazeheads.data.drawn.weather import paint_weather
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError


def draw_panel(truth: PanelTruth, rng: np.random.Generator, size: int = 256) -> Image.Image:
    """Draws one panel.

    Args:
        truth: What it shows.
        rng: Source of positions, sizes, tints and clutter; the same state gives the same pixels.
        size: Edge of the square picture in pixels.
    """
    # One source each, so that another place or weather leaves the figures where they are.
    place_rng, weather_rng, figure_rng = (
        np.random.default_rng(int(seed)) for seed in rng.integers(2**62, size=3)
    )
    way = 1 if figure_rng.random() < 0.5 else -1
    canvas = paint_place(truth.place, place_rng, size)
    if truth.weather is not None:
        canvas.rng = weather_rng
        paint_weather(canvas, truth.weather, side=-way)
    canvas.rng = figure_rng
    scale = canvas.between(0.95, 1.05)
    paint_action(truth.action, Cast(canvas, truth.character, truth.thing, way, scale))
    return marked(canvas.image)


def draw_strips(
    count: int,
    seed: int,
    panels: int = 6,
    *,
    held_out: bool = True,
    size: int = 256,
    columns: int | None = None,
    labels: Sequence[str] | None = None,
) -> list[Strip]:
    """Draws comic strips; strip i depends on (seed, i) only.

    Args:
        count: How many.
        seed: Names the series.
        panels: Panels per strip.
        held_out: Draw only combinations that training never shows (True) or only the others.
        size: Edge of a panel in pixels.
        columns: Panels per row; None for one row.
        labels: Painted on the panels of every strip, one each.

    Raises:
        GazeheadsError: A number is out of range.
    """
    most = len(ACTIONS)
    if not 1 <= panels <= most:
        raise GazeheadsError(f"a drawn strip has 1 to {most} panels, not {panels}")
    if count < 0 or seed < 0:
        raise GazeheadsError(f"count and seed must not be negative, found {count} and {seed}")
    strips = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        truths = sample_truths(rng, panels, held_out)
        strip = Strip(
            id=f"drawn-{seed}-{i:04}",
            panels=tuple(draw_panel(truth, rng, size) for truth in truths),
            truths=truths,
            captions=tuple(captions(truth) for truth in truths),
            columns=columns,
        )
        strips.append(strip if labels is None else strip.with_labels(labels))
    return strips
