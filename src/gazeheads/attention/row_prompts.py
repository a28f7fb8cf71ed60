"""Which known prompt each row of a batch is, from its token ids and its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from gazeheads.attention.known_prompts import (
    KnownPrompt,
    RowImages,
    UnknownPromptError,
    image_inputs,
)

if TYPE_CHECKING:
    from gazeheads.attention.state import ForwardState


class RowPrompts:
    """Which known prompt each row of a batch is.

    Attributes:
        padding: per row, tokens before its prompt.
        prompt_length: of the batch, padding included; an answer may follow.
    """

    def __init__(self, state: ForwardState, ids: torch.Tensor, kwargs: Mapping[str, Any]) -> None:
        self._state, self._ids = state, ids
        real = _real_tokens(ids, kwargs.get("attention_mask"))
        self.padding = real.int().argmax(1).tolist()
        self._lengths = real.sum(1).tolist()
        self.prompt_length = ids.shape[1]
        images = state.images.of_pass(kwargs)
        self._expanded = 1 if images is None else images.rows_each(len(ids))
        inputs = image_inputs(kwargs) if images is None else images.inputs
        self._images = RowImages(inputs, len(ids) // self._expanded)
        self._latest: list[KnownPrompt] = []

    def of(self, row: int, needed: bool) -> list[KnownPrompt]:
        """The known prompts that the row may be, all with its ids and its images."""
        if row % self._expanded:  # a beam: the same prompt again
            return self._latest
        start = self.padding[row]
        ids = self._ids[row, start : start + self._lengths[row]]
        candidates = self._candidates(row, ids)
        prompts = self._images.take(candidates)
        # after an unknown row nobody knows where the images of the next one begin
        if not prompts and (needed or len(self._ids) > 1):
            raise UnknownPromptError(self._why(ids, candidates))
        self._latest = prompts
        return prompts

    def _candidates(self, row: int, ids: torch.Tensor) -> list[KnownPrompt]:
        """Prompts of a row's ids, or that they begin with: an answer may already follow."""
        known = self._state.prompts
        if exact := known.of_ids(ids):
            return exact
        prompts = known.beginning(ids)
        if not prompts:
            return []
        length = self.padding[row] + prompts[0].length
        if row and length != self.prompt_length:
            raise UnknownPromptError(
                "the prompts of a batch end at different places: pad them on the left, and give "
                "them answers of one length or none"
            )
        self.prompt_length = length
        return prompts

    def _why(self, ids: torch.Tensor, candidates: Sequence[KnownPrompt]) -> str:
        advice = "make them with vlm.encode, or pass inputs= and image= to vlm.steer"
        if candidates:
            return (
                "steering inputs of unknown geometry: the token ids are known, but with other "
                f"pixels (another image, or another processor): {advice}"
            )
        if self._state.prompts.begins(ids):
            return (
                "the prompt was read in parts (prefill_chunk_size): steering needs it in one pass; "
                "leave prefill_chunk_size out"
            )
        return f"steering inputs of unknown geometry: {advice}"


def _real_tokens(ids: torch.Tensor, mask: Any) -> torch.Tensor:
    """(B, S) bool: which tokens are no padding."""
    if isinstance(mask, dict):
        mask = next((each for each in mask.values() if each is not None), None)
    if not isinstance(mask, torch.Tensor):
        return torch.ones_like(ids, dtype=torch.bool)
    length = ids.shape[1]
    if mask.ndim == 4:
        # the last token sees every real one
        last = mask[:, 0, length - 1, :length]
        seen = last if last.dtype == torch.bool else last > torch.finfo(last.dtype).min / 2
        return seen.expand(len(ids), -1).to(ids.device)
    return mask[:, :length].bool().to(ids.device)
