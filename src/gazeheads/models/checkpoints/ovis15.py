"""Ovis1.5's published checkpoints (SigLIP and Llama 3) as a native LLaVA with a visual table.

Ovis turns every patch into probabilities over a visual vocabulary and mixes the rows of a table of
embeddings by them; two indicator tokens stand around an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    BatchFeature,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    SiglipImageProcessor,
    SiglipVisionConfig,
)
from transformers.image_utils import make_flat_list_of_images
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from gazeheads.attention.install import ModelError
from gazeheads.models.checkpoints.files import (
    EMBEDDINGS,
    folder_of,
    make_room,
    read_weights,
    tokenizer_with,
    trim_head,
)

IMAGE, BEGIN, END = "<image>", "<image_begin>", "<image_end>"
# the words before every conversation the checkpoints were trained on: part of the checkpoint
SYSTEM = "You are a helpful and honest multimodal assistant."
_PREFIXES = {
    "llm.model.": "model.language_model.",
    "llm.lm_head.": "lm_head.",
    "visual_tokenizer.backbone.vision_model.": "model.vision_tower.",
    "visual_tokenizer.backbone.": "model.vision_tower.",
}


def is_ovis15(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a published Ovis1.5."""
    visual = config.get("visual_tokenizer_config")
    return (
        config.get("model_type") == "ovis"
        and isinstance(visual, Mapping)
        and visual.get("model_type") == "siglip_visual_tokenizer"
    )


class VisualTable(torch.nn.Module):
    """From a patch's features to a mixture of the rows of a visual table."""

    def __init__(self, features: int, words: int, hidden: int, stride: int) -> None:
        """Sizes of features, visual vocabulary and hidden states; patches per merged edge."""
        super().__init__()
        self.stride = stride
        self.head = torch.nn.Sequential(
            torch.nn.Linear(features * stride**2, words, bias=False), torch.nn.LayerNorm(words)
        )
        self.table = torch.nn.Parameter(torch.empty(words, hidden))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, T, features) to (B, T / stride^2, hidden)."""
        count, tokens, size = features.shape
        side = round((tokens) ** 0.5) // self.stride
        merged = features.reshape(count, side, self.stride, side, self.stride, size)
        merged = merged.permute(0, 1, 3, 2, 4, 5).reshape(count, side * side, -1)
        tensor: torch.Tensor = self.head(merged).softmax(-1) @ self.table
        return tensor


class OvisPixels(SiglipImageProcessor):
    """The longer edge is brought to the square's, then the rest is padded with the mean colour."""

    do_pad = True
    do_center_crop = False

    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """Pixel inputs of one or more images."""
        several: Any = make_flat_list_of_images(images)
        return BatchFeature({"pixel_values": torch.cat([self._padded(each) for each in several])})

    def _padded(self, image: Any) -> torch.Tensor:
        size: Any = self.size
        side = int(size.height)
        longest = max(image.size)
        # an edge of less than a pixel would be nothing to resize to
        width, height = (max(1, int(edge / longest * side)) for edge in image.size)
        resized = super().preprocess(
            image, size={"height": height, "width": width}, return_tensors="pt"
        )["pixel_values"]
        square = resized.new_zeros(1, 3, side, side)
        top, left = (side - height) // 2, (side - width) // 2
        square[:, :, top : top + height, left : left + width] = resized
        tensor: torch.Tensor = square
        return tensor


