"""THE attention function registered with transformers: the plain one, plus what a plan asks for.

Untouched heads, layers and rows go in one call through the function that the model was loaded with
(sdpa, eager, flash, FlexAttention), so a pass without a plan is the plain model bit for bit. Only
the steered (row, head) pairs are computed again beside it, and only the last query's row is
computed for recording.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from gazeheads.attention import flex, implementations
from gazeheads.attention.call import AttentionCall
from gazeheads.attention.head_groups import HeadGroup
from gazeheads.attention.implementations import PLAIN, seen_keys
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.state import ForwardState

STATE = "_gazeheads_state"
"""Attribute of an attention layer: the `ForwardState` of its model."""


def register(plain: str) -> None:
    """Makes the function known to transformers, with plain heads that run as `plain`."""
    implementations.register(plain, partial(gaze_attention, plain=plain))


def gaze_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    plain: str = "sdpa",
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one layer, steered and recorded as the current pass's plan says.

    Args:
        module: the attention layer.
        query: (B, H, Q, D).
        key, value: (B, KV, K, D), not repeated.
        attention_mask: in the form of the plain path's implementation.
        dropout, scaling, kwargs: as transformers passes them.
        plain: the implementation of the plain path.

    Returns:
        (B, Q, H, D) and None.
    """
    output = _plain(module, query, key, value, attention_mask, dropout, scaling, plain, **kwargs)
    state: ForwardState | None = module.__dict__.get(STATE)
    if state is None:
        return output, None
    if torch.compiler.is_compiling():
        return _edited_uncompiled(
            state, module, query, key, value, attention_mask, scaling, plain, kwargs, output
        ), None
    plan = state.consult()
    if plan is None:
        return output, None
    return _edited(
        plan, module, query, key, value, attention_mask, scaling, plain, kwargs, output
    ), None


def _edited(
    plan: ForwardPlan,
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: Any,
    scaling: float | None,
    plain: str,
    kwargs: dict[str, Any],
    output: torch.Tensor,
) -> torch.Tensor:
    """The plain output with the steered heads computed anew; also records."""
    index = int(module.layer_idx)  # type: ignore[arg-type]
    groups = plan.steered(index, query.shape[2], query.shape[1] // key.shape[1], query.device)
    recorder = plan.recording
    if not groups and recorder is None:
        return output
    seen = seen_keys(mask, query, key, plain, kwargs.get("sliding_window"))
    call = AttentionCall(
        module, query, key, value, seen, scaling, kwargs.get("softcap"), plan.total
    )
    if groups and plan.gate is None:
        output = _steered(plan, call, groups, output)
    elif groups and plan.gate is not None:
        # lerp gives exactly its ends at 0 and 1; the plain end must not be written to
        gate = plan.gate[:, index, None, :, None].to(output)
        output = torch.lerp(output, _steered(plan, call, groups, output.clone()), gate)
    if recorder is not None:
        recorder.record(call, groups, plan.streams(index))
    return output


def _steered(
    plan: ForwardPlan, call: AttentionCall, groups: list[HeadGroup], output: torch.Tensor
) -> torch.Tensor:
    """The plain output with the groups' heads computed anew, each by the kernel chosen for it."""
    by_flex = [each for each in groups if plan.kernel == "flex" and flex.takes(call, each)]
    output = call.steered([each for each in groups if each not in by_flex], output)
    for group in by_flex:
        output = flex.steered(call, group, output)
    return output


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _edited_uncompiled(state: ForwardState, module: torch.nn.Module, *rest: Any) -> torch.Tensor:
    """The edit between two compiled parts of the model: a plan is never compiled in."""
    plan = state.consult()
    output: torch.Tensor = rest[-1]
    return output if plan is None else _edited(plan, module, *rest)


def _plain(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float,
    scaling: float | None,
    plain: str,
    **kwargs: Any,
) -> torch.Tensor:
    """(B, Q, H, D): the plain model's attention of every head."""
    if plain != "sdpa":
        theirs, layer = module.__dict__[PLAIN]
        output: torch.Tensor = theirs(
            layer, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )[0]
        return output
    if kwargs.get("softcap") is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )[0]
    # sdpa refuses softcap, so every head takes the explicit path
    call = AttentionCall(module, query, key, value, attention_mask, scaling, kwargs["softcap"])
    return call.every_head()
