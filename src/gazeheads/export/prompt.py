"""What the browser needs to turn a picture and a question into the graphs' inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gazeheads.export.errors import ExportError
from gazeheads.export.runner import Exported
from gazeheads.models.inputs import Encoded, ImageLike, open_image, question
from gazeheads.models.vlm import VLM

MARK = "{question}"


@dataclass(frozen=True)
class Template:
    """The text around a question; the image token stands in `before` once.

    Attributes:
        before: up to the question.
        after: from the question on.
    """

    before: str
    after: str

    @classmethod
    def of(cls, vlm: VLM) -> Template:
        """The chat template of a model for one image and one question.

        Raises:
            ExportError: it changes with the question.
        """
        text = vlm.processor.apply_chat_template(
            question(MARK), tokenize=False, add_generation_prompt=True
        )
        before, found, after = text.partition(MARK)
        image = vlm.tokenizer.convert_ids_to_tokens(vlm.model.config.image_token_id)
        if not found or MARK in after or before.count(image) != 1 or image in after:
            raise ExportError(f"the chat template of {vlm.name} is not of the form image, question")
        return cls(before, after)


def prepare(vlm: VLM, image: ImageLike, prompt: str) -> tuple[Encoded, Exported]:
    """One question as the model's own inputs, and as the graphs'."""
    encoded = vlm.encode(image, prompt)
    ids = encoded.ids[None]
    mask = torch.ones_like(ids)
    positions, first = vlm.family.positions(vlm.model, ids, mask, [encoded.inputs])
    exported = Exported(_pixels(vlm, image), encoded.ids.numpy(), positions.numpy(), int(first[0]))
    return encoded, exported


def _pixels(vlm: VLM, image: ImageLike) -> np.ndarray:
    """(R, cell, C, cell, 4) uint8: the picture as the image processor stretches it."""
    processor = vlm.processor.image_processor
    made = processor(
        images=[open_image(image)], do_rescale=False, do_normalize=False, return_tensors="pt"
    )
    patch, merge, frames = processor.patch_size, processor.merge_size, processor.temporal_patch_size
    rows, columns = (int(n) // merge for n in made["image_grid_thw"][0, 1:])
    patches = made["pixel_values"].numpy()
    split = patches.reshape(rows, columns, merge, merge, 3, frames, patch, patch)[:, :, :, :, :, 0]
    cell = patch * merge
    rgb = split.transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows, cell, columns, cell, 3)
    opaque = np.full((*rgb.shape[:-1], 1), 255)
    return np.concatenate([rgb, opaque], -1).clip(0, 255).astype(np.uint8)
