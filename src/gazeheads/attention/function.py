"""THE attention function registered with transformers: plain sdpa, plus what a plan asks for.

Untouched heads, layers and rows go through transformers' own sdpa function in one call, so an
empty plan is the plain model bit for bit. Only the steered (row, head) pairs are computed again
beside it, and only the last query's row is computed for recording.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from gazeheads.attention.call import Layer
from gazeheads.attention.recorder import record
from gazeheads.attention.state import current_run

NAME = "gaze"  # must not contain "flash": transformers tests for the substring


def register() -> None:
    """Makes the function known to transformers under `NAME`, with sdpa's masks."""
    AttentionInterface.register(NAME, gaze_attention)
    # without a mask function of its own the attention function would get no padding mask at all
    AttentionMaskInterface.register(NAME, sdpa_mask)


def gaze_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer, steered and recorded as the current run says.

    Args:
        module: the attention layer.
        query: (B, H, Q, D).
        key, value: (B, KV, K, D), not repeated.
        attention_mask: (B or 1, 1, Q, K) bool, True may attend, or additive; None: causal.
        dropout, scaling, kwargs: as transformers passes them.

    Returns:
        (B, Q, H, D) and None.
    """
    run = current_run()
    output, nothing = _plain(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
    if run is None or getattr(module, "config", None) is not run.text_config:
        return output, nothing
    index = int(module.layer_idx)  # type: ignore[arg-type]
    groups = run.steered(index, query.shape[1] // key.shape[1], query.device)
    recording = run.recording if run.recording is not None and run.recording.active else None
    if not groups and recording is None:
        return output, nothing
    softcap = kwargs.get("softcap")
    layer = Layer(module, query, key, value, attention_mask, scaling, softcap, run.total)
    for group in groups:
        layer.steer(group, output)
    if recording is not None:
        record(recording, layer, groups, run.streams(index))
    return output, nothing


def _plain(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The plain model's attention of every head."""
    if kwargs.get("softcap") is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    # sdpa refuses softcap, so every head takes the explicit path
    layer = Layer(module, query, key, value, attention_mask, scaling, kwargs["softcap"])
    return layer.every_head(), None
