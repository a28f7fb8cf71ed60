import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from gazeheads.tiny.batches import fitted
from gazeheads.tiny.model import save_model


def test_the_folder_is_stock(model, processor, tmp_path):
    save_model(model, processor, tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded).__name__ == "Qwen3VLForConditionalGeneration"
    assert loaded.dtype == torch.float32
    assert again.tokenizer.convert_tokens_to_ids("<|image_pad|>") == loaded.config.image_token_id
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(
            loaded.state_dict()[name], weight.half().float(), msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("panels", range(1, 9))
def test_training_sizes_are_the_processors(processor, panels: int):
    image = Image.new("RGB", (256 * panels, 256))
    grid = processor.image_processor(image, return_tensors="pt").image_grid_thw[0]
    assert fitted(*image.size) == (16 * int(grid[2]), 16 * int(grid[1]))


def test_a_six_panel_strip_of_the_study_has_nine_tokens_a_panel():
    assert fitted(1536, 256) == (576, 96)


def test_the_tokenizer_round_trips_anything(tokenizer):
    for text in ("Cat paints a rocket.\nPanel 3: owl", "Grüße, 猫! 12345", "  two  spaces"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_content_words_are_single_tokens(tokenizer):
    for word in (" rocket", "Cat", " forest", " paints"):
        assert len(tokenizer(word).input_ids) == 1, word
