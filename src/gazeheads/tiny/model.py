"""comic-tiny's architecture: transformers' own Qwen3-VL classes, configured small.

Everything that is written to the model folder is stock Hugging Face format, so that
``AutoProcessor`` and ``AutoModelForImageTextToText`` load it without any code of ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

PATCH = 16
MERGE = 2
CELL = PATCH * MERGE
"""Side in pixels of the square that one image token sees."""
MAX_PIXELS = 60 * CELL * CELL
"""A six-panel strip of the study (1536x256) comes out as 576x96, three by three tokens a panel."""
MIN_PIXELS = 4 * CELL * CELL
VOCABULARY = 768

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' or 'image' in part -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif 'text' in part -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


@dataclass(frozen=True)
class TinyShape:
    """Sizes of comic-tiny; the defaults are those of the shipped model."""

    hidden: int = 160
    layers: int = 10
    heads: int = 16
    kv_heads: int = 8
    head_dim: int = 16
    mlp: int = 384
    vision_hidden: int = 128
    vision_layers: int = 4
    vision_heads: int = 4
    vision_mlp: int = 384


def build_config(shape: TinyShape, tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    """The model config: the same attributes as any Qwen3-VL checkpoint."""
    ids: dict[str, Any] = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIALS}
    rotations = shape.head_dim // 2
    third = rotations // 3
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": shape.hidden,
            "intermediate_size": shape.mlp,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head_dim,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 100_000.0,
                "mrope_section": [rotations - 2 * third, third, third],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": shape.vision_layers,
            "hidden_size": shape.vision_hidden,
            "intermediate_size": shape.vision_mlp,
            "num_heads": shape.vision_heads,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": shape.hidden,
            "num_position_embeddings": 24 * 24,
            "deepstack_visual_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def build_model(
    shape: TinyShape, tokenizer: PreTrainedTokenizerFast, seed: int
) -> Qwen3VLForConditionalGeneration:
    """A randomly initialised model.

    Projections back into the residual stream start smaller. Words start as long as image tokens
    are: with embeddings of the usual 0.02 the digits drown beside the image, and pointing at
    "panel 3" is not learned.
    """
    torch.manual_seed(seed)
    model: Qwen3VLForConditionalGeneration = Qwen3VLForConditionalGeneration(
        build_config(shape, tokenizer)
    ).float()
    for name, weight in model.named_parameters():
        if weight.ndim < 2:
            continue
        fan_in = weight[0].numel()
        std = 1 / math.sqrt(fan_in)
        if name.endswith("embed_tokens.weight"):
            std = 1.0
        elif name.endswith(("lm_head.weight", "pos_embed.weight")):
            std = 0.02
        if name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight")):
            std /= math.sqrt(2 * shape.layers)
        torch.nn.init.normal_(weight, std=std)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def build_tokenizer(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer whose merges come from the training questions and answers."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r" ?[A-Za-z]+| ?\d| ?[^\sA-Za-z\d]+|\s")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS[1:]),
        padding_side="left",
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen3VLProcessor:
    """The processor of any Qwen3-VL checkpoint, with the pixel limits of the tiny model."""
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    shared: dict[str, Any] = {
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": size,
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**shared),
        chat_template=CHAT_TEMPLATE,
    )


def save_model(model: Any, processor: Qwen3VLProcessor, folder: Path) -> None:
    """Write the folder in stock format: weights in float16, to be loaded as float32."""
    model.config.dtype = torch.float32
    state = {name: weight.half() for name, weight in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)
    config = folder / "config.json"
    described = json.loads(config.read_text())
    for part in (described, described["text_config"], described["vision_config"]):
        part["dtype"] = "float32"
    config.write_text(json.dumps(described, indent=2) + "\n")
