"""Putting the attention function and the hooks on a model, and taking them off again."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from gazeheads.attention import function, implementations
from gazeheads.attention.fork import BlockHooks
from gazeheads.attention.implementations import ours, plain_of
from gazeheads.attention.state import ForwardState
from gazeheads.errors import GazeheadsError

_FEATURES = "get_image_features"


class ModelError(GazeheadsError):
    """A model that cannot be loaded or steered."""


@dataclass(eq=False)
class Installation:
    """What was put on a model.

    Attributes:
        model: the transformers model itself, without wrappers.
        state: what acts on its passes.
    """

    model: Any
    state: ForwardState

    def remove(self) -> None:
        """Takes hooks and attention function off; the model is what it was.

        Raises:
            ModelError: steering is in force.
        """
        if self.state.open:
            raise ModelError("the model cannot be unwrapped inside `with vlm.steer(...)`")
        for module in self.model.modules():
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for key in [key for key, hook in hooks.items() if _is_ours(hook)]:
                    del hooks[key]
                    module._forward_pre_hooks_with_kwargs.pop(key, None)
                    module._forward_hooks_always_called.pop(key, None)
            module.__dict__.pop(function.STATE, None)
            module.__dict__.pop(implementations.PLAIN, None)
            if isinstance(module.__dict__.get(_FEATURES), _SeenFeatures):
                del module.__dict__[_FEATURES]
        if self.state.installed():
            _set_attention(self.model, self.state.before)


def unwrap(model: Any) -> Any:
    """The transformers model inside wrappers: PEFT adapters, `torch.compile`, data parallelism.

    Raises:
        ModelError: there is none.
    """
    seen: list[str] = []
    while not isinstance(model, PreTrainedModel):
        seen.append(type(model).__name__)
        if hasattr(model, "get_base_model"):
            inner = model.get_base_model()
        else:
            inner = getattr(model, "_orig_mod", getattr(model, "module", None))
        if inner is None or inner is model:
            raise ModelError(
                f"{' around '.join(seen)} holds no transformers model: give gazeheads.wrap the "
                "model itself"
            )
        model = inner
    return model


def install(model: Any, name: str = "") -> Installation:
    """Makes a model's attention steerable; without a plan it stays the plain model.

    Its plain heads keep the attention implementation that it was loaded with.

    It changes three things, all undone by `Installation.remove`: the language model's attention
    implementation, forward hooks on the model, and a note taken of images that are
    encoded ahead.

    Args:
        model: transformers' own.
        name: of the model, in messages.

    Raises:
        ModelError: the model's attention cannot be reached through transformers' interface, or its
            implementation cannot be kept.
    """
    text = model.config.get_text_config()
    layers = attention_layers(model)
    _check_layers(model, layers, text)
    before = plain_of(getattr(text, "_attn_implementation", None))
    _check_implementation(model, before, layers)
    known = {module.__dict__.get(function.STATE) for module in layers.values()}
    state = next((each for each in known if isinstance(each, ForwardState)), None)
    if state is None or state.text_config is not text or len(known) > 1:
        state = ForwardState(text, len(layers), name or type(model).__name__)
        _install_hooks(model, state, layers)
    state.before = before
    function.register(before)
    for layer in layers.values():
        implementations.keep(layer, before)
    _set_attention(model, ours(before))
    if text._attn_implementation != ours(before):
        raise ModelError(f"{type(model).__name__} did not accept the attention function")
    return Installation(model, state)


def _check_layers(model: Any, layers: dict[int, torch.nn.Module], text: Any) -> None:
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


def _check_implementation(model: Any, plain: str, layers: dict[int, torch.nn.Module]) -> None:
    why = implementations.why_not(plain, list(layers.values()))
    if why is not None:
        raise ModelError(
            f"{type(model).__name__} was loaded with attention {plain!r}, which cannot be kept "
            f'under steering ({why}): load it with attn_implementation="sdpa", "eager", '
            '"flex_attention" or "flash_attention_2"'
        )


def _set_attention(model: Any, implementation: str) -> None:
    # the vision tower keeps its own: its modules have no layer numbers
    text = model.config.get_text_config()
    model.set_attn_implementation(
        implementation if text is model.config else {"text_config": implementation}
    )


def _install_hooks(model: Any, state: ForwardState, layers: dict[int, torch.nn.Module]) -> None:
    """Hooks on the inner model: wrappers may call the outer one's forward without its hooks."""
    inner = model.base_model
    inner.register_forward_pre_hook(partial(_begin, state), with_kwargs=True)
    inner.register_forward_hook(partial(_end, state), always_call=True)
    if hasattr(inner, _FEATURES):
        inner.__dict__[_FEATURES] = _SeenFeatures(inner, state)
    state.block_hooks = BlockHooks(decoder_blocks(model))
    for module in layers.values():
        module.__dict__[function.STATE] = state


def _begin(
    state: ForwardState, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    state.begin(module, args, kwargs)


def _end(state: ForwardState, module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
    del module, args
    state.end(output)


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, partial) and hook.func in (_begin, _end)


class _SeenFeatures:
    """`get_image_features` of a model, which also notes for which pixels it was asked."""

    def __init__(self, inner: Any, state: ForwardState) -> None:
        self._inner, self._state = inner, state
        self.__signature__ = inspect.signature(getattr(type(inner), _FEATURES).__get__(inner))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = getattr(type(self._inner), _FEATURES)(self._inner, *args, **kwargs)
        if self._state.open:
            given = self.__signature__.bind(*args, **kwargs).arguments
            self._state.images.keep({**given, **given.get("kwargs", {})}, output)
        return output


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
