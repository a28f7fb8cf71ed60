"""What tiny models are built of: a tokenizer, sizes and vision towers."""

from __future__ import annotations

from functools import cache
from typing import Any

import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

NAMED = {
    "image_token": "<image>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>",
    "start_image_token": "<img>", "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
}  # fmt: skip
SPECIAL = [
    "<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>", *NAMED.values(), "<|vision_start|>",
    "<|image_pad|>", "<|video_pad|>", "<|vision_end|>", "<IMG_START>", "<IMG_ATOM>", "<IMG_GRID>",
    "<IMG_COL>", "<IMG_ROW>", "<IMG_END>", "<fake_token_around_image>", "<global-img>",
    "<end_of_utterance>", "[IMG]", "[IMG_BREAK]", "[IMG_END]", "<|begin_of_image|>",
    "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<im_patch>", "<im_col>",
    "<im_start>", "<low_res_im_start>", "<frame_start>", "<im_end>", "<frame_end>", "<im_low>",
    "<|image|>", "<|video|>", "<|image_start|>", "<|patch|>", "<|tile_x_separator|>",
    "<|tile_y_separator|>", "<|img_thumbnail|>", "<audio>", "<start_of_audio>", "<end_of_audio>",
    "<line_break>", "<slice>", "</slice>", "<image_id>", "</image_id>",
]  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.2, "pad_token_id": 0,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "initializer_range": 0.2,
}  # fmt: skip
# every other layer keeps a recurrent state instead of keys
HYBRID = {
    "num_hidden_layers": 4, "full_attention_interval": 2, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
}  # fmt: skip
Made = tuple[Any, Any]


@cache
def _trained() -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(["what happens in the panel of this comic strip"] * 5, trainer)
    return tokenizer.to_str()


def make_tokenizer(**named: str) -> Any:
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained()),
        bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        extra_special_tokens={**NAMED, **named},
    )  # fmt: skip


def template(image: str) -> str:
    return (
        "{% for message in messages %}<|user|>"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}" + image +
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )  # fmt: skip


def token_id(tokenizer: Any, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    assert found is not None, token
    return found


def text_of(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer), **TEXT, **more}


def clip() -> dict[str, Any]:
    return {"model_type": "clip_vision_model", "image_size": 56, "patch_size": 14, **VISION}


def siglip(size: int, patch: int = 14) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model", "image_size": size, "patch_size": patch,
        "vision_use_head": False, **VISION,
    }  # fmt: skip
