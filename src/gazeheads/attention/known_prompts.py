"""Prompts whose image tokens are known, found again by their token ids AND their pixels.

Equal ids say nothing about the picture: another image, or another processor's crop of the same
one, has its tokens elsewhere. So a prompt is known only together with what the model gets of it.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.utils.weak import WeakTensorKeyDictionary

from gazeheads.errors import GazeheadsError
from gazeheads.regions import ImageTokens

REMEMBERED = 256
PIXEL_INPUTS = ("pixel_values", "pixel_values_images", "image_patches")
"""Inputs of a model that hold pixels; one of them must be compared."""
_ID_BYTES = 8
_TEXT_INPUTS = (
    "input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids", "position_ids",
    "inputs_embeds", "labels", "cache_position",
)  # fmt: skip


class UnknownPromptError(GazeheadsError):
    """A prompt that is to be steered, but whose image tokens nobody knows."""


class PixelDigest:
    """What tells the image inputs of one prompt apart, computed when it is first asked for.

    Pixels count as rounded to bfloat16, so that a prompt is known again after a cast.
    """

    def __init__(self, inputs: Mapping[str, torch.Tensor]) -> None:
        self._tensors = image_inputs(inputs)
        self.lengths = {name: len(tensor) for name, tensor in self._tensors.items()}
        self._digests: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def matches(self, inputs: Mapping[str, torch.Tensor]) -> bool:
        """Whether image inputs, sliced to one prompt, are these; some of them may be missing."""
        shared = [name for name in self.lengths if name in inputs]
        if not any(name in PIXEL_INPUTS for name in shared):
            return False
        return all(self._same(name, inputs[name]) for name in shared)

    def _same(self, name: str, tensor: torch.Tensor) -> bool:
        with self._lock:
            if self._tensors.get(name) is tensor:
                return True
            known = self._digests_of(name)
        return bool(set(known) & set(_digests(tensor)))

    def _digests_of(self, name: str) -> tuple[str, ...]:
        if name not in self._digests:
            self._digests[name] = _digests(self._tensors[name])
        return self._digests[name]

    def release(self) -> None:
        """Keeps digests instead of the tensors."""
        with self._lock:
            for name in self._tensors:
                self._digests_of(name)
            self._tensors = {}


def image_inputs(inputs: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """The tensors among a model's inputs that come from images."""
    return {
        name: value
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor) and name not in _TEXT_INPUTS and value.ndim
    }


_DIGESTS = WeakTensorKeyDictionary()
"""Digests of tensors that live, since several prompts may share an image's."""


def _digests(tensor: torch.Tensor) -> tuple[str, ...]:
    """Of the values and their shape; of floats also as after a cast to float16."""
    version = tensor._version if not tensor.is_inference() else -1
    known: tuple[int, tuple[str, ...]] | None = _DIGESTS.get(tensor)
    if known is None or known[0] != version or version < 0:
        known = version, _computed_digests(tensor)
        _DIGESTS[tensor] = known
    return known[1]


def _computed_digests(tensor: torch.Tensor) -> tuple[str, ...]:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return (_digest(tensor.to(torch.int64)),)
    forms = [tensor] if tensor.dtype == torch.float16 else [tensor, tensor.to(torch.float16)]
    return tuple(_digest(form.to(torch.bfloat16).view(torch.int16)) for form in forms)


def _digest(tensor: torch.Tensor) -> str:
    whole = hashlib.blake2b(repr(tuple(tensor.shape)).encode(), digest_size=16)
    whole.update(tensor.contiguous().numpy().tobytes())
    return whole.hexdigest()


@dataclass(frozen=True, eq=False)
class KnownPrompt:
    """One prompt.

    Attributes:
        ids: of its tokens, as bytes.
        pixels: of its images.
        tokens: its image tokens.
    """

    ids: bytes
    pixels: PixelDigest
    tokens: ImageTokens

    @property
    def length(self) -> int:
        """Number of tokens."""
        return len(self.ids) // _ID_BYTES

    def has_image_token(self, ids: torch.Tensor) -> bool:
        """Whether (S,) other ids hold a token that stands for a part of an image."""
        prompt = torch.frombuffer(bytearray(self.ids), dtype=torch.int64)
        images = prompt[torch.from_numpy(self.tokens.positions)].unique()
        return bool(torch.isin(ids.cpu(), images).any())

    def is_of(self, inputs: Mapping[str, torch.Tensor]) -> bool:
        """Whether (1, S) inputs of one unpadded prompt are this one's."""
        return self.ids == ids_key(inputs["input_ids"][0]) and self.pixels.matches(
            image_inputs(inputs)
        )


