"""One attention call: what is computed on parts of its tensors beside the plain path."""

from __future__ import annotations

import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from gazeheads.attention.groups import Group, Part
from gazeheads.attention.plan import Mode
from gazeheads.attention.weights import limit, softmax

CHUNK = 1 << 23  # elements of scores or masks held at once: memory stays linear in the keys


class Layer:
    """The tensors of one attention call.

    Attributes:
        module: the attention layer.
        index: its number.
        query: (B, H, Q, D).
        key, value: (B, KV, K, D), not repeated.
        mask: (B or 1, 1, Q, K) bool, True may attend, or additive; None: causal.
        queries, keys: Q, and how many of the K keys may be seen by any query.
        offset: keys of the sequence that a sliding window has dropped before these.
        repeat: query heads per key head.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scaling: float | None,
        softcap: float | None = None,
        total: int = 0,
    ) -> None:
        """Args beyond the attributes: score scaling and softcap; `total` keys seen so far."""
        self.module = module
        self.index = int(module.layer_idx)  # type: ignore[arg-type]
        self.query, self.key, self.value, self.mask = query, key, value, mask
        self.scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        self.softcap = softcap
        self.repeat = query.shape[1] // key.shape[1]
        self.queries = query.shape[2]
        self.keys = key.shape[2]
        if mask is None and self.queries > 1:
            # a fresh static cache is longer than what was written to it
            self.keys = min(self.keys, self.queries)
        self.offset = max(0, total - key.shape[2])

    def visible(self, row: int | torch.Tensor, start: int, stop: int) -> torch.Tensor | None:
        """(..., stop - start, K) bool: keys that queries start..stop of a row, or of rows, see."""
        if self.mask is None:
            if self.queries == 1:
                return None
            queries = torch.arange(start, stop, device=self.query.device)
            keys = torch.arange(self.keys, device=self.query.device)
            return queries[:, None] >= keys[None, :]
        part = self.mask[row if self.mask.shape[0] > 1 else 0, 0, start:stop, : self.keys]
        return part if part.dtype == torch.bool else part > torch.finfo(part.dtype).min / 2

    def scores(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        """Scaled (and soft-capped) scores of (..., Q, D) against (..., K, D), in their dtype."""
        scores = torch.matmul(query, key.transpose(-1, -2)) * self.scaling
        if self.softcap is not None:
            scores = torch.tanh(scores / self.softcap) * self.softcap
        return scores

    def steer(self, group: Group, output: torch.Tensor) -> None:
        """Overwrites the group's heads in the plain `output` (B, Q, H, D)."""
        if self.queries > 1:
            for part in group.parts:
                self._steer_prompt(part, output)
            return
        if group.mode == "hard" and self._target_in_sight():
            steered = self._only_target(group)
        else:
            weights = self.weights(group)
            value = self.value[group.rows, group.shared, : self.keys]
            steered = torch.matmul(weights, value.to(weights.dtype))
        output[group.rows, :, group.heads] = steered.to(output.dtype)

    def _target_in_sight(self) -> bool:
        """Whether a decode step is sure to see every image token of its row."""
        windowed = getattr(self.module, "sliding_window", None) is not None
        return self.softcap is None and not windowed and self.offset == 0

    def _only_target(self, group: Group) -> torch.Tensor:
        """(n, 1, D): the hard mode of a decode step; nothing but the target's keys is read."""
        rows, shared = group.rows[:, None], group.shared[:, None]
        return scaled_dot_product_attention(
            self.query[group.rows, group.heads][:, None],
            self.key[rows, shared, group.keys][:, None],
            self.value[rows, shared, group.keys][:, None],
            attn_mask=group.real,
            scale=self.scaling,
        )[:, 0]

    def weights(self, group: Group) -> torch.Tensor:
        """(n, 1, K) weights of the last query under the group's bias."""
        query = self.query[group.rows, group.heads, -1:]
        key = self.key[group.rows, group.shared, : self.keys]
        kinds = self._kinds(group.kinds)[:, None]
        visible = self.visible(group.rows, self.queries - 1, self.queries)
        return self._biased(group.mode, query, key, kinds, group.delta, visible)

    def _kinds(self, kinds: torch.Tensor) -> torch.Tensor:
        """(..., K): the kind of each key of this layer; generated tokens count as text."""
        own = kinds[..., self.offset : self.offset + self.keys]
        missing = self.keys - own.shape[-1]
        return pad(own, (0, missing)) if missing else own

    def _biased(
        self,
        mode: Mode,
        query: torch.Tensor,
        key: torch.Tensor,
        kinds: torch.Tensor,
        delta: torch.Tensor | float,
        visible: torch.Tensor | None,
    ) -> torch.Tensor:
        """(..., Q, K) attention weights under a bias."""
        if mode == "paper":
            # the same operations in the same dtype as an eager model with the bias in its mask
            scores = self.scores(query, key)
            return softmax(scores + (kinds * delta).to(scores.dtype), visible).to(query.dtype)
        scores = self.scores(query.float(), key.float())
        if mode == "soft":
            return softmax(scores + kinds * delta, visible)
        return softmax(scores, limit(kinds, visible))

    def _steer_prompt(self, part: Part, output: torch.Tensor) -> None:
        """Overwrites the part's heads for all queries of a prefill."""
        query = self.query[part.row, part.heads]
        key = self.key[part.row, part.shared, : self.keys]
        value = self.value[part.row, part.shared, : self.keys]
        kinds = self._kinds(part.kinds)
        explicit = part.mode == "paper" or self.softcap is not None
        step = max(1, CHUNK // (self.keys * (len(part.heads) if explicit else 1)))
        for start in range(0, self.queries, step):
            stop = min(start + step, self.queries)
            visible = self.visible(part.row, start, stop)
            some = query[:, start:stop]
            if explicit:
                weights = self._biased(part.mode, some, key, kinds, part.delta, visible)
                steered = torch.matmul(weights, value.to(weights.dtype))
            else:
                steered = self._fused(part, some, key, value, kinds, visible)
            output[part.row, start:stop, part.heads] = steered.transpose(0, 1).to(output.dtype)

    def _fused(
        self,
        part: Part,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kinds: torch.Tensor,
        visible: torch.Tensor | None,
    ) -> torch.Tensor:
        """(h, Q, D) of a soft or hard part, by sdpa with one mask for all its heads."""
        if visible is None:
            visible = torch.ones(1, self.keys, dtype=torch.bool, device=query.device)
        # a query of a padding token sees nothing: let it see anything, nobody reads it
        visible = visible | ~visible.any(-1, keepdim=True)
        if part.mode == "hard":
            mask = limit(kinds, visible)
        else:
            query, key, value = query.float(), key.float(), value.float()
            mask = (kinds * part.delta).masked_fill(~visible, -torch.inf)
        return scaled_dot_product_attention(
            query[None], key[None], value[None], attn_mask=mask, scale=self.scaling
        )[0]

    def last_rows(
        self, heads: list[int] | None, steered: list[tuple[Group, torch.Tensor]]
    ) -> torch.Tensor:
        """(B, h, K) weights of the last query.

        Args:
            heads: which; None for all.
            steered: groups with their (n, K) weights, which replace the plain ones.
        """
        batch, count = self.query.shape[:2]
        query = self.query[:, :, -1:].float()
        key = self.key[:, :, : self.keys].float()
        if heads is None:
            query = query.reshape(batch, -1, self.repeat, query.shape[-1])
            scores = self.scores(query, key).reshape(batch, count, 1, self.keys)
        else:
            scores = self.scores(query[:, heads], key[:, [head // self.repeat for head in heads]])
        rows = torch.arange(batch, device=query.device)
        visible = self.visible(rows, self.queries - 1, self.queries)
        if visible is not None and visible.ndim == 3:
            visible = visible[:, None]
        weights = softmax(scores, visible)[:, :, 0]
        numbers = list(range(count)) if heads is None else heads
        for group, own in steered:
            for i, (row, head) in enumerate(
                zip(group.rows.tolist(), group.heads.tolist(), strict=True)
            ):
                if head in numbers:
                    weights[row, numbers.index(head)] = own[i]
        return weights

    def every_head(self) -> torch.Tensor:
        """(B, Q, H, D): explicit attention of all heads, for soft-capped models."""
        batch, heads = self.query.shape[:2]
        output = self.query.new_empty(batch, self.queries, heads, self.value.shape[-1])
        step = max(1, CHUNK // (heads * self.keys))
        for row in range(batch):
            key = self.key[row, :, : self.keys].float().repeat_interleave(self.repeat, 0)
            value = self.value[row, :, : self.keys].float().repeat_interleave(self.repeat, 0)
            for start in range(0, self.queries, step):
                stop = min(start + step, self.queries)
                scores = self.scores(self.query[row, :, start:stop].float(), key)
                weights = softmax(scores, self.visible(row, start, stop))
                part = torch.matmul(weights, value).transpose(0, 1)
                output[row, start:stop] = part.to(output.dtype)
        return output
