"""One attention call: what is computed on parts of its tensors beside the plain path."""

from __future__ import annotations

import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from gazeheads.attention.head_groups import HeadGroup, RowHeads
from gazeheads.attention.intervention import Mode
from gazeheads.attention.weights import limit, softmax, wide, within

CHUNK = 1 << 23  # elements of scores or masks held at once: memory stays linear in the keys
GATHERED = 1 << 24  # elements of a layer's target keys and values that a text may keep gathered


class AttentionCall:
    """The tensors of one attention call.

    Attributes:
        module: the attention layer.
        index: its number.
        query: (B, H, Q, D).
        key, value: (B, KV, K, D), not repeated.
        mask: (B or 1, 1, Q, K) bool, True may attend, or additive; None: causal.
        queries, keys: Q, and how many of the K keys may be seen by any query.
        offset: keys of the sequence that a sliding window has dropped before these.
        n_rep: query heads per key head.
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
        self.n_rep = query.shape[1] // key.shape[1]
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

    def steered(self, groups: list[HeadGroup], output: torch.Tensor) -> torch.Tensor:
        """The plain `output` (B, Q, H, D) with the groups' heads computed anew.

        The tensor itself is written to, or a copy of it where gradients need the plain one.
        """
        if output.requires_grad:
            output = output.clone()
        for group in groups:
            if self.queries > 1:
                for part in group.by_row:
                    self._steer_queries(group, part, output)
            else:
                steered = self._steer_one_query(group)
                output[group.rows, :, group.heads] = steered.to(output.dtype)
        return output

    def _steer_one_query(self, group: HeadGroup) -> torch.Tensor:
        """(n, 1, D): the group's heads in a decode step."""
        if group.mode == "hard" and self._target_in_sight():
            return self._only_target(group)
        weights = self.weights(group)
        value = self.value[group.rows, group.kv_heads, : self.keys]
        return torch.matmul(weights, value.to(weights.dtype))

    def _target_in_sight(self) -> bool:
        """Whether a decode step is sure to see every image token of its row."""
        windowed = getattr(self.module, "sliding_window", None) is not None
        return self.softcap is None and not windowed and self.offset == 0

    def _only_target(self, group: HeadGroup) -> torch.Tensor:
        """(n, 1, D): the hard mode of a decode step; nothing but the target's keys is read."""
        key, value = group.gathered or self._gather(group)
        query = self.query[group.rows, group.heads][:, None]
        return scaled_dot_product_attention(
            query, key, value, attn_mask=group.real, scale=self.scaling
        )[:, 0]

    def _gather(self, group: HeadGroup) -> list[torch.Tensor]:
        rows, kv_heads = group.rows[:, None], group.kv_heads[:, None]
        gathered = [each[rows, kv_heads, group.keys][:, None] for each in (self.key, self.value)]
        if not gathered[0].requires_grad and gathered[0].numel() <= GATHERED:
            group.gathered[:] = gathered
        return gathered

    def weights(self, group: HeadGroup) -> torch.Tensor:
        """(n, 1, K) weights of the last query under the group's bias."""
        query = self.query[group.rows, group.heads, -1:]
        key = self.key[group.rows, group.kv_heads, : self.keys]
        sign = self.signs(group.key_sign)[:, None]
        visible = self.visible(group.rows, self.queries - 1, self.queries)
        return self._biased(group.mode, query, key, sign, group.delta, visible)

    def signs(self, key_sign: torch.Tensor) -> torch.Tensor:
        """(..., K): the sign of each key of this layer; generated tokens count as text."""
        sign = key_sign[..., self.offset : self.offset + self.keys]
        missing = self.keys - sign.shape[-1]
        return pad(sign, (0, missing)) if missing else sign

    def _biased(
        self,
        mode: Mode,
        query: torch.Tensor,
        key: torch.Tensor,
        sign: torch.Tensor,
        delta: torch.Tensor | float,
        visible: torch.Tensor | None,
    ) -> torch.Tensor:
        """(..., Q, K) attention weights under a bias."""
        if mode == "paper":
            # the same operations in the same dtype as an eager model with the bias in its mask
            scores = self.scores(query, key)
            return softmax(scores + (sign * delta).to(scores.dtype), visible).to(query.dtype)
        scores = self.scores(wide(query), wide(key))
        if mode == "within":
            return within(scores, sign, delta, visible)
        if mode == "soft":
            return softmax(scores + sign * delta, visible)
        return softmax(scores, limit(sign, visible))

    def _steer_queries(self, group: HeadGroup, part: RowHeads, output: torch.Tensor) -> None:
        """Overwrites the part's heads for the group's queries of a pass of several."""
        query = self.query[part.row, part.heads]
        key = self.key[part.row, part.kv_heads, : self.keys]
        value = self.value[part.row, part.kv_heads, : self.keys]
        sign = self.signs(part.key_sign)
        explicit = group.mode in ("paper", "within") or self.softcap is not None
        step = max(1, CHUNK // (self.keys * (len(part.heads) if explicit else 1)))
        for start in range(*group.queries, step):
            stop = min(start + step, group.queries[1])
            visible = self.visible(part.row, start, stop)
            some = query[:, start:stop]
            if explicit:
                weights = self._biased(group.mode, some, key, sign, part.delta, visible)
                steered = torch.matmul(weights, value.to(weights.dtype))
            else:
                steered = self._fused(group.mode, part.delta, some, key, value, sign, visible)
            output[part.row, start:stop, part.heads] = steered.transpose(0, 1).to(output.dtype)

    def _fused(
        self,
        mode: Mode,
        delta: float,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        sign: torch.Tensor,
        visible: torch.Tensor | None,
    ) -> torch.Tensor:
        """(h, Q, D) of a soft or hard part, by sdpa with one mask for all its heads."""
        if visible is None:
            visible = torch.ones(1, self.keys, dtype=torch.bool, device=query.device)
        # a query of a padding token sees nothing: let it see anything, nobody reads it
        visible = visible | ~visible.any(-1, keepdim=True)
        if mode == "hard":
            mask = limit(sign, visible)
        else:
            query, key, value = wide(query), wide(key), wide(value)
            mask = (sign * delta).to(query.dtype).masked_fill(~visible, -torch.inf)
        return scaled_dot_product_attention(
            query[None], key[None], value[None], attn_mask=mask, scale=self.scaling
        )[0]

    def last_rows(self, heads: torch.Tensor | None) -> torch.Tensor:
        """(B, h, K) plain weights of the last query.

        Args:
            heads: (h,) which, on the device; None for all.
        """
        batch, count = self.query.shape[:2]
        query = wide(self.query[:, :, -1:])
        key = wide(self.key[:, :, : self.keys])
        if heads is None:
            query = query.reshape(batch, -1, self.n_rep, query.shape[-1])
            scores = self.scores(query, key).reshape(batch, count, 1, self.keys)
        else:
            scores = self.scores(query[:, heads], key[:, heads // self.n_rep])
        rows = torch.arange(batch, device=query.device)
        visible = self.visible(rows, self.queries - 1, self.queries)
        if visible is not None and visible.ndim == 3:
            visible = visible[:, None]
        return softmax(scores, visible)[:, :, 0]

    def every_head(self) -> torch.Tensor:
        """(B, Q, H, D): explicit attention of all heads, for soft-capped models."""
        batch, heads = self.query.shape[:2]
        output = self.query.new_empty(batch, self.queries, heads, self.value.shape[-1])
        step = max(1, CHUNK // (heads * self.keys))
        for row in range(batch):
            key = wide(self.key[row, :, : self.keys]).repeat_interleave(self.n_rep, 0)
            value = wide(self.value[row, :, : self.keys]).repeat_interleave(self.n_rep, 0)
            for start in range(0, self.queries, step):
                stop = min(start + step, self.queries)
                scores = self.scores(wide(self.query[row, :, start:stop]), key)
                weights = softmax(scores, self.visible(row, start, stop))
                part = torch.matmul(weights, value).transpose(0, 1)
                output[row, start:stop] = part.to(output.dtype)
        return output
