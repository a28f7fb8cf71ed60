from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.drawn import canvas as canvas_module
from gazeheads.data.drawn.artwork import SPRITE_FOLDER
from gazeheads.data.drawn.canvas import Canvas
from gazeheads.data.drawn.props import PROPS
from gazeheads.data.drawn.strips import draw_panel, draw_strips
from gazeheads.data.drawn.truth import (
    ACTIONS,
    CHARACTERS,
    INDOORS,
    PLACES,
    THINGS,
    WEATHERS,
    PanelTruth,
)
from gazeheads.errors import GazeheadsError

CAT = PanelTruth("cat", "rides", "ball", "forest")


def pixels(truth: PanelTruth, seed: int = 0, size: int = 96) -> np.ndarray:
    return np.asarray(draw_panel(truth, np.random.default_rng(seed), size)).astype(float)


def share_changed(one: np.ndarray, other: np.ndarray) -> float:
    return float((np.abs(one - other).max(axis=2) > 24).mean())


@pytest.mark.parametrize("size", [64, 96, 192, 256, 384])
def test_panel_has_the_size_asked_for(size: int) -> None:
    panel = draw_panel(CAT, np.random.default_rng(0), size)

    assert panel.size == (size, size)
    assert panel.mode == "RGB"


def test_same_seed_same_pixels_other_seed_others() -> None:
    assert np.array_equal(pixels(CAT, 3), pixels(CAT, 3))
    assert share_changed(pixels(CAT, 3), pixels(CAT, 4)) > 0.2


@pytest.mark.parametrize(
    ("attribute", "word"),
    [
        ("character", "dog"),
        ("action", "cooks"),
        ("thing", "gift"),
        ("place", "beach"),
        ("weather", "storm"),
    ],
)
def test_changing_one_attribute_changes_the_picture(attribute: str, word: str) -> None:
    changed = pixels(replace(CAT, **{attribute: word}))

    assert share_changed(pixels(CAT), changed) > 0.05


def test_another_thing_leaves_the_background_alone() -> None:
    truth = replace(CAT, action="finds")

    difference = np.abs(pixels(truth) - pixels(replace(truth, thing="gift"))).max(axis=2)

    assert 0 < (difference > 0).mean() < 0.2


def _actions(rng: np.random.Generator, action: str) -> PanelTruth:
    return PanelTruth(
        str(rng.choice(CHARACTERS)), action, str(rng.choice(THINGS)), str(rng.choice(list(PLACES)))
    )


def _places(rng: np.random.Generator, place: str) -> PanelTruth:
    return replace(_actions(rng, str(rng.choice(ACTIONS))), place=place)


def _weathers(rng: np.random.Generator, weather: str) -> PanelTruth:
    place = str(rng.choice([place for place in PLACES if place not in INDOORS]))
    return replace(_places(rng, place), weather=None if weather == "none" else weather)


@pytest.mark.parametrize(
    ("make", "words"),
    [(_actions, ACTIONS), (_places, tuple(PLACES)), (_weathers, (*WEATHERS, "none"))],
    ids=["actions", "places", "weathers"],
)
def test_words_are_seen_apart_whatever_else_is_drawn(
    make: Callable[[np.random.Generator, str], PanelTruth], words: tuple[str, ...]
) -> None:
    """A linear classifier that sees 24 pixels across names the word of unseen panels."""
    rng = np.random.default_rng(5)

    def drawn(per_word: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(len(words)), per_word)
        panels = [draw_panel(make(rng, words[label]), rng, 48).reduce(2) for label in labels]
        return np.stack([np.asarray(panel).ravel() / 255 for panel in panels]), labels

    seen, seen_labels = drawn(24)
    unseen, unseen_labels = drawn(8)
    centre = seen.mean(axis=0)
    kernel = (seen - centre) @ (seen - centre).T + 10 * np.eye(len(seen))
    weights = np.linalg.solve(kernel, np.eye(len(words))[seen_labels] - 1 / len(words))

    guesses = ((unseen - centre) @ (seen - centre).T @ weights).argmax(axis=1)

    assert (guesses == unseen_labels).mean() >= 0.85


def test_every_word_has_a_sprite_and_every_sprite_and_prop_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: set[str] = set()
    for finder in ("sprite", "halves"):
        original = getattr(canvas_module, finder)

        def record(name: str, *rest: object, original: Callable = original) -> object:
            used.add(name)
            return original(name, *rest)

        monkeypatch.setattr(canvas_module, finder, record)
    rng = np.random.default_rng(0)
    for index in range(260):
        place = list(PLACES)[index % len(PLACES)]
        weather = None if place in INDOORS else (*WEATHERS, None)[index % 7]
        draw_panel(
            PanelTruth(
                CHARACTERS[index % len(CHARACTERS)],
                ACTIONS[index // len(PLACES) % len(ACTIONS)],
                THINGS[index // 5 % len(THINGS)],
                place,
                weather,
            ),
            rng,
            48,
        )

    shipped = {entry.name.removesuffix(".webp") for entry in SPRITE_FOLDER.iterdir()}

    assert shipped >= {*CHARACTERS, *THINGS}
    assert used - set(PROPS) == shipped
    assert used & set(PROPS) == set(PROPS)


@settings(max_examples=80, deadline=None)
@given(
    x=st.floats(-0.5, 1.5),
    y=st.floats(-0.5, 1.5),
    side=st.floats(0.1, 0.7),
    angle=st.floats(-40, 40),
    ground=st.booleans(),
)
def test_figures_are_never_cropped(
    x: float, y: float, side: float, angle: float, ground: bool
) -> None:
    canvas = Canvas(Image.new("RGB", (96, 96)), np.random.default_rng(0))

    x0, y0, x1, y1 = canvas.put("owl", x, y, side, angle=angle, inside=True, ground=ground)

    assert 0 <= x0 < x1 <= 96
    assert 0 <= y0 < y1 <= 96


def test_a_strip_depends_on_seed_and_index_only() -> None:
    few, many = draw_strips(2, 7, size=64), draw_strips(3, 7, size=64)
    others = draw_strips(2, 8, size=64)

    assert [strip.id for strip in many] == ["drawn-7-0000", "drawn-7-0001", "drawn-7-0002"]
    assert few == many[:2]
    assert few[0].truths != few[1].truths
    assert few[0].panels != others[0].panels


@pytest.mark.parametrize("held_out", [True, False])
def test_strips_keep_to_their_split(held_out: bool) -> None:
    strips = draw_strips(4, 1, panels=8, held_out=held_out, size=48)

    assert {truth.held_out for strip in strips for truth in strip.truths or ()} == {held_out}
    assert all(len(strip) == 8 for strip in strips)


def test_strips_carry_grid_labels_and_captions() -> None:
    (strip,) = draw_strips(1, 2, panels=4, size=64, columns=2, labels="WXYZ")

    assert strip.labels == ("W", "X", "Y", "Z")
    assert strip.columns == 2
    assert strip.truths is not None
    assert strip.captions is not None
    for truth, wordings in zip(strip.truths, strip.captions, strict=True):
        assert all(truth.character in wording.lower() for wording in wordings)


@pytest.mark.parametrize(
    ("count", "seed", "panels", "complaint"),
    [(1, 0, 0, "1 to 12 panels"), (1, 0, 13, "not 13"), (-1, 0, 6, "negative"), (1, -1, 6, "-1")],
)
def test_numbers_out_of_range_are_named(count: int, seed: int, panels: int, complaint: str) -> None:
    with pytest.raises(GazeheadsError, match=complaint):
        draw_strips(count, seed, panels=panels)
