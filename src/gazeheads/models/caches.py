"""KV caches of rows that join and leave a batch between tokens.

Rows stand with their last token in the last column: what is missing before a shorter one is
padding that the attention mask hides. States of linear-attention layers have no columns and are put
side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers.cache_utils import (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionCacheLayerMixin,
    LinearAttentionLayer,
)

from gazeheads.attention.transfer import to_device

KNOWN = (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
)
"""Layers whose parts are known here; a subclass may hold more."""


def can_join(cache: Any) -> bool:
    """Whether rows of a cache can be put into one batch with rows of another."""
    layers = getattr(cache, "layers", None) or []
    return len(layers) > 0 and all(type(layer) in KNOWN for layer in layers)


def joined(caches: Sequence[Any], lengths: Sequence[int]) -> Any:
    """One cache with the rows of several, in order.

    Args:
        caches: of one model, each as `can_join` takes it.
        lengths: how many tokens each has seen, padding included.
    """
    if len(caches) == 1:
        return caches[0]
    longest = max(lengths)
    out = copy.copy(caches[0])
    out.layers = [
        _joined_layer([cache.layers[i] for cache in caches], longest)
        for i in range(len(caches[0].layers))
    ]
    return out


def selected(cache: Any, rows: Sequence[int], dropped: int = 0) -> Any:
    """A cache of some of the rows; the given one stays as it is.

    Args:
        cache: as `can_join` takes it.
        rows: their numbers.
        dropped: columns that are padding in all of them, to be left out.
    """
    out = copy.copy(cache)
    out.layers = [_selected_layer(layer, rows, dropped) for layer in cache.layers]
    return out


def _joined_layer(layers: Sequence[Any], longest: int) -> Any:
    out = _copied(layers[0])
    if isinstance(out, LinearAttentionCacheLayerMixin):
        for states in ("conv_states", "recurrent_states"):
            of_each = [getattr(layer, states) for layer in layers]
            for i, state in of_each[0].items():
                if state is not None:
                    getattr(out, states)[i] = torch.cat([states[i] for states in of_each])
    if _has_keys(out):
        columns = max(layer.keys.shape[-2] for layer in layers)
        for name in ("keys", "values"):
            parts = [getattr(layer, name) for layer in layers]
            wide = [pad(part, (0, 0, columns - part.shape[-2], 0)) for part in parts]
            setattr(out, name, torch.cat(wide))
        if isinstance(out, DynamicSlidingWindowLayer):
            out.cumulative_length = longest
    return out


def _selected_layer(layer: Any, rows: Sequence[int], dropped: int) -> Any:
    out = _copied(layer)
    out.reorder_cache(to_device(list(rows), layer.device))
    if not dropped or not _has_keys(out):
        return out
    kept = out.keys.shape[-2] - dropped
    if isinstance(out, DynamicSlidingWindowLayer):
        out.cumulative_length -= dropped
        kept = min(out.cumulative_length, out.sliding_window - 1)
    out.keys, out.values = out.keys[..., -kept:, :], out.values[..., -kept:, :]
    return out


def _copied(layer: Any) -> Any:
    out = copy.copy(layer)
    for states in ("conv_states", "recurrent_states"):
        if hasattr(out, states):
            setattr(out, states, dict(getattr(out, states)))
    return out


def _has_keys(layer: Any) -> bool:
    """Whether a layer holds keys: not where it shares those of another."""
    return isinstance(getattr(layer, "keys", None), torch.Tensor)
