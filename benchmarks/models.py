"""The models that are measured: comic-tiny, and random weights in Qwen3-VL-2B's shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

import gazeheads

COMIC_TINY = Path(gazeheads.__file__).parent / "tiny" / "model"
MODELS = ("comic-tiny", "2b", "2b-slice")
CELL = 32
_POOL = 1 << 20


def build(name: str, attention: str | dict[str, str], image_tokens: int) -> tuple[Any, Any]:
    """A model with its processor.

    Args:
        name: "comic-tiny"; "2b": Qwen3-VL-2B's shape, random weights; "2b-slice": the same widths
            with 4 language and 2 vision layers, for images too large for the whole model here.
        attention: transformers' attention implementation.
        image_tokens: the most that the processor may make of an image.
    """
    size = {"shortest_edge": CELL * CELL, "longest_edge": image_tokens * CELL * CELL}
    processor = AutoProcessor.from_pretrained(COMIC_TINY, size=size)
    if name == "comic-tiny":
        model = AutoModelForImageTextToText.from_pretrained(
            COMIC_TINY, dtype=torch.float32, attn_implementation=attention
        )
    else:
        model = _random(_config_2b(whole=name == "2b"), attention)
    return model.eval(), processor


def _config_2b(whole: bool) -> Qwen3VLConfig:
    """Qwen3-VL-2B's shape, as its config class and the published sizes give it."""
    tiny = AutoConfig.from_pretrained(COMIC_TINY)
    depth, vision_depth = (28, 24) if whole else (4, 2)
    return Qwen3VLConfig(
        text_config={
            "vocab_size": 151_936,
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": depth,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5_000_000.0,
                "mrope_section": [24, 20, 20],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "eos_token_id": tiny.text_config.eos_token_id,
            "pad_token_id": tiny.text_config.pad_token_id,
        },
        vision_config={
            "depth": vision_depth,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [5, 11, 17] if whole else [0, 1],
        },
        image_token_id=tiny.image_token_id,
        video_token_id=tiny.video_token_id,
        vision_start_token_id=tiny.vision_start_token_id,
        vision_end_token_id=tiny.vision_end_token_id,
        tie_word_embeddings=True,
    )


@torch.no_grad()
def _random(config: Qwen3VLConfig, attention: str | dict[str, str]) -> Any:
    """Random weights from one small pool of numbers: two billion fresh ones would take minutes."""
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(config)
    model = model.to_empty(device="cpu")
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0)) * 0.02
    for weight in model.parameters():
        if weight.ndim < 2:
            weight.fill_(1.0)
            continue
        flat = weight.view(-1)
        for start in range(0, len(flat), _POOL):
            part = flat[start : start + _POOL]
            part.copy_(pool[: len(part)])
    for module in model.modules():  # buffers of rotary embeddings do not survive to_empty
        if hasattr(module, "inv_freq"):
            _renew_frequencies(module)
    model.tie_weights()
    model.set_attn_implementation(attention)
    return model


def _renew_frequencies(module: Any) -> None:
    if hasattr(module, "config"):
        fresh = type(module)(module.config)
    else:
        fresh = type(module)(2 * module.inv_freq.numel())
    module.inv_freq.copy_(fresh.inv_freq)
