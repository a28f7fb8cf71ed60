"""The attention implementation that a model was loaded with: its plain heads keep it.

Each has a registered name of ours, so that transformers makes its masks in its own form: dense for
sdpa and eager, a `BlockMask` for FlexAttention, the padding alone for flash. What is computed
beside the plain path wants to know which keys a query sees, whatever the form: `seen_keys`.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention.flex_attention import BlockMask, create_mask
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers.masking_utils import (
    ALL_MASK_ATTENTION_FUNCTIONS,
    AttentionMaskInterface,
    eager_mask,
    flash_attention_mask,
    flex_attention_mask,
    sdpa_mask,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "gaze"  # must not contain "flash": transformers tests for the substring
PLAIN = "_gazeheads_plain"
"""Attribute of an attention layer: the function its plain heads run through, and as what."""
_FORMS = (sdpa_mask, eager_mask, flash_attention_mask, flex_attention_mask)
_OURS: dict[str, str] = {NAME: "sdpa"}  # registered name -> whose plain path it has


class _Pass(threading.local):
    """What is known of this thread's pass."""

    padded = False


_PASS = _Pass()


def ours(plain: str) -> str:
    """The registered name under which the plain heads run as `plain`."""
    if plain == "sdpa":
        return NAME
    short = plain.replace("flash_attention", "fa").replace("flash", "fa")
    return f"{NAME}_{re.sub(r'[^a-z0-9]+', '_', short.lower()).replace('flex_attention', 'flex')}"


def plain_of(name: str | None) -> str:
    """The implementation that a name of ours keeps, or the name itself; None: sdpa."""
    return "sdpa" if name is None else _OURS.get(name, name)


def why_not(plain: str, layers: list[torch.nn.Module]) -> str | None:
    """Why an implementation cannot be kept under steering; None: it can."""
    made = ALL_MASK_ATTENTION_FUNCTIONS._global_mapping.get(plain)
    if made not in _FORMS:
        return "its masks have a form of its own"
    if any(_function(plain, layer) is None for layer in layers):
        return "it has no function of its own in transformers' interface"
    return None


def register(plain: str, attention: Callable[..., Any]) -> None:
    """Makes the attention function known to transformers, with the masks of `plain`.

    Without a mask function of its own it would get no padding mask at all.
    """
    name = ours(plain)
    _OURS[name] = plain
    AttentionInterface.register(name, attention)
    AttentionMaskInterface.register(name, _mask_like(plain))


def _mask_like(plain: str) -> Callable[..., Any]:
    theirs = ALL_MASK_ATTENTION_FUNCTIONS[plain]

    def mask(**given: Any) -> Any:
        # whether a mask is needed at all is read from its values, unless that is known
        if not torch.compiler.is_compiling() and _PASS.padded:
            if theirs is sdpa_mask:
                given["allow_is_causal_skip"] = False
            elif theirs is flash_attention_mask and given.get("attention_mask") is not None:
                return given["attention_mask"][:, -given["kv_length"] :]
        return theirs(**given)

    return mask


@contextmanager
def surely_padded(padded: bool) -> Iterator[None]:
    """Inside, passes of this thread have an attention mask only if some row is padded."""
    before, _PASS.padded = _PASS.padded, padded
    try:
        yield
    finally:
        _PASS.padded = before


def keep(layer: torch.nn.Module, plain: str) -> None:
    """Notes on a layer what its plain heads run through; sdpa needs no note."""
    layer.__dict__.pop(PLAIN, None)
    if plain != "sdpa":
        layer.__dict__[PLAIN] = _function(plain, layer), _LayerAs(layer, plain)


def _function(plain: str, layer: torch.nn.Module) -> Callable[..., Any] | None:
    if plain == "eager":  # each family has one of its own
        module = sys.modules.get(type(layer).__module__)
        return getattr(module, "eager_attention_forward", None)
    found: Callable[..., Any] | None = ALL_ATTENTION_FUNCTIONS.get(plain)
    return found


class _As:
    """An object that differs in nothing but what a subclass has."""

    def __init__(self, inner: Any, plain: str) -> None:
        self.inner, self.plain = inner, plain

    def __getattr__(self, name: str) -> Any:
        if name in ("inner", "plain") or name.startswith("__"):  # asked before it is built: a copy
            raise AttributeError(name)
        return getattr(self.inner, name)


class _ConfigAs(_As):
    @property
    def _attn_implementation(self) -> str:
        return self.plain


class _LayerAs(_As):
    """A layer whose config says the implementation's name: flash picks its kernel by that."""

    @property
    def config(self) -> _ConfigAs:
        return _ConfigAs(self.inner.config, self.plain)


def seen_keys(
    mask: Any, query: torch.Tensor, key: torch.Tensor, plain: str, window: int | None
) -> torch.Tensor | None:
    """The keys that each query sees, as `AttentionCall` takes them.

    Args:
        mask: of the plain path, in the form of its implementation.
        query: (B, H, Q, D).
        key: (B, KV, K, D).
        plain: the implementation.
        window: the layer's sliding window; only flash wants it here, the others' masks have it.

    Returns:
        (B or 1, 1, Q, K) bool, True may attend, or additive; None: causal.
    """
    if isinstance(mask, BlockMask):
        return _of_blocks(mask, query.device)
    if ALL_MASK_ATTENTION_FUNCTIONS._global_mapping.get(plain) is not flash_attention_mask:
        return mask  # type: ignore[no-any-return]
    queries, keys = query.shape[2], key.shape[2]
    if mask is None and (window is None or keys <= window) and queries in (1, keys):
        return None
    real = keys if mask is None else mask.shape[1]  # a static cache is longer than what was read
    places = torch.arange(keys, device=query.device)
    last = torch.arange(real - queries, real, device=query.device)[:, None]
    seen = places <= last
    if window is not None:
        seen = seen & (places > last - window)
    if mask is None:
        return seen[None, None]
    return seen & pad(mask.bool(), (0, keys - real))[:, None, None]


def _of_blocks(mask: BlockMask, device: torch.device) -> torch.Tensor:
    """The same mask, dense; made once for all layers that share it."""
    dense: torch.Tensor | None = mask.__dict__.get(NAME)
    if dense is None:
        batch, _, queries, keys = mask.shape
        dense = create_mask(mask.mask_mod, batch, 1, queries, keys, device)
        mask.__dict__[NAME] = dense
    return dense