class KnownPrompts:
    """The latest prompts of one model. May be used by any thread."""

    _KEPT_TENSORS = 8  # prompts whose pixel inputs are held; of older ones only the digest is

    def __init__(self) -> None:
        self._prompts: OrderedDict[int, KnownPrompt] = OrderedDict()
        self._next = 0
        self._lock = threading.Lock()

    def add(self, inputs: Mapping[str, torch.Tensor], tokens: ImageTokens) -> KnownPrompt:
        """Remembers the (1, S) inputs of one unpadded prompt and its image tokens."""
        prompt = KnownPrompt(ids_key(inputs["input_ids"][0]), PixelDigest(inputs), tokens)
        with self._lock:
            self._prompts[self._next] = prompt
            self._next += 1
            released = self._prompts.get(self._next - 1 - self._KEPT_TENSORS)
            while len(self._prompts) > REMEMBERED:
                self._prompts.popitem(last=False)
        if released is not None:
            released.pixels.release()
        return prompt

    def of_ids(self, ids: torch.Tensor) -> list[KnownPrompt]:
        """The prompts of exactly these (S,) token ids, the latest first."""
        key = ids_key(ids)
        with self._lock:
            return [prompt for prompt in reversed(self._prompts.values()) if prompt.ids == key]

    def beginning(self, ids: torch.Tensor) -> list[KnownPrompt]:
        """The longest prompts that (S,) ids begin with, if no image comes after them."""
        key = ids_key(ids)
        with self._lock:
            beginnings = [
                prompt
                for prompt in reversed(self._prompts.values())
                if len(prompt.ids) < len(key) and key.startswith(prompt.ids)
            ]
        longest = max((len(prompt.ids) for prompt in beginnings), default=0)
        beginnings = [prompt for prompt in beginnings if len(prompt.ids) == longest]
        rest = ids[longest // _ID_BYTES :]
        return [prompt for prompt in beginnings if not prompt.has_image_token(rest)]

    def begins(self, ids: torch.Tensor) -> bool:
        """Whether a known prompt begins with these (S,) ids and goes on."""
        key = ids_key(ids)
        with self._lock:
            return any(
                len(prompt.ids) > len(key) and prompt.ids.startswith(key)
                for prompt in self._prompts.values()
            )


def ids_key(ids: torch.Tensor) -> bytes:
    """(S,) token ids as bytes."""
    return ids.detach().cpu().to(torch.int64).numpy().tobytes()


def one_geometry(prompts: list[KnownPrompt]) -> ImageTokens:
    """The image tokens all of the prompts have.

    Raises:
        UnknownPromptError: they differ, as of images of other sizes squashed to the same pixels.
    """
    for one, other in pairwise(prompts):
        sizes_differ = one.tokens.sizes != other.tokens.sizes
        if sizes_differ or not np.array_equal(one.tokens.boxes, other.tokens.boxes, equal_nan=True):
            raise UnknownPromptError(
                "this prompt was encoded with images of different sizes whose tokens and pixels "
                "are alike; say which is meant: vlm.steer(..., inputs=encoded)"
            )
    return prompts[0].tokens


class RowImages:
    """The image inputs of a batch, taken apart row by row as the rows' prompts are known.

    Image inputs of several prompts stand one after the other; how many entries a row has is known
    from its prompt alone.
    """

    def __init__(self, inputs: Mapping[str, torch.Tensor], rows: int) -> None:
        self._inputs = dict(inputs)
        self._offsets = dict.fromkeys(self._inputs, 0)
        self._rows = rows

    def take(self, candidates: list[KnownPrompt]) -> list[KnownPrompt]:
        """Those of the candidates whose images come next; the batch then goes on after them."""
        matching = [prompt for prompt in candidates if prompt.pixels.matches(self._next(prompt))]
        if matching:
            for name, length in matching[0].pixels.lengths.items():
                if name in self._offsets:
                    self._offsets[name] += length
        return matching

    def _next(self, prompt: KnownPrompt) -> dict[str, torch.Tensor]:
        out: dict[str, torch.Tensor] = {}
        for name, length in prompt.pixels.lengths.items():
            if name in self._inputs:
                whole, start = self._inputs[name], self._offsets[name]
                one = self._rows == 1 and start == 0 and len(whole) == length
                out[name] = whole if one else whole[start : start + length]
        return out
