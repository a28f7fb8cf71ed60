"""Every image token's box is where its pixels are, for every family and shape of image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_families import BUILDERS, make_family

from gazeheads import VLM, GazeheadsError, Region
from gazeheads.models import wrap
from gazeheads.regions import CroppedError, ImageTokens, TooSmallError

SIZES = [(640, 200), (200, 640), (333, 517), (90, 100), (900, 1300)]
SQUARES = 4
# the encoder's cells are nominal: its convolutions see almost the whole image
LOCAL = [name for name in BUILDERS if name not in ("fast_vlm", "gemma3n")]
BLENDED = {"llava_onevision": 1.2}  # its grid is interpolated: neighbours blend in


class Blind:
    """A vision tower without attention: each token sees its own pixels only."""

    def __init__(self, name: str, processor=None) -> None:
        model, own = make_family(name)
        self.vlm = wrap(model, processor or own, name)
        for parameter, weight in model.named_parameters():
            leaf = parameter.replace(".linear.", ".").rsplit(".", 2)[-2]
            mixes = leaf in ("out_proj", "o_proj", "proj", "projection_layer")
            if mixes and ".attn" in parameter.replace("self_attn", "attn").replace(
                "attention", "attn"
            ):
                weight.data.zero_() if "language_model" not in parameter else None

    def look(self, image: Image.Image) -> tuple[ImageTokens, np.ndarray]:
        """Tokens and their (T, D) features, the processor's own way (no fit)."""
        vlm = self.vlm
        text = vlm.family.text(vlm.processor, [{"role": "user", "content": [{"type": "image"}]}])
        inputs = dict(vlm.processor(text=[text], images=[image], return_tensors="pt"))
        tokens = vlm.family.image_tokens(vlm.model.config, vlm.processor, inputs, [image.size])
        with torch.no_grad():
            features = vlm.family.vision(vlm.model, inputs).pooler_output
        if not isinstance(features, torch.Tensor):
            features = torch.cat(list(features))
        return tokens, features.flatten(0, -2).numpy()


def touching(boxes: np.ndarray, square: tuple[int, ...], slack: np.ndarray) -> np.ndarray:
    """Which boxes, grown by slack on all sides, meet the square."""
    x0, y0, x1, y1 = square
    return (
        (boxes[:, 0] - slack[:, 0] < x1) & (boxes[:, 2] + slack[:, 0] > x0)
        & (boxes[:, 1] - slack[:, 1] < y1) & (boxes[:, 3] + slack[:, 1] > y0)
    )  # fmt: skip


