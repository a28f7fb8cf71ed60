"""From image and prompt to model inputs that know where every image token lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from PIL import Image, ImageOps, UnidentifiedImageError

from gazeheads.attention.known_prompts import KnownPrompts, PixelDigest, image_inputs
from gazeheads.errors import GazeheadsError
from gazeheads.models.families.family import Family, Fit
from gazeheads.models.fit import check_crop, choose_fit, fitted, in_original
from gazeheads.regions import ImageTokens

ImageLike = Image.Image | str | os.PathLike[str]


class ImageError(GazeheadsError):
    """An image that cannot be read."""


class EncodingError(GazeheadsError):
    """A prompt that cannot be turned into model inputs, or inputs of unknown geometry."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """One prompt with its images, ready for the model.

    Attributes:
        inputs: tensors for the model's own `generate`, batch of 1.
        tokens: where the image tokens are.
        prompt: the text asked.
        shown: (width, height) of the images as the processor got them; empty: the original ones.
    """

    inputs: dict[str, torch.Tensor]
    tokens: ImageTokens
    prompt: str = ""
    shown: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return self.inputs["input_ids"].shape[1]

    @property
    def ids(self) -> torch.Tensor:
        """(S,) token ids."""
        return self.inputs["input_ids"][0]


Encoded = Inputs
"""The name of 0.1."""


def open_image(image: ImageLike) -> Image.Image:
    """An upright RGB image from a file or from an image of any mode.

    Raises:
        ImageError: missing, corrupt or empty.
    """
    try:
        opened = image if isinstance(image, Image.Image) else Image.open(Path(image))
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, (255, 255, 255, 255))
            upright = Image.alpha_composite(white, upright)
        upright = upright.convert("RGB")
    except FileNotFoundError as error:
        raise ImageError(f"image not found: {image}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {image} is too large to be opened safely: {error}") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise ImageError(f"cannot read image {image}: {error}") from error
    if 0 in upright.size:
        raise ImageError(f"image of {upright.size[0]}x{upright.size[1]} pixels")
    return upright


class Encoder:
    """Makes `Inputs`, and notes them among the prompts whose image tokens are known."""

    def __init__(
        self,
        family: Family,
        config: Any,
        processor: Any,
        fit: Fit | None = None,
        known: KnownPrompts | None = None,
    ) -> None:
        self.family, self.config, self.processor = family, config, processor
        self.fit = choose_fit(fit, family, processor)
        self.known = KnownPrompts() if known is None else known

    def encode(self, images: Sequence[ImageLike], messages: list[dict[str, Any]]) -> Inputs:
        """One prompt: `messages` with an `{"type": "image"}` entry per image, in order."""
        opened = [open_image(image) for image in images]
        shown = [fitted(image, self.fit, self.family, self.processor) for image in opened]
        text = self._text(messages)
        try:
            batch = self.processor(
                text=[text], images=shown, return_tensors="pt", **self._no_second_start(text)
            )
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            raise EncodingError(f"the processor refused the prompt: {error}") from error
        # labels are for training; with them the model would compute a loss
        inputs = {
            name: x for name, x in batch.items() if isinstance(x, torch.Tensor) and name != "labels"
        }
        prompt = " ".join(
            part["text"]
            for message in messages
            for part in message["content"]
            if part["type"] == "text"
        )
        sizes = [image.size for image in opened]
        encoded = self.adopt(inputs, sizes, prompt, [image.size for image in shown])
        if self.fit == "keep":
            check_crop(encoded.tokens, self.family, self.processor)
        return encoded

    def encode_many(self, image: ImageLike, prompts: Sequence[str]) -> list[Inputs]:
        """Several questions about one image; the image is processed once."""
        if not prompts:
            return []
        opened = open_image(image)
        first = self.encode([opened], question(prompts[0]))
        plain_first = self._tokenise(prompts[0])
        out = [first]
        for prompt in prompts[1:]:
            plain = self._tokenise(prompt)
            same = _common_prefix([plain_first, plain])
            cut = len(plain_first) - same
            ids = first.ids.tolist()
            if self.config.image_token_id not in plain[:same] or (
                cut and ids[-cut:] != plain_first[-cut:]
            ):
                out.append(self.encode([opened], question(prompt)))
                continue
            out.append(self._with_tail(first, ids[: len(ids) - cut], plain[same:], prompt))
        return out

    def _with_tail(self, first: Inputs, head: list[int], tail: list[int], prompt: str) -> Inputs:
        """`first` with other text after the part both prompts share."""
        inputs = dict(first.inputs)
        length = inputs["input_ids"].shape[1]
        for name, tensor in first.inputs.items():
            if tensor.shape != (1, length):
                continue
            fill = 1 if name == "attention_mask" else 0
            end = torch.full((1, len(tail)), fill, dtype=tensor.dtype)
            inputs[name] = torch.cat([tensor[:, : len(head)], end], 1)
        inputs["input_ids"] = torch.tensor([head + tail])
        return self.adopt(inputs, first.tokens.sizes, prompt, first.shown)

    def _text(self, messages: list[dict[str, Any]]) -> str:
        try:
            return self.family.text(self.processor, messages)
        except (ValueError, TypeError, TemplateError) as error:
            raise EncodingError(f"the model's chat template failed: {error}") from error

    def _no_second_start(self, text: str) -> dict[str, bool]:
        """Tokeniser options for a template that has written the start token itself."""
        start = self.processor.tokenizer.bos_token
        return {"add_special_tokens": False} if start and text.startswith(start) else {}

    def _tokenise(self, prompt: str) -> list[int]:
        text = self._text(question(prompt))
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    def adopt(
        self,
        inputs: Mapping[str, torch.Tensor],
        sizes: Sequence[tuple[int, int]],
        prompt: str = "",
        shown: Sequence[tuple[int, int]] = (),
    ) -> Inputs:
        """`Inputs` from inputs the processor made for ONE prompt without padding.

        Args:
            inputs: the processor's.
            sizes: (width, height) of the original images.
            prompt: the text asked.
            shown: sizes of the images the processor got, if they were fitted before.
        """
        kept = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        if kept["input_ids"].shape[0] != 1:
            raise EncodingError("adopt one prompt at a time: a batch of inputs was given")
        given = tuple(shown) or tuple(sizes)
        tokens = self.family.image_tokens(self.config, self.processor, kept, given)
        encoded = Inputs(kept, in_original(tokens, tuple(sizes)), prompt, given)
        self.known.add(encoded.inputs, encoded.tokens)
        return encoded

    def made_elsewhere(
        self, inputs: Mapping[str, torch.Tensor], images: Sequence[ImageLike]
    ) -> Inputs:
        """`Inputs` from what the caller's own processor made of images.

        Raises:
            EncodingError: this model's processor makes other pixels of the images, so nobody knows
                where the tokens lie.
        """
        opened = [open_image(image) for image in images]
        given = PixelDigest(inputs)
        for shown in (opened, [self._fitted(image) for image in opened]):
            if given.matches(image_inputs(self._processed(shown))):
                sizes = [image.size for image in opened]
                return self.adopt(inputs, sizes, "", [image.size for image in shown])
        raise EncodingError(
            "inputs= do not come from image= by this model's processor as it is set, so the places "
            "of their tokens are unknown: make them with vlm.encode"
        )

    def _fitted(self, image: Image.Image) -> Image.Image:
        return fitted(image, self.fit, self.family, self.processor)

    def _processed(self, images: Sequence[Image.Image]) -> Mapping[str, Any]:
        """What the processor makes of images."""
        parts = [{"type": "image"} for _ in images]
        text = self._text([{"role": "user", "content": parts}])
        made: Mapping[str, Any] = self.processor(
            text=[text], images=list(images), return_tensors="pt", **self._no_second_start(text)
        )
        return made


def question(prompt: str) -> list[dict[str, Any]]:
    """A conversation of one image and one question about it."""
    parts = [{"type": "image"}, {"type": "text", "text": prompt}]
    return [{"role": "user", "content": parts}]


def _common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest common beginning."""
    shortest = min(map(len, rows))
    for i in range(shortest):
        if any(row[i] != rows[0][i] for row in rows):
            return i
    return shortest
