"""fit="crop": the middle of a picture, as CLIP's processor and the published Bunny runs saw it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_families import make_family

import gazeheads
from gazeheads import GazeheadsError, Region
from gazeheads.models import wrap
from gazeheads.models.fit import resize_cost
from models.test_checkpoints import Published, PublishedOvis

NOISE = np.random.default_rng(1).integers(0, 255, (4, 9, 3), dtype=np.uint8)
WIDE = Image.fromarray(NOISE).resize((240, 60), Image.Resampling.NEAREST)


@pytest.mark.parametrize("kind", ["bunny", "ovis"])
def test_a_published_model_sees_the_middle_alone(kind: str, tmp_path: Path) -> None:
    if kind == "bunny":
        Published(tmp_path / kind, "bunny-phi")
    else:
        PublishedOvis(tmp_path / kind)
    cropping = gazeheads.load(tmp_path / kind, fit="crop")
    plain = gazeheads.load(tmp_path / kind)
    encoded = cropping.encode(WIDE, "what?")
    # the model's square is 60 pixels, so the middle is taken as it is
    middle = plain.encode(WIDE.crop((90, 0, 150, 60)), "what?")
    assert torch.equal(encoded.inputs["pixel_values"], middle.inputs["pixel_values"])
    boxes = encoded.tokens.boxes
    assert boxes[:, 0].min() == pytest.approx(90) and boxes[:, 2].max() <= 150 + 1e-6
    assert not np.isnan(boxes).any()
    assert "cropped to 60x60" in resize_cost(encoded.tokens, encoded.shown)
    with pytest.raises(GazeheadsError):
        encoded.tokens.indices(Region.from_box(0, 0, 60, 60, "panel 1"))
    assert len(encoded.tokens.indices(Region.from_box(90, 0, 150, 60))) == len(boxes)
    assert np.isnan(plain.encode(WIDE, "what?").tokens.boxes).any()  # padded there


@given(st.tuples(st.integers(1, 900), st.integers(1, 900)))
@settings(max_examples=40)
def test_boxes_are_those_of_the_processor_s_own_crop(size: tuple[int, int]) -> None:
    """LLaVA's processor crops by itself; to crop before gives the same places."""
    from models.conftest import wrapped

    model = wrapped("llava")
    cropping = wrap(model.model, model.processor, "llava", fit="crop")
    ours = cropping.encode(Image.new("RGB", size), "what?").tokens.boxes
    inputs = cropping.encode(Image.new("RGB", (56, 56)), "what?").inputs
    theirs = model.family.image_tokens(model.model.config, model.processor, inputs, [size]).boxes
    edge = min(size) / 56  # one pixel of the model's input
    assert ours == pytest.approx(theirs, abs=1.5 * edge, nan_ok=True)


def test_a_model_without_a_square_cannot_crop() -> None:
    with pytest.raises(GazeheadsError, match="no square to crop to"):
        wrap(*make_family("qwen3_vl"), "qwen3_vl", fit="crop")
    with pytest.raises(GazeheadsError, match="squash, keep, grid, crop"):
        wrap(*make_family("llava"), "llava", fit="trim")  # type: ignore[arg-type]
