"""Heads that are not needed are pruned while comic-tiny learns, so that few do the looking.

Left alone, so small a task spreads over all heads: most of them fetch the same panel. What a head
is worth is measured as the first-order change of the loss if its output were removed; the head
worth least goes first, and the others take over what it did. A pruned head stays in the files with
zero weights: it looks at everything alike and says nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PRUNING = (0.75, 0.92)
"""Shares of the curriculum between which heads are pruned."""
MEMORY = 0.98
"""How much of a head's measured worth is kept from step to step."""


class HeadPruner:
    """Measures what each head is worth and prunes the least worthy.

    Which heads are alive is read from the weights, so that a resumed run goes on where it stopped.

    Args:
        model: A Qwen3-VL model; its language model's heads are pruned.
        keep: Heads left alive at the end.
    """

    def __init__(self, model: Any, keep: int):
        self._layers = [layer.self_attn for layer in model.model.language_model.layers]
        self._heads = int(model.config.text_config.num_attention_heads)
        self._keep = keep
        lengths = [self._outputs(a.o_proj.weight).norm(dim=(0, 2)) for a in self._layers]
        self.alive = torch.stack(lengths).detach() > 0  # (L, H)
        self._worth = torch.zeros(self.alive.shape)

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Measure, prune what is due at this share of the curriculum, and keep the dead silent.

        Called after a step of the optimiser, while the gradients are still there.
        """
        self._measure()
        due = int(self.alive.sum()) - self._alive_at(share)
        for _ in range(due):
            worth = self._worth.masked_fill(~self.alive, torch.inf)
            self.alive.view(-1)[worth.argmin()] = False
        if not self.alive.all():
            self._silence()

    def _alive_at(self, share: float) -> int:
        begin, end = PRUNING
        done = min(max((share - begin) / (end - begin), 0.0), 1.0)
        total = self.alive.numel()
        return total - round(done * max(total - self._keep, 0))

    def _measure(self) -> None:
        for worth, attention in zip(self._worth, self._layers, strict=True):
            weight = attention.o_proj.weight
            change = self._outputs(weight * weight.grad).sum(dim=(0, 2)).abs()
            worth.mul_(MEMORY).add_(change, alpha=1 - MEMORY)

    def _silence(self) -> None:
        for alive, attention in zip(self.alive, self._layers, strict=True):
            self._outputs(attention.o_proj.weight).mul_(alive[None, :, None])
            queries = attention.q_proj.weight
            queries.view(self._heads, -1, queries.shape[1]).mul_(alive[:, None, None])

    def _outputs(self, weight: Tensor) -> Tensor:
        """An output projection by head: (D, H * head_dim) as (D, H, head_dim)."""
        return weight.view(weight.shape[0], self._heads, -1)
