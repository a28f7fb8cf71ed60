"""Steered heads by FlexAttention: an alternative to the second path, chosen by `state.kernel`.

Heads, target and strength are data that a score function reads, so nothing is compiled again when
they change, and a captured graph may be replayed with others. It computes every head of the layer
and keeps the steered ones; the plain ones stay what they are, bit for bit. Modes soft and hard.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn.attention.flex_attention import flex_attention

from gazeheads.attention.transfer import to_device

if TYPE_CHECKING:
    from gazeheads.attention.call import AttentionCall
    from gazeheads.attention.head_groups import HeadGroup

Kernel = Literal["second", "flex"]
KERNELS: tuple[Kernel, ...] = ("second", "flex")
_ALL = 2  # of a query's rule: it sees what the plain model lets it see


def takes(call: AttentionCall, group: HeadGroup) -> bool:
    """Whether a group can be computed here; the others stay on the second path."""
    return group.mode in ("soft", "hard") and call.softcap is None


def steered(call: AttentionCall, group: HeadGroup, output: torch.Tensor) -> torch.Tensor:
    """The plain `output` (B, Q, H, D) with the group's heads computed anew."""
    owner, flags, sign, delta = _data(call, group)
    start, stop = group.queries
    seen = _seen(call, start, stop)
    sign = call.signs(sign)
    change = (
        _hard(owner, flags, sign, _rules(sign, seen), seen)
        if group.mode == "hard"
        else _soft(owner, flags, sign, delta, seen)
    )
    attention: Any = _compiled() if output.is_cuda else flex_attention
    made: Any = attention(
        call.query[:, :, start:stop],
        call.key[:, :, : call.keys],
        call.value[:, :, : call.keys],
        score_mod=change,
        scale=call.scaling,
        enable_gqa=call.n_rep > 1,
    )
    part = torch.where(flags[:, None, :, None], made.transpose(1, 2), output[:, start:stop])
    if start == 0 and stop == output.shape[1]:
        return part
    return torch.cat([output[:, :start], part, output[:, stop:]], 1)


@cache
def _compiled() -> Callable[..., Any]:
    made: Callable[..., Any] = torch.compile(flex_attention)
    return made


def _data(call: AttentionCall, group: HeadGroup) -> tuple[torch.Tensor, ...]:
    """Of whom each head is (B, H), whether it is steered (B, H), signs (E, P), strengths (E,)."""
    if not group.flex:
        shape = call.query.shape[:2]
        owner, flags = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
        owner[group.pairs[:, 0], group.pairs[:, 1]] = group.edits
        flags[group.pairs[:, 0], group.pairs[:, 1]] = True
        delta = np.array([part.delta for part in group.by_row], dtype=np.float32)
        device = call.query.device
        sign = torch.stack([part.key_sign for part in group.by_row])
        made = to_device(owner, device), to_device(flags, device), sign, to_device(delta, device)
        group.flex.extend(made)
    return tuple(group.flex)


def _seen(call: AttentionCall, start: int, stop: int) -> torch.Tensor:
    """(B, Q, K) bool: the keys that each query sees."""
    rows = torch.arange(call.query.shape[0], device=call.query.device)
    seen = call.visible(rows, start, stop)
    if seen is None:
        seen = torch.ones(1, 1, dtype=torch.bool, device=call.query.device)
    # a query of a padding token sees nothing: let it see anything, nobody reads it
    seen = seen | ~seen.any(-1, keepdim=True)
    return seen.expand(len(rows), stop - start, call.keys)


def _rules(sign: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """(E, B, Q): the sign of the keys that a query attends to as delta grows; `_ALL`: all.

    The limit's own order: the target if any of it is in sight, else text, else what is seen.
    """
    target = (seen & (sign == 1)[:, None, None]).any(-1)
    text = (seen & (sign == 0)[:, None, None]).any(-1)
    rule = torch.where(text, 0, _ALL)
    return torch.where(target, 1, rule)


def _soft(
    owner: torch.Tensor,
    flags: torch.Tensor,
    sign: torch.Tensor,
    delta: torch.Tensor,
    seen: torch.Tensor,
) -> Callable[..., torch.Tensor]:
    def change(
        score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor
    ) -> torch.Tensor:
        whose = owner[b, h]
        bias = torch.where(flags[b, h], sign[whose, k] * delta[whose], 0.0)
        return torch.where(seen[b, q, k], score + bias, -torch.inf)

    return change


def _hard(
    owner: torch.Tensor,
    flags: torch.Tensor,
    sign: torch.Tensor,
    rules: torch.Tensor,
    seen: torch.Tensor,
) -> Callable[..., torch.Tensor]:
    def change(
        score: torch.Tensor, b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor
    ) -> torch.Tensor:
        whose = owner[b, h]
        rule = rules[whose, b, q]
        kept = (rule == _ALL) | (sign[whose, k] == rule) | ~flags[b, h]
        return torch.where(seen[b, q, k] & kept, score, -torch.inf)

    return change
