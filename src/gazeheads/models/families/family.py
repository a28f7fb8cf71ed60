"""What differs between model families: where image tokens are, and how positions are counted.

A new family is one class in this folder, named in its `FAMILIES`; docs/families.md tells how.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from gazeheads.errors import GazeheadsError
from gazeheads.regions import ImageTokens

Fit = Literal["squash", "keep", "grid", "crop"]


class FamilyError(GazeheadsError):
    """A model or prompt that its family's code cannot handle."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """One unpadded prompt as its family's processor made it.

    Attributes:
        config: of the model.
        processor: that made the inputs.
        inputs: input_ids (1, S) and the family's image inputs.
        sizes: (width, height) of each image given to the processor.
        positions: (T,) index of each image token in the prompt, ascending.
    """

    config: Any
    processor: Any
    inputs: Mapping[str, torch.Tensor]
    sizes: tuple[tuple[int, int], ...]
    positions: np.ndarray

    @property
    def pixels(self) -> Any:
        """The processor's part that turns images into pixel inputs."""
        return self.processor.image_processor


class Family(ABC):
    """One family of vision-language models; holds no state.

    Attributes:
        name: for people.
        model_types: of the configs it handles.
        unverified: those of them that no tiny model was built of.
        shares_prefix: whether prompts with a common beginning may share its prefill; False where
            the prompt is one bidirectional block.
        unshared: why not, where they may not.
        text_keys: inputs of the prompt's length that every prefill needs.
    """

    name: str = ""
    model_types: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    shares_prefix = True
    unshared: str = "one bidirectional block"
    text_keys: tuple[str, ...] = ()

    def handles(self, config: Any) -> bool:
        """Whether a model of that config is of this family."""
        return getattr(config, "model_type", "") in self.model_types

    @abstractmethod
    def boxes(self, prompt: Prompt) -> list[np.ndarray]:
        """Per image, the (n, 4) boxes of its tokens in their order.

        Boxes are in pixels of the image given to the processor; NaN for a token that stands for
        no part of it (row ends, padding).
        """

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
            sizes: (width, height) of each image given to the processor.

        Raises:
            FamilyError: the prompt has another number of image tokens than its geometry.
        """
        where = image_positions(config, inputs["input_ids"][0]).cpu().numpy()
        boxes = self.boxes(Prompt(config, processor, inputs, tuple(sizes), where))
        if len(boxes) != len(sizes):
            raise FamilyError(f"the prompt has {len(boxes)} images, {len(sizes)} sizes were given")
        counts = [len(of_image) for of_image in boxes]
        if sum(counts) != len(where):
            raise FamilyError(
                f"{self.name}: the prompt has {len(where)} image tokens, the geometry of its "
                f"images {sum(counts)}"
            )
        owners = np.repeat(np.arange(len(boxes)), counts)
        return ImageTokens(where, np.concatenate(boxes), tuple(sizes), owners)

    def text(self, processor: Any, messages: list[dict[str, Any]], **template: Any) -> str:
        """The prompt's text, image placeholders included, as the processor takes it."""
        text: str = processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **template
        )
        return text

    def placeholders(self, processor: Any) -> tuple[str, ...]:
        """What may stand for an image in a prompt's text, before the processor expands it."""
        names = ("image_token", "image_placeholder_token", "boi_token")
        tokens = (getattr(processor, name, None) for name in names)
        return tuple(token for token in tokens if isinstance(token, str) and token)

    def square(self, processor: Any) -> tuple[int, int] | None:
        """(width, height) the model works at when it sees an image as one tile; None: any size."""
        del processor
        return None

    def crops(self, processor: Any) -> bool:
        """Whether the processor cuts off what does not fit its square."""
        del processor
        return False

    def vision_inputs(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """Those of a prompt's inputs that its image features depend on."""
        wanted = inspect.signature(model.base_model.get_image_features).parameters
        return {name: inputs[name] for name in wanted if name in inputs}

    def vision(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
        """The image features of one prompt, as the model's own vision call gives them."""
        pixels = self.vision_inputs(model, inputs)
        return model.base_model.get_image_features(**pixels, return_dict=True)

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


class RopeOfGrid:
    """Positions in three dimensions (time, row, column), counted by the model from its grids.

    Attributes:
        rope_grid: the image input, and argument of `get_rope_index`, that holds the grids.
    """

    rope_grid = "image_grid_thw"

    def positions(
        self,
        model: Any,
        ids: torch.Tensor,
        mask: torch.Tensor,
        rows: Sequence[Mapping[str, torch.Tensor]],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, B, S) positions: time, row, column; see `Family.positions`.

        Computed here and passed to the model, because the model would keep them on itself, where
        two threads overwrite each other's.
        """
        token_types = (ids == model.config.image_token_id).to(torch.int32)
        grids = torch.cat([row[self.rope_grid] for row in rows]).to(ids.device)
        positions, delta = model.base_model.get_rope_index(
            ids, mm_token_type_ids=token_types, attention_mask=mask, **{self.rope_grid: grids}
        )
        return positions, mask.sum(-1) + delta[:, 0].to(mask.device)

    def next_positions(self, first: torch.Tensor) -> torch.Tensor:
        """Text tokens count alike in all three dimensions."""
        return first[None].expand(3, -1, -1)


def _join(parts: list[Any]) -> Any:
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    return [tensor for part in parts for tensor in part]


def image_positions(config: Any, ids: torch.Tensor) -> torch.Tensor:
    """(T,) indices of the image tokens in (S,) ids."""
    return torch.nonzero(ids == config.image_token_id).flatten()
