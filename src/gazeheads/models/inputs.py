"""From image and prompt to model inputs that know where every image token lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from gazeheads.attention.known_prompts import PixelDigest, image_inputs
from gazeheads.data.pictures import ImageError, ImageLike, open_image
from gazeheads.errors import one_line
from gazeheads.models.families.family import Family, Fit
from gazeheads.models.fit import check_crop, choose_fit, fitted, in_original
from gazeheads.models.messages import read, render, words
from gazeheads.models.templates import EncodingError, check_template
from gazeheads.regions import ImageTokens

__all__ = [
    "Encoded", "Encoder", "EncodingError", "ImageError", "ImageLike", "Inputs", "open_image",
    "question",
]  # fmt: skip


_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, eq=False)
class Inputs:
    """One prompt with its images, ready for the model.

    Attributes:
        inputs: tensors for the model's own `generate`, batch of 1.
        tokens: where the image tokens are.
        prompt: the text asked.
        shown: (width, height) of the images as the processor got them; empty: the original ones.

    Example:
        >>> inputs = vlm.encode(strip.image, "What happens?")
        >>> len(inputs.tokens.indices(strip.panel(1)))
        9
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

    def to(self, device: torch.device, dtype: torch.dtype) -> Inputs:
        """The same on a device; pixels of half precision in the model's precision."""
        half = [name for name, tensor in self.inputs.items() if tensor.dtype in _HALF]
        # some processors make pixels of half precision, whatever the model's is
        if device.type == "cpu" and all(self.inputs[name].dtype == dtype for name in half):
            return self
        moved = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        moved |= {name: moved[name].to(dtype) for name in half}
        return replace(self, inputs=moved)


Encoded = Inputs
"""The name of 0.1."""


class Encoder:
    """Makes `Inputs`."""

    def __init__(
        self,
        family: Family,
        config: Any,
        processor: Any,
        fit: Fit | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> None:
        self.family, self.config, self.processor = family, config, processor
        self.template = dict(template or {})
        check_template(processor, self.template)
        self.fit = choose_fit(fit, family, processor)

    def encode(
        self, images: Sequence[ImageLike], messages: list[dict[str, Any]], answering: bool = False
    ) -> Inputs:
        """One prompt with its images.

        Args:
            images: in the order of the messages' image parts; empty: the parts hold them.
            messages: see `messages.read`.
            answering: end where the answer begins, even if the template is to ask for a thought.
        """
        pictures, conversation = read(images, messages)
        opened = [open_image(image) for image in pictures]
        fits = [fitted(image, self.fit, self.family, self.processor) for image in opened]
        text = self._text(conversation, answering)
        try:
            # the images of one sample together: some processors do not tile several
            batch = self.processor(
                text=[text], images=[fits] if fits else None, return_tensors="pt",
                **self._no_second_start(text),
            )  # fmt: skip
        except (ValueError, TypeError, RuntimeError, IndexError) as error:
            raise EncodingError(f"the processor refused the prompt: {one_line(error)}") from error
        # labels are for training; with them the model would compute a loss
        inputs = {
            name: x for name, x in batch.items() if isinstance(x, torch.Tensor) and name != "labels"
        }
        sizes = [image.size for image in opened]
        encoded = self.adopt(inputs, sizes, words(conversation), [image.size for image in fits])
        if self.fit == "keep":
            check_crop(encoded.tokens, self.family, self.processor)
        return encoded

    def encode_many(
        self, image: ImageLike, prompts: Sequence[str], answering: bool = False
    ) -> list[Inputs]:
        """Several questions about one image; the image is processed once (see `encode`)."""
        if not prompts:
            return []
        opened = open_image(image)
        first = self.encode([opened], question(prompts[0]), answering)
        plain_first = self._tokenise(prompts[0], answering)
        out = [first]
        for prompt in prompts[1:]:
            plain = self._tokenise(prompt, answering)
            same = _common_prefix([plain_first, plain])
            cut = len(plain_first) - same
            ids = first.ids.tolist()
            if self.config.image_token_id not in plain[:same] or (
                cut and ids[-cut:] != plain_first[-cut:]
            ):
                out.append(self.encode([opened], question(prompt), answering))
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

    def _text(self, messages: list[dict[str, Any]], answering: bool = False) -> str:
        return render(self.family, self.processor, messages, self.template, answering)

    def _no_second_start(self, text: str) -> dict[str, bool]:
        """Tokeniser options for a template that has written the start token itself."""
        start = self.processor.tokenizer.bos_token
        return {"add_special_tokens": False} if start and text.startswith(start) else {}

    def _tokenise(self, prompt: str, answering: bool = False) -> list[int]:
        text = self._text(question(prompt), answering)
        ids: list[int] = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

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
        check_text(self.config, kept["input_ids"].shape[1] - len(tokens))
        return Inputs(kept, in_original(tokens, tuple(sizes), self.fit), prompt, given)

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
        for pictures in (opened, [self._fitted(image) for image in opened]):
            if given.matches(image_inputs(self._processed(pictures))):
                sizes = [image.size for image in opened]
                return self.adopt(inputs, sizes, "", [image.size for image in pictures])
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


def check_text(config: Any, text: int, what: str = "the prompt") -> None:
    """Checks that a text is not longer than what a model was made for.

    Image tokens do not count: families differ in how many positions they take.

    Args:
        config: of the model.
        text: its tokens that are none of an image.
        what: the text, in messages.

    Raises:
        EncodingError: it is.
    """
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(most, int) and text > most:
        raise EncodingError(
            f"{what} has {text:,} tokens of text, and the model was made for {most:,}: ask "
            "something shorter"
        )


def question(prompt: str, images: int = 1) -> list[dict[str, Any]]:
    """A conversation of images and one question about them."""
    parts: list[dict[str, Any]] = [{"type": "image"} for _ in range(images)]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]


def _common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest common beginning."""
    shortest = min(map(len, rows))
    for i in range(shortest):
        if any(row[i] != rows[0][i] for row in rows):
            return i
    return shortest
