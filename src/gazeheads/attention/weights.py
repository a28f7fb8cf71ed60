"""From scores and visible keys to attention weights."""

from __future__ import annotations

import torch


def limit(kinds: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
    """What is left of the visible keys as delta grows: target, else text, else the others."""
    target, text = kinds == 1, kinds == 0
    if visible is None:
        visible = torch.ones_like(target)
    target, text = target & visible, text & visible
    rest = torch.where(text.any(-1, keepdim=True), text, visible)
    return torch.where(target.any(-1, keepdim=True), target, rest)


def softmax(scores: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
    """Softmax in float32 over the visible keys; a query that sees nothing (padding) gets zeros."""
    if visible is None:
        return torch.softmax(scores, -1, dtype=torch.float32)
    weights = torch.softmax(scores.masked_fill(~visible, -torch.inf), -1, dtype=torch.float32)
    return weights.masked_fill(~visible.any(-1, keepdim=True), 0.0)
