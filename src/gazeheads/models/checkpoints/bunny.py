"""Bunny's published checkpoints as a native LLaVA: their own code is neither needed nor run.

Bunny is a SigLIP tower (all patches of the last layer but one), a two-layer MLP and a Phi, Llama or
Qwen2 language model. Its own modelling code bypasses transformers' attention interface; the native
`LlavaForConditionalGeneration` computes the same from the same weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessor,
    LlavaProcessor,
    SiglipImageProcessor,
    SiglipVisionConfig,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from gazeheads.attention.install import ModelError
from gazeheads.models.checkpoints.files import (
    folder_of,
    make_room,
    read_weights,
    tokenizer_with,
    trim_head,
)

TEXT_TYPES = {
    "bunny-phi": "phi", "bunny-llama": "llama", "bunny-qwen": "qwen2", "bunny-qwen2": "qwen2",
}  # fmt: skip
"""From the checkpoint's type to that of its language model."""
PROJECTOR = "mlp2x_gelu"
IMAGE = "<image>"
# the words before every conversation the checkpoints were trained on: part of the checkpoint, not
# of its code
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions."
)
ENDS = {"llama": "<|end_of_text|>"}
"""What ends an answer, where it is not <|endoftext|>."""

_NAMES = (
    (re.compile(r"^model\.vision_tower\.(?:vision_tower\.)?(?:vision_model\.)?"),
     "model.vision_tower."),
    (re.compile(r"^model\.mm_projector\.0\."), "model.multi_modal_projector.linear_1."),
    (re.compile(r"^model\.mm_projector\.2\."), "model.multi_modal_projector.linear_2."),
    (re.compile(r"^model\."), "model.language_model."),
)  # fmt: skip
_UNUSED = re.compile(r"^model\.vision_tower\.head\.")


def is_bunny(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a published Bunny."""
    return config.get("model_type") in TEXT_TYPES


def native_name(name: str) -> str:
    """The native name of a weight in the published layout."""
    for pattern, new in _NAMES:
        if pattern.match(name):
            return pattern.sub(new, name, count=1)
    return name


def load_bunny(
    source: str, config: Mapping[str, Any], offline: bool, placement: Mapping[str, Any]
) -> tuple[Any, Any, list[str]]:
    """Loads a published checkpoint into native classes; see `published.Reader`.

    Raises:
        ModelError: the checkpoint is of a variant that no native class computes.
    """
    if config.get("mm_projector_type", PROJECTOR) != PROJECTOR or config.get("use_s2"):
        raise ModelError(
            "this Bunny variant (projector "
            f"{config.get('mm_projector_type')!r}, use_s2={config.get('use_s2', False)}) has no "
            f"native counterpart: only projector {PROJECTOR!r} at one scale has"
        )
    folder = folder_of(source, offline)
    vision: Any = SiglipVisionConfig.from_pretrained(
        config["mm_vision_tower"], local_files_only=offline
    )  # fmt: skip
    vision.vision_use_head = False
    processor = _processor(folder, vision, config)
    weights = {native_name(name): tensor for name, tensor in read_weights(folder).items()}
    native = _config(config, vision, processor.image_token_id)
    bias = weights.pop("lm_head.bias", None)
    vocabulary = make_room(weights, native.text_config, processor.image_token_id)
    kept = {name: tensor for name, tensor in weights.items() if not _UNUSED.match(name)}
    native_class: Any = LlavaForConditionalGeneration
    model, report = native_class.from_pretrained(
        None, config=native, state_dict=kept, output_loading_info=True, **placement
    )
    trim_head(model, vocabulary)
    if bias is not None:
        model.lm_head.bias = torch.nn.Parameter(bias.to(model.lm_head.weight))
    # nothing after the last layer but one is used, and some checkpoints leave it out
    last = f"model.vision_tower.encoder.layers.{vision.num_hidden_layers - 1}."
    missing = [
        name for name in report["missing_keys"]
        if not name.startswith(last) and "post_layernorm" not in name
    ]  # fmt: skip
    return model, processor, missing


def _config(config: Mapping[str, Any], vision: Any, image: int) -> LlavaConfig:
    kind = TEXT_TYPES[config["model_type"]]
    left_out = ("model_type", "auto_map", "architectures", "transformers_version", "dtype",
                "torch_dtype")  # fmt: skip
    fields = {k: v for k, v in config.items() if k not in left_out and not k.startswith("mm_")}
    return LlavaConfig(
        vision_config=vision,
        text_config=CONFIG_MAPPING[kind](**fields),
        image_token_index=image,
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        tie_word_embeddings=bool(config.get("tie_word_embeddings", False)),
    )


def _processor(folder: Path, vision: Any, config: Mapping[str, Any]) -> Any:
    tokenizer = tokenizer_with(folder, [IMAGE])
    size = {"height": int(vision.image_size), "width": int(vision.image_size)}
    siglip = SiglipImageProcessor()
    pixels = LlavaImageProcessor(
        size=size, do_center_crop=False, do_pad=config.get("image_aspect_ratio") == "pad",
        image_mean=siglip.image_mean, image_std=siglip.image_std, resample=siglip.resample,
    )  # fmt: skip
    end = ENDS.get(TEXT_TYPES[config["model_type"]], "<|endoftext|>")
    return LlavaProcessor(
        pixels,
        tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy="full",
        chat_template=_template(end),
        image_token=IMAGE,
    )


def _template(end: str) -> str:
    return (
        SYSTEM + " {% for message in messages %}"
        "{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + IMAGE + "\n{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{{ ' ' if message['role'] == 'user' else '" + end + "' }}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )
