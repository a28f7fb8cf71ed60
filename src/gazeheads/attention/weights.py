"""From scores and visible keys to attention weights."""

from __future__ import annotations

import torch


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """In float32, or in float64 if it is already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def limit(key_sign: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
    """What is left of the visible keys as delta grows: target, else text, else the others."""
    target, text = key_sign == 1, key_sign == 0
    if visible is None:
        visible = torch.ones_like(target)
    target, text = target & visible, text & visible
    rest = torch.where(text.any(-1, keepdim=True), text, visible)
    return torch.where(target.any(-1, keepdim=True), target, rest)


def within(
    scores: torch.Tensor,
    key_sign: torch.Tensor,
    delta: torch.Tensor | float,
    visible: torch.Tensor | None,
) -> torch.Tensor:
    """Softmax whose mass on the image is shared out anew among the image's keys alone.

    Args:
        scores: (..., Q, K) before the softmax.
        key_sign: 1 target, -1 the image's others, 0 text.
        delta: strength, may be infinite.
        visible: keys that each query sees; None for all.
    """
    plain = softmax(scores, visible)
    image, others = key_sign != 0, key_sign == -1
    target = key_sign == 1
    seen = image if visible is None else image & visible
    sees_target = (target & seen).any(-1, keepdim=True)
    # +delta and -delta differ from 0 and -2 delta by a constant, which infinity would not survive
    # a number is filled in on the device: a copy from the host would make it wait
    strength = delta.to(scores) if isinstance(delta, torch.Tensor) else scores.new_full((), delta)
    bias = torch.where(others & sees_target, -2 * strength, torch.zeros_like(strength))
    share = softmax(scores + bias, seen)
    mass = plain.masked_fill(~image, 0.0).sum(-1, keepdim=True)
    return torch.where(image & sees_target, share * mass, plain)


def softmax(scores: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
    """Softmax over the visible keys, in float32 at least.

    A query that sees nothing (padding) gets zeros.
    """
    dtype = torch.float64 if scores.dtype == torch.float64 else torch.float32
    if visible is None:
        return torch.softmax(scores, -1, dtype=dtype)
    weights = torch.softmax(scores.masked_fill(~visible, -torch.inf), -1, dtype=dtype)
    return weights.masked_fill(~visible.any(-1, keepdim=True), 0.0)
