from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gazeheads import GazeheadsError, Region
from gazeheads.models.generate import pieces
from gazeheads.models.inputs import open_image

SIZES = [(640, 200), (200, 640), (333, 517), (90, 100), (900, 1300)]


@pytest.mark.parametrize("size", SIZES)
def test_tokens_are_the_grid_and_boxes_tile_the_image(gqa, size):
    encoded = gqa.encode(Image.new("RGB", size, "red"), "what?")
    _, height, width = encoded.inputs["image_grid_thw"][0].tolist()
    tokens = encoded.tokens
    assert len(tokens) == height // 2 * width // 2
    assert tokens.sizes == (size,)
    assert (encoded.ids[tokens.positions] == gqa.model.config.image_token_id).all()
    assert tokens.coverage() == pytest.approx(np.ones((size[1], size[0])))
    assert (np.diff(tokens.boxes[: width // 2, 0]) > 0).all()


def test_boxes_are_where_the_pixels_went(gqa):
    """Without attention in the vision tower a token sees only its own pixels."""
    visual = gqa.model.model.visual
    saved = {name: p.clone() for name, p in visual.named_parameters() if "attn.proj" in name}
    size = (333, 200)
    try:
        for name, parameter in visual.named_parameters():
            if "attn.proj" in name:
                torch.nn.init.zeros_(parameter)
        blank = gqa.encode(Image.new("RGB", size, "white"), "?")
        base = _features(gqa, blank)
        rng = np.random.default_rng(0)
        for _ in range(12):
            x, y = int(rng.integers(5, size[0] - 5)), int(rng.integers(5, size[1] - 5))
            image = Image.new("RGB", size, "white")
            image.paste("black", (x - 2, y - 2, x + 2, y + 2))
            changed = np.abs(_features(gqa, gqa.encode(image, "?")) - base).max(1)
            boxes = blank.tokens.boxes
            under = np.flatnonzero(
                (boxes[:, 0] <= x) & (x < boxes[:, 2]) & (boxes[:, 1] <= y) & (y < boxes[:, 3])
            )
            # resampling blurs the square a little, so its own token changes most
            assert changed.argmax() in _near(boxes, x, y)
            assert changed[under[0]] > 0
    finally:
        for name, parameter in visual.named_parameters():
            if name in saved:
                parameter.data.copy_(saved[name])


def _features(vlm, encoded):
    with torch.no_grad():
        return vlm.family.vision(vlm.model, encoded.inputs).pooler_output[0].numpy()


def _near(boxes, x, y, slack=3):
    return np.flatnonzero(
        (boxes[:, 0] - slack <= x) & (x < boxes[:, 2] + slack)
        & (boxes[:, 1] - slack <= y) & (y < boxes[:, 3] + slack)
    )  # fmt: skip


def test_many_prompts_encode_like_each_alone(gqa, strip):
    prompts = ["what?", "what happens in the panel?", "what happens in the strip?", ""]
    for prompt, many in zip(prompts, gqa.encode_many(strip.image, prompts), strict=True):
        alone = gqa.encode(strip.image, prompt)
        assert set(many.inputs) == set(alone.inputs)
        for name, tensor in alone.inputs.items():
            assert torch.equal(tensor, many.inputs[name]), name
        assert np.array_equal(many.tokens.positions, alone.tokens.positions)
        assert many.prompt == alone.prompt == prompt
    assert gqa.encode_many(strip.image, []) == []


@pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
def test_any_mode_becomes_rgb(mode):
    assert open_image(Image.new(mode, (20, 10))).mode == "RGB"


def test_transparency_becomes_white():
    image = open_image(Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_a_turned_photograph_is_upright(tmp_path):
    image = Image.new("RGB", (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert open_image(tmp_path / "turned.jpg").size == (20, 40)


def test_bad_images_are_one_clear_error(gqa, tmp_path):
    with pytest.raises(GazeheadsError, match="not found"):
        gqa.ask(tmp_path / "none.png", "what?")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(GazeheadsError, match="cannot read image"):
        gqa.ask(tmp_path / "text.png", "what?")
    Image.new("RGB", (64, 64)).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(GazeheadsError, match="cannot read image"):
        gqa.ask(str(tmp_path / "cut.png"), "what?")


def test_the_same_tokens_with_images_of_different_sizes_are_ambiguous(gqa):
    prompt = "a question nobody else asks"
    first = gqa.encode(Image.new("RGB", (64, 64)), prompt)
    second = gqa.encode(Image.new("RGB", (66, 66)), prompt)
    assert torch.equal(first.ids, second.ids)
    with (
        gqa.steer([(1, 0)], Region.from_box(0, 0, 64, 64)),
        pytest.raises(GazeheadsError, match="different sizes"),
    ):
        gqa.model(**second.inputs)
    with gqa.steer([(1, 0)], Region.from_box(0, 0, 64, 64), inputs=second):
        gqa.model(**second.inputs)


def test_pieces_join_to_the_text(gqa):
    text = "naïve café 🦊 what happens"
    tokens = gqa.tokenizer(text)["input_ids"]
    parts = pieces(gqa.tokenizer, tokens)
    assert "".join(parts) == text and len(parts) == len(tokens)
    assert "�" not in "".join(parts[:-1])
    assert "".join(pieces(gqa.tokenizer, tokens[:3])) == gqa.tokenizer.decode(tokens[:3])
    assert pieces(gqa.tokenizer, []) == ()


def test_wrong_numbers_of_images(gqa, strip):
    with pytest.raises(GazeheadsError):
        gqa.encode([strip.image], "<|image_pad|> what?")
    inputs = gqa.encode(strip.image, "what?").inputs
    with pytest.raises(GazeheadsError, match="2 sizes"):
        gqa.encoder.adopt(inputs, [(1, 1), (2, 2)])
    with pytest.raises(GazeheadsError, match="one prompt at a time"):
        gqa.encoder.adopt({**inputs, "input_ids": inputs["input_ids"].repeat(2, 1)}, [(1, 1)])