def check_squares(blind: Blind, size: tuple[int, int], blend: float = 0.3) -> None:
    rng = np.random.default_rng(size[0])
    tokens, base = blind.look(Image.new("RGB", size, "white"))
    assert len(tokens) == len(base)
    boxes = tokens.boxes
    extent = boxes[:, 2:] - boxes[:, :2]
    seen = tokens.coverage() > 0.5
    for _ in range(SQUARES):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        reach = (max(2, size[0] // 40), max(2, size[1] // 40))
        square = (
            max(0, x - reach[0]), max(0, y - reach[1]),
            min(size[0], x + reach[0]), min(size[1], y + reach[1]),
        )  # fmt: skip
        image = Image.new("RGB", size, "white")
        image.paste("black", square)
        again, features = blind.look(image)
        assert np.array_equal(again.boxes, boxes, equal_nan=True)
        change = np.abs(features - base).max(1)
        # resampling spreads a pixel over a few of its neighbours
        near = touching(boxes, square, np.maximum(extent * blend, 4.0))
        assert not (change > 1e-4)[~near].any()
        if seen[y, x]:
            inside = touching(boxes, square, -extent * 0.3)
            assert change[inside].min(initial=1.0) > 1e-5
            assert near[change.argmax()] and change.max() > 1e-5


@pytest.mark.parametrize("name", LOCAL)
def test_painted_squares_change_the_tokens_that_lie_over_them(name: str) -> None:
    blind = Blind(name)
    for size in SIZES:
        check_squares(blind, size, BLENDED.get(name, 0.3))


@pytest.mark.parametrize("size", SIZES)
def test_padding_to_a_square_has_no_boxes(size: tuple[int, int]) -> None:
    import transformers as hf

    _, processor = make_family("llava")
    processor.image_processor = hf.LlavaImageProcessor(
        do_pad=True, size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    blind = Blind("llava", processor)
    check_squares(blind, size)
    tokens, _ = blind.look(Image.new("RGB", size))
    assert (tokens.coverage() > 0.99).all()
    empty_rows = int((1 - min(size) / max(size)) / 2 * 4)
    assert np.isnan(tokens.boxes[:, 0]).sum() == 2 * 4 * empty_rows


@pytest.mark.parametrize("size", [(640, 200), (200, 640), (90, 100)])
def test_pan_and_scan_adds_crops(size: tuple[int, int]) -> None:
    _, processor = make_family("gemma3")
    processor.image_processor.do_pan_and_scan = True
    processor.image_processor.pan_and_scan_min_crop_size = 32
    processor.images_kwargs = {**processor.images_kwargs, "do_pan_and_scan": True,
                               "pan_and_scan_min_crop_size": 32}  # fmt: skip
    blind = Blind("gemma3", processor)
    check_squares(blind, size)
    tokens, _ = blind.look(Image.new("RGB", size))
    assert tokens.coverage().mean() == pytest.approx(1.0 if size == (90, 100) else 2.0)


def test_tiles_and_thumbnail_both_belong_to_a_region() -> None:
    for name in ("internvl", "ovis2", "idefics3"):
        blind = Blind(name)
        tokens, _ = blind.look(Image.new("RGB", (640, 200)))
        assert tokens.coverage() == pytest.approx(np.full((200, 640), 2.0))
        boxes = tokens.boxes[tokens.indices(Region.from_box(0, 0, 640, 100))]
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        assert len(np.unique(areas.round(3))) == 2


MODES = ["RGB", "L", "P", "RGBA", "1"]


@pytest.mark.parametrize("name", list(BUILDERS))
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([(1, 1), (17, 3000), (3000, 17), (2, 3), (3, 2)])
    | st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from(MODES),
    st.sampled_from([1, 6, 8]),
)
def test_odd_images(name: str, size: tuple[int, int], mode: str, turned: int) -> None:
    from models.conftest import wrapped

    image = Image.new(mode, size)
    image.getexif()[0x0112] = turned
    upright = size if turned == 1 else size[::-1]
    vlm: VLM = wrapped(name)
    try:
        encoded = vlm.encode(image, "what?")
    except GazeheadsError as error:
        # some processors refuse extreme shapes; that must be one clear line
        assert max(size) / min(size) > 100 and "processor refused" in str(error)
        return
    tokens = encoded.tokens
    assert tokens.sizes == (upright,)
    known = tokens.boxes[~np.isnan(tokens.boxes[:, 0])]
    assert len(known) and (known >= 0).all()
    assert (known[:, :2] < known[:, 2:]).all() and (known[:, 2:] <= np.array(upright) + 1e-6).all()
    everything = tokens.indices(Region.from_box(0, 0, *upright))
    assert len(everything) == len(known)


def test_a_crop_that_would_drop_panels_names_the_three_ways() -> None:
    cropping = wrap(*make_family("llava"), "llava", fit="keep")
    with pytest.raises(GazeheadsError, match="cuts off 69%") as caught:
        cropping.encode(Image.new("RGB", (640, 200)), "what?")
    for way in ("squash", "grid", "keep"):
        assert f"fit='{way}'" in str(caught.value)
    assert len(cropping.encode(Image.new("RGB", (102, 100)), "what?").tokens) == 16


def test_a_region_that_the_processor_cuts_off_is_told_from_one_too_small() -> None:
    cropping = wrap(*make_family("llava"), "llava", fit="keep")
    tokens = cropping.encode(Image.new("RGB", (104, 100)), "what?").tokens
    with pytest.raises(CroppedError, match=r"cover \(1\.79\d*, 0, 102\.2.*squash"):
        tokens.indices(Region.from_box(0, 0, 1.5, 100))
    with pytest.raises(TooSmallError, match="a token is 25x25"):
        tokens.indices(Region.from_box(0, 0, 3.5, 100))
