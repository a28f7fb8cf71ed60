"""A prompt is known by its token ids and its pixels together, never by ids alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_families import make_family

from gazeheads import GazeheadsError, HeadSet, Region, wrap
from gazeheads.attention.known_prompts import KnownPrompts, PixelDigest, RowImages
from gazeheads.regions import ImageTokens

HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
PROMPT = "what happens in this panel?"


def test_equal_ids_with_another_image_are_refused(gqa, strip, make_strip):
    encoded = gqa.encode(strip.image, PROMPT)
    other = make_strip("another", seed=9)
    inputs = {**encoded.inputs, **pixels_of(gqa, other.image)}
    with (
        gqa.steer(HEADS, strip.panel(1)),
        pytest.raises(GazeheadsError, match="known, but with other pixels"),
    ):
        gqa.model.generate(**inputs, max_new_tokens=2)


def pixels_of(vlm, image):
    made = vlm.processor.image_processor(images=[image], return_tensors="pt")
    return {name: made[name] for name in ("pixel_values", "image_grid_thw")}


def test_a_cast_prompt_is_known_again(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    plain = gqa.model(**encoded.inputs).logits
    for dtype in (torch.bfloat16, torch.float16):
        low = {k: v.to(dtype) if v.is_floating_point() else v for k, v in encoded.inputs.items()}
        low["pixel_values"] = low["pixel_values"].float()  # rounded, as a cast model rounds them
        with gqa.steer(HEADS, strip.panel(1)):
            steered = gqa.model(**low).logits
        assert (steered - plain).abs().max() > 0.01


def test_a_processor_that_crops_where_ours_squashes_never_gets_the_wrong_tokens():
    """LLaVA-1.5: equal ids, since every image is as many tokens; another part of the image."""
    model, processor = make_family("llava")
    vlm = wrap(model, processor, "llava")
    assert vlm.encoder.fit == "squash"
    noise = np.random.default_rng(1).integers(0, 255, (10, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((640, 200), Image.Resampling.NEAREST)
    encoded = vlm.encode(image, PROMPT)
    text = vlm.family.text(processor, [user(PROMPT)])
    own = dict(processor(text=[text], images=[image], return_tensors="pt"))
    assert own["input_ids"].tolist() == encoded.inputs["input_ids"].tolist()
    middle, left = Region.from_box(220, 0, 420, 200), Region.from_box(0, 0, 200, 200)
    with vlm.steer([(1, 0)], middle), pytest.raises(GazeheadsError, match="other pixels"):
        vlm.model(**own)
    with pytest.raises(GazeheadsError, match="no image token"):
        vlm.steer([(1, 0)], left, inputs=own, image=image)
    with vlm.steer([(1, 0)], middle, inputs=own, image=image):
        cropped = vlm.model(**own).logits
    with vlm.steer([(1, 0)], middle):
        squashed = vlm.model(**encoded.inputs).logits
    assert not torch.allclose(cropped, squashed, atol=1e-4)
    with pytest.raises(GazeheadsError, match="do not come from image="):
        vlm.steer([(1, 0)], middle, inputs=own, image=image.transpose(Image.Transpose.ROTATE_180))


def user(prompt):
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


def test_rows_of_a_batch_are_known_by_their_own_images(gqa, strip, make_strip):
    other = make_strip("five", panels=5, seed=3)
    prompts = [gqa.encode(strip.image, PROMPT), gqa.encode(other.image, PROMPT)]
    batch = gqa.processor(
        text=[gqa.encoder._text([user(PROMPT)])] * 2, images=[strip.image, other.image],
        return_tensors="pt", padding=True, padding_side="left",
    )  # fmt: skip
    with gqa.steer(HEADS, Region.from_box(128, 0, 192, 64)):
        out = gqa.model.generate(**batch, max_new_tokens=5, do_sample=False)
        alone = gqa.generate(prompts, max_new_tokens=5)
    for row, one in zip(out, alone, strict=True):
        new = row[batch["input_ids"].shape[1] :].tolist()
        assert new[: len(one.tokens)] == list(one.tokens)


def test_beams_of_tiled_images_and_several_beams_per_prompt(strip):
    vlm = wrap(*make_family("internvl"), "internvl")
    image = strip.image.resize((150, 60))
    encoded = vlm.encode(image, PROMPT)
    with vlm.steer([(1, 0), (2, 1)], Region.from_box(0, 0, 75, 60)):
        beams = vlm.model.generate(
            **encoded.inputs, num_beams=3, num_return_sequences=3, max_new_tokens=4,
            do_sample=False,
        )  # fmt: skip
    plain = vlm.model.generate(
        **encoded.inputs, num_beams=3, num_return_sequences=3, max_new_tokens=4, do_sample=False
    )
    assert beams.tolist() != plain.tolist()


def test_features_without_pixels_are_refused(gqa, strip):
    encoded = gqa.encode(strip.image, PROMPT)
    inputs = dict(encoded.inputs)
    features = gqa.model.get_image_features(
        inputs.pop("pixel_values"), inputs["image_grid_thw"], return_dict=True
    )
    with gqa.steer(HEADS, strip.panel(1)), pytest.raises(GazeheadsError, match="not pixels"):
        gqa.model(**inputs, mm_encoder_outputs={"image": features})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.randoms())
def test_any_batch_is_taken_apart_by_its_prompts(lengths, random):
    known, prompts, pixels = KnownPrompts(), [], []
    tokens = ImageTokens.of_grid([1], (4, 4), 1, 1)
    for number, length in enumerate(lengths):
        own = torch.full((length, 3), random.random()) + 10 * number
        pixels.append(own)
        prompts.append(
            known.add({"input_ids": torch.tensor([[7, 8]]), "pixel_values": own}, tokens)
        )
    rows = RowImages({"pixel_values": torch.cat(pixels)}, len(lengths))
    for prompt in prompts:
        found = rows.take(known.of_ids(torch.tensor([7, 8])))
        assert prompt in found and all(len(p.pixels.lengths) == 1 for p in found)
        assert all(p.pixels.lengths == prompt.pixels.lengths for p in found)


def test_old_prompts_are_known_by_their_digest_alone():
    known = KnownPrompts()
    tokens = ImageTokens.of_grid([0], (4, 4), 1, 1)
    first = known.add({"input_ids": torch.tensor([[1]]), "pixel_values": torch.ones(2, 2)}, tokens)
    for number in range(20):
        known.add(
            {"input_ids": torch.tensor([[2]]), "pixel_values": torch.ones(number + 1)}, tokens
        )
    assert first.pixels._tensors == {}
    assert first.pixels.matches({"pixel_values": torch.ones(2, 2)})
    assert not first.pixels.matches({"pixel_values": torch.ones(4)})
    assert not first.pixels.matches({"image_grid_thw": torch.ones(2, 2)})
    assert not PixelDigest({}).matches({})
