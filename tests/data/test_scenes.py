from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.drawn.canvas import GRAIN, Canvas
from gazeheads.data.drawn.scenes import LARGEST, MOST_OBJECTS, SMALLEST, Scene, draw_scene
from gazeheads.data.drawn.truth import CHARACTERS, PLACES, THINGS
from gazeheads.errors import GazeheadsError


def scene(seed: int, **options: object) -> Scene:
    return draw_scene(np.random.default_rng(seed), **options)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([(96, 96), (256, 256), (320, 192), (160, 256)]),
)
def test_objects_lie_inside_and_apart(seed: int, size: tuple[int, int]) -> None:
    drawn = scene(seed, size=size)

    names = [thing.name for thing in drawn.objects]
    assert drawn.image.size == size
    assert 2 <= len(names) == len(set(names)) <= MOST_OBJECTS
    assert set(names) <= {*CHARACTERS, *THINGS}
    assert drawn.place in PLACES
    for x0, y0, x1, y1 in (thing.box for thing in drawn.objects):
        longer = max(x1 - x0, y1 - y0) / min(size)
        assert SMALLEST - 0.01 <= longer <= LARGEST + 1 / GRAIN + 0.01
        assert 0 <= x0 < x1 <= size[0]
        assert 0 <= y0 < y1 <= size[1]
    for a, b in combinations([thing.box for thing in drawn.objects], 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


@pytest.mark.parametrize("seed", range(8))
def test_an_object_changes_pixels_in_its_box_only(seed: int) -> None:
    one = scene(seed, objects=("cat", "key", "ball"))
    other = scene(seed, objects=("cat", "key", "gift"))

    changed = np.asarray(one.image) != np.asarray(other.image)

    assert changed.any()
    for drawn in (one, other):
        x0, y0, x1, y1 = drawn.objects[2].box
        changed[y0:y1, x0:x1] = False
    assert not changed.any()
    assert one.objects[:2] == other.objects[:2]


@pytest.mark.parametrize("name", [*CHARACTERS, *THINGS])
def test_boxes_are_tight(name: str) -> None:
    before = Image.new("RGB", (128, 128), "#00ff00")
    canvas = Canvas(before.copy(), np.random.default_rng(0))

    x0, y0, x1, y1 = canvas.put_at(name, 20, 30, 60)

    changed = (np.asarray(canvas.image) != np.asarray(before)).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    assert np.abs(seen - (x0, y0, x1, y1)).max() <= 2
    assert max(x1 - x0, y1 - y0) == 60


def test_same_seed_same_scene_other_seed_another() -> None:
    assert scene(1) == scene(1)
    assert scene(1) != scene(2)


def test_objects_come_in_the_order_asked_for() -> None:
    asked = ("owl", "cake", "robot", "boat", "pig", "clock")

    assert tuple(thing.name for thing in scene(0, objects=asked).objects) == asked


@pytest.mark.parametrize(
    ("objects", "complaint"),
    [
        (("cat", "dragon"), "cannot draw 'dragon'"),
        ((), "1 to 6 objects, not 0"),
        (tuple(THINGS[:7]), "not 7"),
        (("cat", "cat"), "twice"),
    ],
)
def test_impossible_wishes_are_refused(objects: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(GazeheadsError, match=complaint):
        scene(0, objects=objects)