def load_ovis15(
    source: str, config: Mapping[str, Any], offline: bool, placement: Mapping[str, Any]
) -> tuple[Any, Any, list[str]]:
    """Loads a published checkpoint into native classes; see `published.Reader`.

    Raises:
        ModelError: the checkpoint is of a variant that is not supported.
    """
    visual, text = dict(config["visual_tokenizer_config"]), dict(config["llm_config"])
    _check_variant(visual, text)
    folder = folder_of(source, offline)
    tokenizer = tokenizer_with(folder, [IMAGE, BEGIN, END])
    image, begin, end = tokenizer.convert_tokens_to_ids([IMAGE, BEGIN, END])
    vision: Any = SiglipVisionConfig(**visual["backbone_config"])
    vision.vision_use_head = False
    native = LlavaConfig(
        vision_config=vision,
        text_config=CONFIG_MAPPING[text.pop("model_type")](**text),
        image_token_index=image,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    weights = {_native_name(name): tensor for name, tensor in read_weights(folder).items()}
    table = weights.pop("vte.weight")
    head = [weights.pop(f"visual_tokenizer.head.{part}") for part in ("0.weight", "1.weight",
                                                                      "1.bias")]  # fmt: skip
    vocabulary = make_room(weights, native.text_config, max(image, begin, end))
    weights[EMBEDDINGS] = weights[EMBEDDINGS].clone()
    weights[EMBEDDINGS][[begin, end]] = table[-2:].to(weights[EMBEDDINGS].dtype)
    kept = {name: tensor for name, tensor in weights.items() if ".head." not in name}
    native_class: Any = LlavaForConditionalGeneration
    model, report = native_class.from_pretrained(
        None, config=native, state_dict=kept, output_loading_info=True, **placement
    )
    trim_head(model, vocabulary)
    _install_table(model, head, table[:-2], int(visual.get("hidden_stride", 1)))
    missing = [name for name in report["missing_keys"] if "multi_modal_projector" not in name]
    return model, _processor(tokenizer, vision, visual), sorted(missing)


def _check_variant(visual: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    variant = {
        "language model": (text.get("model_type"), "llama"),
        "tokenize_function": (visual.get("tokenize_function", "softmax"), "softmax"),
        "hd_booster": (visual.get("hd_booster"), None),
        "use_indicators": (visual.get("use_indicators", False), True),
    }
    for name, (value, wanted) in variant.items():
        if value != wanted:
            raise ModelError(
                f"this Ovis variant is not supported: {name} is {value!r}, only {wanted!r} is"
            )


def _native_name(name: str) -> str:
    for prefix, new in _PREFIXES.items():
        if name.startswith(prefix):
            return new + name.removeprefix(prefix)
    return name


def _install_table(model: Any, head: list[torch.Tensor], table: torch.Tensor, stride: int) -> None:
    """Puts the visual table in the projector's place, on its device and in its precision."""
    old = model.model.multi_modal_projector.linear_1.weight
    words, hidden = table.shape
    projector = VisualTable(head[0].shape[1] // stride**2, words, hidden, stride)
    projector.load_state_dict(
        {"head.0.weight": head[0], "head.1.weight": head[1], "head.1.bias": head[2],
         "table": table}
    )  # fmt: skip
    model.model.multi_modal_projector = projector.to(old)
    # the published model reads the encoder's last layer before its norm
    model.model.vision_tower.post_layernorm = torch.nn.Identity()


def _processor(tokenizer: Any, vision: Any, visual: Mapping[str, Any]) -> Any:
    edge = int(vision.image_size)
    return LlavaProcessor(
        OvisPixels(size={"height": edge, "width": edge}),
        tokenizer,
        patch_size=int(vision.patch_size) * int(visual.get("hidden_stride", 1)),
        vision_feature_select_strategy="full",
        chat_template=_template(),
        image_token=IMAGE,
    )


def _template() -> str:
    def turn(role: str, what: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n{what}"

    parts = (
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
        + f"{BEGIN}{IMAGE}{END}\n"
        + "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    )
    each = turn("{{ message['role'] }}", parts) + "<|eot_id|>"
    return (
        "<|begin_of_text|>" + turn("system", SYSTEM) + "<|eot_id|>"
        "{% for message in messages %}" + each + "{% endfor %}"
        "{% if add_generation_prompt %}" + turn("assistant", "") + "{% endif %}"
    )
