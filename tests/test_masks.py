"""Masks of every kind: the object, or a clear refusal; never everything without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads import GazeheadsError, Region
from gazeheads.regions import ImageTokens

SIZES = st.tuples(st.integers(2, 20), st.integers(2, 20))


def object_in(size: tuple[int, int], seed: int) -> np.ndarray:
    """(H, W) bool, some true and some false."""
    mask = np.random.default_rng(seed).random((size[1], size[0])) < 0.4
    mask[0, 0], mask[-1, -1] = True, False
    return mask


@given(SIZES, st.integers(0, 99), st.data())
def test_a_mask_of_any_kind_is_the_object(size: tuple[int, int], seed: int, data: Any) -> None:
    mask = object_in(size, seed)
    rng = np.random.default_rng(seed + 1)
    soft = rng.random(mask.shape)
    probabilities = np.where(mask, 0.51 + soft * 0.4, soft * 0.49)
    logits = np.where(mask, 0.1 + soft * 9, -0.1 - soft * 9)
    labels = np.where(mask, 7, rng.integers(0, 6, mask.shape))
    kinds: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "bool": (mask, {}),
        "zero and one": (mask.astype(np.int64), {}),
        "zero and 255": (mask.astype(np.uint8) * 255, {}),
        "floats": (mask.astype(np.float32), {}),
        "probabilities": (probabilities, {"threshold": 0.5}),
        "logits": (logits, {"threshold": 0}),
        "labels": (labels, {"label": 7}),
        "float labels": (labels.astype(np.float32), {"label": 7}),
        "soft uint8": (np.where(mask, 200, 90).astype(np.uint8), {"threshold": 127}),
    }
    values, options = data.draw(st.sampled_from(sorted(kinds)).map(kinds.__getitem__))
    shaped = data.draw(st.sampled_from([values, values[None], values[..., None]]))
    made: Any = data.draw(st.sampled_from([shaped, shaped.tolist(), torch.tensor(shaped)]))
    assert (Region.from_mask(made, **options).mask == mask).all()


@given(SIZES, st.integers(0, 99))
def test_what_is_not_yes_and_no_is_refused_without_a_threshold_or_label(
    size: tuple[int, int], seed: int
) -> None:
    mask = object_in(size, seed)
    for values, told in (
        (np.where(mask, 6.0, -8.0), "label= .*threshold="),
        (np.where(mask, 6.3, -8.1), "logits.*threshold="),
        (np.where(mask, 0.9, 0.2), "probabilities.*threshold="),
        (np.where(mask, 2, 1), "label="),
        (np.where(mask, 2, 0), "label="),
        (np.where(mask, -1, 0), "label="),
        (np.where(mask, 1.0, 255.0), "label="),
    ):
        for made in (values, torch.tensor(values)):
            for make in (Region.from_mask, lambda mask: Region(mask=mask)):
                with pytest.raises(GazeheadsError, match=told):
                    make(made)


@pytest.mark.parametrize(
    ("mask", "options", "told"),
    [
        (np.zeros((3, 4)), {}, "at least one pixel"),
        (np.zeros((0, 4)), {}, "at least one pixel"),
        (np.ones((3, 4, 5), bool), {}, r"masks\[0\]"),
        (np.ones((2, 1, 4, 5), bool), {}, "shape"),
        (np.ones(4, bool), {}, "shape"),
        (np.full((3, 4), np.nan), {"threshold": 0.5}, "finite"),
        (np.full((3, 4), 0.2), {"threshold": 0.5}, "above 0.5"),
        (np.full((3, 4), 0.2), {"threshold": np.inf}, "finite number"),
        (np.full((3, 4), 2), {"label": 7}, "label 7: it has 2"),
        (np.eye(3), {"label": 1, "threshold": 0.5}, "not both"),
        (np.eye(3, dtype=bool), {"threshold": 0.5}, "needs no threshold"),
        (np.eye(3, dtype=bool), {"label": 1}, "no labels"),
        (np.full((3, 4), "x"), {}, "numbers"),
        ({"size": [3, 4], "counts": "x"}, {}, "decode"),
        ([[True], [True, False]], {}, "numbers"),
    ],
)
def test_masks_that_are_none(mask: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(GazeheadsError, match=told) as caught:
        Region.from_mask(mask, **options)
    assert "\n" not in str(caught.value)


def test_a_mask_of_everything_is_said(caplog: pytest.LogCaptureFixture) -> None:
    for mask, options in ((np.ones((4, 5)), {}), (np.full((4, 5), 0.9), {"threshold": 0.5})):
        caplog.clear()
        Region.from_mask(mask, **options)
        assert "all of its 5x4 pixels" in caplog.text


def test_an_image_may_be_a_mask() -> None:
    mask = object_in((6, 5), 1)
    for image in (Image.fromarray(mask), Image.fromarray(mask.astype(np.uint8) * 255)):
        assert (Region.from_mask(image).mask == mask).all()


def test_a_mask_of_the_picture_before_it_was_turned_is_told() -> None:
    tokens = ImageTokens.of_grid(range(4), (40, 30), 2, 2)
    with pytest.raises(GazeheadsError, match="EXIF"):
        tokens.indices(Region.from_mask(object_in((30, 40), 0)))
