"""Putting the attention function and the two hooks on a model, once."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from gazeheads.attention import function
from gazeheads.attention.ambient import before_forward
from gazeheads.attention.fork import fork_rows
from gazeheads.errors import GazeheadsError


class ModelError(GazeheadsError):
    """A model that cannot be loaded or steered."""


def attach(model: Any) -> None:
    """Makes a model's attention steerable; without a plan it stays the plain sdpa model.

    Raises:
        ModelError: the model's attention cannot be reached through transformers' interface.
    """
    function.register()
    text = model.config.get_text_config()
    layers = attention_layers(model)
    kind = type(model).__name__
    expected = softmax_layers(text)
    if sorted(layers) != expected:
        raise ModelError(
            f"{kind} does not use transformers' attention interface: found {len(layers)} of "
            f"{len(expected)} attention layers"
        )
    if any(getattr(layer, "sinks", None) is not None for layer in layers.values()):
        raise ModelError(f"{kind} has attention sinks of its own, which plain sdpa leaves out")
    foreign = [m for m in layers.values() if not type(m).__module__.startswith("transformers.")]
    if foreign:
        raise ModelError(
            f"{kind} brings attention code of its own ({type(foreign[0]).__name__}), which cannot "
            "be steered"
        )
    # the vision tower keeps sdpa: its modules have no layer numbers
    wanted = function.NAME if text is model.config else {"text_config": function.NAME}
    model.set_attn_implementation(wanted)
    if text._attn_implementation != function.NAME:
        raise ModelError(f"{kind} did not accept the attention function")
    _install_hooks(model)


def _install_hooks(model: Any) -> None:
    """Hooks hold no state: what they do comes from the context a call runs in."""
    if before_forward in model._forward_pre_hooks.values():
        return
    model.register_forward_pre_hook(before_forward, with_kwargs=True)
    for layer, block in decoder_blocks(model).items():
        block.register_forward_pre_hook(partial(fork_rows, layer), with_kwargs=True)


def softmax_layers(text: Any) -> list[int]:
    """The layers of a language model that have softmax attention; hybrid models have others too."""
    kinds = getattr(text, "layer_types", None)
    if not kinds:
        return list(range(text.num_hidden_layers))
    return [
        i for i, kind in enumerate(kinds) if kind.endswith("_attention") and "linear" not in kind
    ]


def attention_layers(model: Any) -> dict[int, torch.nn.Module]:
    """The language model's attention modules by layer."""
    return {layer: module for layer, (_, module) in _named_layers(model).items()}


def decoder_blocks(model: Any) -> dict[int, torch.nn.Module]:
    """The language model's blocks (attention and MLP) by layer."""
    return {
        layer: model.get_submodule(name.rpartition(".")[0])
        for layer, (name, _) in _named_layers(model).items()
    }


def _named_layers(model: Any) -> dict[int, tuple[str, torch.nn.Module]]:
    text = model.config.get_text_config()
    return {
        module.layer_idx: (name, module)
        for name, module in model.named_modules()
        if isinstance(getattr(module, "layer_idx", None), int)
        and hasattr(module, "q_proj")
        and getattr(module, "config", None) is text
    }
