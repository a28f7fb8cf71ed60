"""Prompts as one left-padded batch that shares vision passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from gazeheads.models.families.family import Family
from gazeheads.models.inputs import Inputs
from gazeheads.regions import ImageTokens


@dataclass(frozen=True, eq=False)
class Batch:
    """Prompts padded on the left to one length.

    Attributes:
        ids: (B, S) token ids.
        mask: (B, S) 1 for real tokens.
        positions: position ids for the model.
        following: (B,) position of each row's first new token.
        features: image features of each row; rows of one image hold the same object.
        extra: further inputs of shape (B, S).
        tokens: image tokens of each row, at their positions in the padded row.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    following: torch.Tensor
    features: tuple[Any, ...]
    extra: dict[str, torch.Tensor]
    tokens: tuple[ImageTokens, ...]

    @cached_property
    def padded(self) -> bool:
        """Whether any row has padding."""
        return not bool(self.mask.all())

    @property
    def rows(self) -> int:
        """Number of prompts."""
        return len(self.ids)

    @cached_property
    def alike(self) -> bool:
        """Whether all rows are the same prompt about the same image."""
        same_image = all(each is self.features[0] for each in self.features)
        return same_image and bool((self.ids == self.ids[0]).all() and (self.mask == 1).all())

    def select(self, rows: list[int]) -> Batch:
        """A batch of some of the rows, in that order."""
        index = torch.tensor(rows, device=self.ids.device)
        return Batch(
            self.ids[index],
            self.mask[index],
            self.positions.index_select(self.positions.ndim - 2, index),
            self.following[index],
            tuple(self.features[row] for row in rows),
            {name: tensor[index] for name, tensor in self.extra.items()},
            tuple(self.tokens[row] for row in rows),
        )

    def forward_inputs(self, family: Family) -> dict[str, Any]:
        """Arguments of the model's forward pass for the whole prompts."""
        return {
            "input_ids": self.ids,
            # without padding sdpa runs without a mask, on its fastest path
            "attention_mask": self.mask if self.padded else None,
            "position_ids": self.positions,
            "mm_encoder_outputs": {"image": family.join(self.features)},
            **self.extra,
        }


def vision_once(
    family: Family, model: Any, rows: Sequence[Inputs], device: torch.device
) -> tuple[Any, ...]:
    """Image features of each row; rows that show the same pixels share one vision pass."""
    seen: list[tuple[dict[str, Any], Any]] = []
    features: list[Any] = []
    for row in rows:
        inputs = family.vision_inputs(model, row.inputs)
        of_row = next((f for known, f in seen if _same(known, inputs)), None)
        if of_row is None:
            of_row = family.vision(model, {k: v.to(device) for k, v in row.inputs.items()})
            seen.append((inputs, of_row))
        features.append(of_row)
    return tuple(features)


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(
        b[name] is tensor or (b[name].shape == tensor.shape and torch.equal(b[name], tensor))
        for name, tensor in a.items()
    )


def left_pad(rows: Sequence[torch.Tensor], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, S) of the rows with `fill` before the shorter ones, and the (B, S) mask of real ones."""
    longest = max(len(row) for row in rows)
    padded = rows[0].new_full((len(rows), longest), fill)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        padded[i, longest - len(row) :] = row
        mask[i, longest - len(row) :] = 1
    return padded, mask


def make_batch(
    family: Family,
    model: Any,
    rows: Sequence[Inputs],
    pad: int,
    device: torch.device,
    lengths: Sequence[int] | None = None,
) -> Batch:
    """Puts prompts into one batch.

    Args:
        family, model: whose inputs they are.
        rows: the prompts.
        pad: token id to pad with.
        device: of the model's inputs.
        lengths: keep only so many tokens of each prompt, from its beginning.
    """
    kept = [len(row) for row in rows] if lengths is None else list(lengths)
    ids, mask = left_pad([row.ids[:n] for row, n in zip(rows, kept, strict=True)], pad)
    ids, mask = ids.to(device), mask.to(device)
    extra: dict[str, torch.Tensor] = {}
    for name in family.text_keys:
        if name in rows[0].inputs:
            parts = [row.inputs[name][0, :n] for row, n in zip(rows, kept, strict=True)]
            extra[name] = left_pad(parts, 0)[0].to(device)
    positions, following = family.positions(model, ids, mask, [row.inputs for row in rows])
    return Batch(
        ids,
        mask,
        positions,
        following,
        vision_once(family, model, rows, device),
        extra,
        tuple(row.tokens.shifted(ids.shape[1] - n) for row, n in zip(rows, kept, strict=True)),
    )
