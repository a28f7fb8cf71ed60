"""What differs between model families: where image tokens are, and how positions are counted.

A new family is one module with one subclass of `Family`, named in `vlm/loading.py`.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gazeheads.errors import GazeheadsError
from gazeheads.regions import ImageTokens

PIXEL_KEYS = ("pixel_values", "pixel_values_images", "image_patches")


class FamilyError(GazeheadsError):
    """A model or prompt that its family's code cannot handle."""


class Family(ABC):
    """One family of vision-language models; holds no state."""

    model_types: tuple[str, ...] = ()
    shares_prefix = True  # False where the prompt is one bidirectional block
    text_keys: tuple[str, ...] = ()  # inputs of the prompt's length that every forward pass needs

    @abstractmethod
    def image_tokens(
        self,
        config: Any,
        processor: Any,
        inputs: Mapping[str, torch.Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> ImageTokens:
        """Positions and boxes of the image tokens of one unpadded prompt.

        Args:
            config: of the model.
            processor: that made the inputs.
            inputs: of one prompt: input_ids (1, S) and the family's image inputs.
            sizes: (width, height) of each original image.
        """

    def vision(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
        """The image features of one prompt, as the model's own vision call gives them."""
        wanted = inspect.signature(model.base_model.get_image_features).parameters
        own = {name: inputs[name] for name in wanted if name in inputs}
        return model.base_model.get_image_features(**own, return_dict=True)

    def join(self, features: Sequence[Any]) -> Any:
        """Features of several prompts, in the order of the batch's rows, as one."""
        joined = copy.copy(features[0])
        joined.pooler_output = _join([each.pooler_output for each in features])
        deep = [getattr(each, "deepstack_features", None) for each in features]
        if deep[0] is not None:
            joined.deepstack_features = [_join(list(level)) for level in zip(*deep, strict=True)]
        return joined

    def fork_from(self, features: Any) -> int:
        """First layer of the language model that no image features are added after."""
        return len(getattr(features, "deepstack_features", None) or ())

    def positions(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        rows: Sequence[Mapping[str, torch.Tensor]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Position ids of left-padded prompts.

        Args:
            model: the model.
            ids: (B, S) tokens.
            mask: (B, S) 1 for real tokens.
            rows: the inputs of each prompt.

        Returns:
            position ids as the model's forward takes them, last dimension S, and (B,) the
            position of each row's first new token.
        """
        del model, ids, rows
        return (mask.cumsum(-1) - 1).clamp(min=0), mask.sum(-1)

    def next_positions(self, first: torch.Tensor) -> torch.Tensor:
        """Position ids of text tokens, from (B, S) plain positions."""
        return first


def _join(parts: list[Any]) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    return [tensor for part in parts for tensor in part]


def image_positions(config: Any, ids: torch.Tensor) -> torch.Tensor:
    """(T,) indices of the image tokens in (S,) ids."""
    return torch.nonzero(ids == config.image_token_id).flatten()
