"""The models that are measured: comic-tiny, and random weights in Qwen3-VL-2B's shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
MODELS = ("comic-tiny", "2b", "2b-slice", "8b")
CELL = 32
_POOL = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where a model runs, and in which precision."""

    device: str = "cpu"
    dtype: torch.dtype = torch.float32


CPU = Place()


def build(
    name: str, attention: str | dict[str, str], image_tokens: int, place: Place = CPU
) -> tuple[Any, Any]:
    """A model with its processor.

    Args:
        name: "comic-tiny"; "2b": Qwen3-VL-2B's shape, random weights; "2b-slice": the same widths
            with 4 language and 2 vision layers, for images too large for the whole model here;
            "8b": Qwen3-VL-8B's 36 layers of 32 heads, random weights.
        attention: transformers' attention implementation.
        image_tokens: the most that the processor may make of an image.
        place: device and precision.
    """
    size = {"shortest_edge": CELL * CELL, "longest_edge": image_tokens * CELL * CELL}
    processor = AutoProcessor.from_pretrained(COMIC_TINY, size=size)
    if name == "comic-tiny":
        model = AutoModelForImageTextToText.from_pretrained(
            COMIC_TINY, dtype=torch.float32, attn_implementation=attention
        )
    else:
        config = _config_8b() if name == "8b" else _config_2b(whole=name == "2b")
        model = _random(config, attention, place)
    placed: Any = model
    return placed.to(device=place.device, dtype=place.dtype).eval(), processor


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


def _config_8b() -> Qwen3VLConfig:
    """Qwen3-VL-8B's shape: what differs from the smaller one's."""
    config = _config_2b(whole=True)
    text: Any = config.text_config
    vision: Any = config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 4096, 12288, 36
    text.num_attention_heads, vision.out_hidden_size = 32, 4096
    text.layer_types = ["full_attention"] * text.num_hidden_layers
    vision.depth, vision.hidden_size, vision.intermediate_size = 27, 1152, 4304
    vision.deepstack_visual_indexes = [8, 16, 24]
    text.tie_word_embeddings = False
    config.tie_word_embeddings = False
    return config


@torch.no_grad()
def _random(config: Qwen3VLConfig, attention: str | dict[str, str], place: Place) -> Any:
    """Random weights from one small pool of numbers: two billion fresh ones would take minutes."""
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(config)
    model = model.to_empty(device=place.device)
    model = cast(Any, model).to(place.dtype)
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0)) * 0.02
    pool = pool.to(place.device, place.dtype)
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
