"""A closer look at a small region: what is shown, and where the region lies there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads.boxes import RegionError
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.models import VLM
from gazeheads.models.closer import closer_look, outlined
from gazeheads.regions import Region

SIZE = (160, 96)
HEADS = HeadSet.of([(1, 0), (2, 3)])


def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


corners = st.tuples(st.integers(0, 150), st.integers(0, 86), st.integers(1, 10), st.integers(1, 10))


@given(corners, st.booleans())
def test_the_region_shows_the_same_pixels_in_every_look(
    corner: tuple[int, int, int, int], as_mask: bool
) -> None:
    x, y, wide, high = corner
    image, box = picture(), (x, y, x + wide, y + high)
    region = Region.from_box(*box)
    if as_mask:
        mask = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
        mask[y : y + high, x : x + wide] = True
        region = Region.from_mask(mask)
    for how in ("none", "zoom", "crop"):
        images, where = closer_look(image, region, how)  # type: ignore[arg-type]
        shown = images[where.image]
        where.check_inside(*shown.size)
        if where.mask is not None:
            rows, columns = np.nonzero(where.mask)
            own = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        else:
            own = tuple(round(edge) for edge in where.boxes[0])
        assert shown.crop(own).tobytes() == image.crop(box).tobytes()
        assert len(images) == (2 if how == "crop" else 1)


def test_a_window_gives_a_region_more_tokens_and_a_crop_all_of_its_image(gqa: VLM) -> None:
    image, region = picture(), Region.from_box(50, 50, 60, 60)  # tokens have centres at 48, 80
    with pytest.raises(RegionError):
        gqa.encode(image, "what?").tokens.indices(region)
    images, where = closer_look(image, region, "crop")
    tokens = gqa.encode(images, "what?").tokens
    own = np.flatnonzero(tokens.image_index == 1)
    assert tokens.indices(where).tolist() == own.tolist()
    images, where = closer_look(image, region, "zoom")
    assert images[0].size == (30, 30) and where.boxes == ((10, 10, 20, 20),)


def test_what_is_described_is_what_the_prompt_of_the_look_says(gqa: VLM) -> None:
    from gazeheads.steering import Steering

    image, region = picture(), Region.from_box(32, 32, 96, 80)
    images, where = closer_look(image, region, "crop")
    encoded = gqa.encode(images, "what?")
    row: Any = (encoded, Steering(HEADS, where))
    expected = gqa.generate([row], max_new_tokens=5)[0].text
    options = {"heads": HEADS, "max_new_tokens": 5}
    assert gqa.describe(image, region, "what?", closer="crop", **options) == expected


def test_a_drawn_box_changes_its_edge_alone_and_unknown_looks_are_refused() -> None:
    image, region = picture(), Region.from_box(32, 32, 96, 80)
    before, after = np.asarray(image), np.asarray(outlined(image, region))
    changed = np.argwhere((before != after).any(-1))
    assert changed.min(0).tolist() >= [32, 32] and changed.max(0).tolist() <= [80, 96]
    assert (after[45:70, 45:85] == before[45:70, 45:85]).all()
    with pytest.raises(GazeheadsError, match="none, zoom or crop, not 'near'"):
        closer_look(image, region, "near")  # type: ignore[arg-type]
