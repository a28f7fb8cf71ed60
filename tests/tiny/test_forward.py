"""The lean training forward is the stock forward of transformers."""

import numpy as np
import pytest
import torch
from PIL import Image

from gazeheads.tiny.forward import answer_states, encode_images, patchify
from gazeheads.tiny.packing import Packer
from gazeheads.tiny.questions import QA

ASKED = QA("panel", "What is happening in panel 2?", "Cat paints a rocket in the forest.")
OTHER = QA("who", "Who is in the last panel?", "Owl.")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def forward(model, images: torch.Tensor, packed) -> torch.Tensor:
    return answer_states(model, packed, *encode_images(model, images))


def stock_inputs(processor, image: Image.Image, qa: QA):
    conversation = [
        {
            "role": "user",
            "content": [{"type": "image", "image": image}, {"type": "text", "text": qa.question}],
        },
        {"role": "assistant", "content": qa.answer},
    ]
    return processor.apply_chat_template(
        conversation, tokenize=True, return_dict=True, return_tensors="pt"
    )


@pytest.mark.parametrize("size", [(576, 96), (96, 96), (416, 128), (64, 192)])
def test_packed_logits_equal_stock_logits(model, processor, tokenizer, size):
    image = picture(*size)
    stock = stock_inputs(processor, image, ASKED)
    packed = Packer(tokenizer).pack([[ASKED, OTHER]], (size[1] // 32, size[0] // 32))
    with torch.no_grad():
        expected = model(**stock).logits[0]
        found = (forward(model, pixels(image), packed) @ model.lm_head.weight.T)[0]
    # The stock conversation ends with a line break that training does not predict.
    n = stock.input_ids.shape[1] - 1
    assert torch.equal(packed.input_ids[0, :n], stock.input_ids[0, :n])
    torch.testing.assert_close(found[:n], expected[:n], atol=2e-5, rtol=1e-4)


def test_patches_equal_the_processors(processor):
    image = picture(128, 64)
    expected = processor.image_processor(image, return_tensors="pt").pixel_values
    found = patchify(pixels(image))[0]
    assert expected.shape[0] == found.shape[0]
    # The processor repeats a still image as two frames.
    frames = expected.view(found.shape[0], 3, 2, 16 * 16)
    torch.testing.assert_close(found.view(-1, 3, 256), frames[:, :, 0], atol=1e-5, rtol=0)
    assert torch.equal(frames[:, :, 0], frames[:, :, 1])


def test_segments_do_not_see_each_other(model, tokenizer):
    packer = Packer(tokenizer)
    first = packer.pack([[ASKED, OTHER]], (3, 3))
    second = packer.pack([[OTHER, ASKED]], (3, 3))
    image = pixels(picture(96, 96))
    with torch.no_grad():
        a = forward(model, image, first)[first.answer_of == 0]
        b = forward(model, image, second)[second.answer_of == 1]
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_the_image_changes_the_answer(model, tokenizer):
    packed = Packer(tokenizer).pack([[ASKED]], (3, 3))
    with torch.no_grad():
        a = forward(model, pixels(picture(96, 96, 0)), packed)
        b = forward(model, pixels(picture(96, 96, 1)), packed)
    assert not torch.allclose(a[packed.answer_of == 0], b[packed.answer_of == 0])
