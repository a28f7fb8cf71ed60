"""A model before its weights: its family, its prompts and its size, from its small files alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils.hub import cached_file

from gazeheads.attention.install import ModelError, attention_layers, decoder_blocks, softmax_layers
from gazeheads.models import adapters
from gazeheads.models.checkpoints import reader_of
from gazeheads.models.families.family import Family
from gazeheads.models.inputs import Encoder
from gazeheads.models.kinds import check_published
from gazeheads.models.load import config_file, family_of, source_of
from gazeheads.models.options import LOAD_ERRORS, LoadOptions, load_error
from gazeheads.models.processing import adjust, load_processor

ELEMENT_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_CHOSEN = ("num_experts_per_tok", "moe_topk", "moe_k")


@dataclass(frozen=True)
class Shape:
    """How large a model is, and how much of it works on a token.

    Attributes:
        layers, heads, kv_heads, head_dim, hidden, intermediate, vocabulary: of the language model.
        attention_layers: how many of its layers have attention heads.
        parameters: of the whole model.
        layer: of one layer that work on every token: of experts only those chosen.
        head: of the projection to the vocabulary.
        vision: of the vision tower and its projector.
        vision_layers, vision_hidden: of the vision tower; 0 if its config does not say.
        patch: pixels of an image that one token of the vision tower sees.
        dtype: of the checkpoint.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocabulary: int
    attention_layers: int
    parameters: int
    layer: float
    head: int
    vision: int
    vision_layers: int
    vision_hidden: int
    patch: int
    dtype: str


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A model without weights.

    Attributes:
        name: as `load` would call it.
        family, config, processor: of the model.
        encoder: makes its prompts.
        shape: its size.
        local: whether its weights are on this machine.
        folder: whether it is a folder, and not of the hub.
    """

    name: str
    family: Family
    config: Any
    processor: Any
    encoder: Encoder
    shape: Shape
    local: bool
    folder: bool

    @property
    def attention_layers(self) -> tuple[int, ...]:
        """Layers of the language model that have attention heads."""
        return tuple(softmax_layers(self.config.get_text_config()))


def blueprint(name_or_path: str | os.PathLike[str], **options: Any) -> Blueprint:
    """Reads a model's config and processor; no weights are read or fetched.

    Args:
        name_or_path: as in `load`.
        options: those of `load`.

    Raises:
        ModelError: it does not exist, is of no supported family, or its published layout is only
            understood together with its weights.
    """
    source, name = source_of(name_or_path)
    wanted, _ = LoadOptions.split(options)
    adapter = adapters.adapter_in(source)
    base = adapters.base_of(adapter) if adapter else source
    place = {"local_files_only": wanted.offline, "trust_remote_code": False}
    try:
        raw = config_file(base, wanted)
        if reader_of(raw):
            raise ModelError(
                f"{name!r} is loaded by way of its weights (type {raw.get('model_type')!r}): what "
                "it needs cannot be told from its config; load it"
            )
        check_published(raw, name)
        config = AutoConfig.from_pretrained(base, **place)
        family = family_of(config, name)
        processor = load_processor(base, name, wanted)
        adjust(processor, wanted.pixels, config)
        encoder = Encoder(family, config, processor, wanted.fit, wanted.template)
        shape = shape_of(config)
    except LOAD_ERRORS as error:
        raise load_error(name, error) from error
    return Blueprint(
        name, family, config, processor, encoder, shape, _has_weights(base), Path(base).is_dir()
    )


def _has_weights(source: str) -> bool:
    """Whether weights lie in the folder, or in the hub's cache."""
    names = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    found = (
        cached_file(
            source, name, local_files_only=True, _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        for name in names
    )  # fmt: skip
    return any(path is not None for path in found)


def shape_of(config: Any) -> Shape:
    """The size of a model of that config, whose tensors are counted and never made.

    Raises:
        ModelError: its language model has no layer with attention heads.
    """
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    text = config.get_text_config()
    vision = getattr(config, "vision_config", None)
    blocks = decoder_blocks(model)
    attending = attention_layers(model)
    if not blocks:
        raise ModelError(f"no layer of type {config.model_type!r} has attention heads")
    whole = sum(p.numel() for p in model.parameters())
    layers, hidden = int(text.num_hidden_layers), int(text.hidden_size)
    share = _share_of_experts(text)
    in_blocks = [_working(block, 1.0) for block in blocks.values()]
    working = sum(_working(block, share) for block in blocks.values()) / len(blocks)
    vocabulary = int(text.vocab_size)
    # layers without heads of ours, as hybrid models have, count as those with
    rest = whole - sum(in_blocks) * layers / len(blocks)
    tied = bool(getattr(text, "tie_word_embeddings", False) or config.tie_word_embeddings)
    heads = int(text.num_attention_heads)
    return Shape(
        layers=layers,
        heads=heads,
        kv_heads=int(getattr(text, "num_key_value_heads", None) or heads),
        head_dim=max(int(getattr(own, "head_dim", hidden // heads)) for own in attending.values()),
        hidden=hidden,
        intermediate=_largest(getattr(text, "intermediate_size", None)) or 4 * hidden,
        vocabulary=vocabulary,
        attention_layers=len(attending),
        parameters=whole,
        layer=working,
        head=vocabulary * hidden,
        vision=max(0, round(rest - vocabulary * hidden * (1 if tied else 2))),
        vision_layers=_number(vision, "depth", "num_hidden_layers"),
        vision_hidden=_number(vision, "hidden_size", "embed_dim", "width"),
        patch=_pixels_of_patch(vision),
        dtype=str(config.dtype or text.dtype or "float32").removeprefix("torch."),
    )


def _working(block: torch.nn.Module, share: float) -> float:
    """Parameters of a block that work on a token, where of its experts that share does."""
    return sum(
        p.numel() * (share if ".experts." in f".{name}" else 1.0)
        for name, p in block.named_parameters()
    )


def _share_of_experts(text: Any) -> float:
    every, chosen = _number(text, *_EXPERTS), _number(text, *_CHOSEN)
    return min(1.0, chosen / every) if every and chosen else 1.0


def _largest(size: Any) -> int:
    """A size, or of sizes by layer the largest."""
    return max((int(each) for each in size), default=0) if isinstance(size, list) else size or 0


def _number(config: Any, *names: str) -> int:
    """The first of a config's values that is a number, else 0."""
    values = (getattr(config, name, None) for name in names)
    return next((int(value) for value in values if isinstance(value, int) and value), 0)


def _pixels_of_patch(vision: Any) -> int:
    edge = getattr(vision, "patch_size", None) or 14
    across, down = (edge, edge) if isinstance(edge, int) else (edge[0], edge[-1])
    # processors repeat a still image along time
    return int(across) * int(down) * max(1, _number(vision, "temporal_patch_size"))
