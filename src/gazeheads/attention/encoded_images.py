"""Images that were encoded ahead of the pass that reads them.

`generate` encodes images before the first pass and hands over features only; what pixels they
were made of is noted when the model is asked for them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from gazeheads.attention.known_prompts import UnknownPromptError, image_inputs


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """Image inputs and the features a model made of them.

    Attributes:
        inputs: that were encoded.
        first: the first feature.
        count: of features.
        rows: of the features given to the pass, as a multiple of `count`.
    """

    inputs: dict[str, torch.Tensor]
    first: torch.Tensor
    count: int
    rows: int = 1

    def rows_each(self, rows: int) -> int:
        """How many rows of the batch each prompt has."""
        return self.rows if rows % self.rows == 0 else 1


class EncodedImages(threading.local):
    """What `get_image_features` was last given by a thread, and what it gave."""

    def __init__(self) -> None:
        self._image: EncodedImage | None = None

    def keep(self, inputs: Mapping[str, Any], output: Any) -> None:
        """Notes one call."""
        features = _feature_rows(output)
        if features is None:
            self._image = None
            return
        self._image = EncodedImage(image_inputs(inputs), features[0], len(features))

    def of_pass(self, kwargs: Mapping[str, Any]) -> EncodedImage | None:
        """The images behind the features that a pass was given; None if it got pixels itself.

        Raises:
            UnknownPromptError: features whose pixels nobody saw.
        """
        outputs = kwargs.get("mm_encoder_outputs") or {}
        if outputs.get("image") is None:
            return None
        given, known = _feature_rows(outputs["image"]), self._image
        if (
            known is None
            or given is None
            or len(given) % known.count
            or not torch.equal(given[0], known.first)
        ):
            raise UnknownPromptError(
                "steering inputs of unknown geometry: image features were given, not pixels: pass "
                "the processor's inputs to the model, or inputs= and image= to vlm.steer"
            )
        return EncodedImage(known.inputs, known.first, known.count, len(given) // known.count)


def _feature_rows(output: Any) -> torch.Tensor | None:
    """(T, D) of the image features."""
    pooled = getattr(output, "pooler_output", output)
    if isinstance(pooled, list | tuple) and pooled:
        pooled = torch.cat([part.reshape(-1, part.shape[-1]) for part in pooled])
    if not isinstance(pooled, torch.Tensor) or not pooled.numel():
        return None
    return pooled.detach().reshape(-1, pooled.shape[-1])
