"""`with vlm.steer(...)`: steering of passes that other code makes, transformers' generate first."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import torch

from gazeheads.attention.intervention import InterventionAt, InterventionError
from gazeheads.attention.known_prompts import (
    KnownPrompt,
    RowImages,
    UnknownPromptError,
    image_inputs,
    one_geometry,
)
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.scope import Scope
from gazeheads.regions import ImageTokens

if TYPE_CHECKING:
    from gazeheads.attention.state import ForwardState


class NothingSteeredError(InterventionError):
    """A `with vlm.steer(...)` that ended without a single steered pass."""


class Steers(Protocol):
    """Heads pointed somewhere, before it is known on which prompt."""

    def on(self, tokens: ImageTokens, shape: tuple[int, int], keys: int) -> InterventionAt:
        """What acts on a row whose image tokens (padding included) are `tokens`.

        Args:
            tokens: of the row.
            shape: (layers, heads per layer) of the model.
            keys: of the prompt, padding included.
        """
        ...


class SteeringContext(Scope):
    """One `with vlm.steer(...)` of one model; it can be entered once at a time.

    Attributes:
        state: of the model.
        steering: what it does.
        prompt: the only prompt it is for; None: any known one.
        used: whether a pass was under it.
    """

    def __init__(
        self, state: ForwardState, steering: Steers, prompt: KnownPrompt | None = None
    ) -> None:
        super().__init__()
        self.state, self.steering, self.prompt = state, steering, prompt
        self.used = False
        self._passes = 0

    def __enter__(self) -> None:
        if self.number >= 0 and not self.closed:
            raise InterventionError("this steering is in force already: call vlm.steer again")
        self.used, self._passes = False, self.state.passes
        self.open(sys._getframe(1))
        self.state.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self.state.remove(self)
        if kind is None and not self.used:
            raise NothingSteeredError(f"nothing was steered: {self._why()}")

    def _why(self) -> str:
        state = self.state
        if not state.installed():
            return (
                f"the attention of {state.name} was switched to "
                f"{state.text_config._attn_implementation!r} after it was wrapped: wrap it again"
            )
        if state.passes == self._passes:
            return (
                f"no forward pass of {state.name} ran inside the `with`; a copy, a wrapper or "
                "another object of the model is not steered: generate with vlm.model"
            )
        if self.prompt is not None:
            return "the prompt given as inputs= was never read, only others"
        return f"passes of {state.name} ran, but none inside this `with`"


@dataclass(eq=False)
class AmbientRun:
    """One generation under surrounding steering.

    Attributes:
        plan: what acts on it; None: it is a prompt that the contexts are not for.
        contexts: that it began under.
        adopted: whether a thread without a `with` of its own took them.
        prompts: per row, the known prompt it is; None for a row that is none of them.
        ids: (B, S) of the latest pass that read the whole sequence.
    """

    plan: ForwardPlan | None
    contexts: tuple[SteeringContext, ...]
    adopted: bool
    prompts: tuple[KnownPrompt | None, ...]
    ids: torch.Tensor

    def goes_on(self, contexts: tuple[SteeringContext, ...]) -> bool:
        """Whether a later pass on its cache is still steered; False: it is plain.

        Raises:
            InterventionError: other steering is in force than when the prompt was read.
        """
        if contexts == self.contexts or (self.adopted and not contexts):
            return True
        if contexts:
            raise InterventionError(
                "the steering in force is not the one the prompt was read under: begin every "
                "`with vlm.steer(...)` before the prefill"
            )
        return False

    def extends(
        self, state: ForwardState, ids: torch.Tensor | None, kwargs: Mapping[str, Any]
    ) -> bool:
        """Whether a pass without a KV cache reads the same sequence again, and more of it."""
        if ids is None or self.plan is None or ids.shape[0] != self.ids.shape[0]:
            return False
        length = self.ids.shape[1]
        if ids.shape[1] <= length or not torch.equal(ids[:, :length], self.ids):
            return False
        rows = _RowPrompts(state, ids[:, : self.plan.prompt_length], kwargs)
        found = (rows.of(row, known is not None) for row, known in enumerate(self.prompts))
        if not all(k is None or k in own for k, own in zip(self.prompts, found, strict=True)):
            return False
        self.ids = ids
        return True


def begin_run(
    state: ForwardState,
    contexts: tuple[SteeringContext, ...],
    adopted: bool,
    ids: torch.Tensor | None,
    kwargs: Mapping[str, Any],
) -> AmbientRun:
    """The plan that steers every row of a batch of prompts.

    Raises:
        UnknownPromptError: a row's image tokens are not known.
    """
    if ids is None:
        raise UnknownPromptError("steering needs input_ids, not inputs_embeds")
    rows = _RowPrompts(state, ids, kwargs)
    anyone = any(context.prompt is None for context in contexts)
    known_of = [rows.of(row, anyone) for row in range(len(ids))]
    shape, keys = (state.layers, state.heads), rows.prompt_length
    sources: list[list[InterventionAt]] = []
    for known, padding in zip(known_of, rows.padding, strict=True):
        own: list[InterventionAt] = []
        for context in contexts:
            if context.prompt is not None and context.prompt not in known:
                continue
            chosen = known if context.prompt is None else [context.prompt]
            own.append(context.steering.on(one_geometry(chosen).shifted(padding), shape, keys))
            context.used = True
        sources.append(own)
    prompts = tuple(k[0] if own else None for k, own in zip(known_of, sources, strict=True))
    plan = ForwardPlan(sources, keys) if any(sources) else None
    return AmbientRun(plan, contexts, adopted, prompts, ids)


class _RowPrompts:
    """Which known prompt each row of a batch is."""

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
        own = self._ids[row, start : start + self._lengths[row]]
        candidates = self._candidates(row, own)
        found = self._images.take(candidates)
        # after an unknown row nobody knows where the images of the next one begin
        if not found and (needed or len(self._ids) > 1):
            raise UnknownPromptError(self._why(own, candidates))
        self._latest = found
        return found

    def _candidates(self, row: int, ids: torch.Tensor) -> list[KnownPrompt]:
        """Prompts of a row's ids, or that they begin with: an answer may already follow."""
        known = self._state.prompts
        if exact := known.of_ids(ids):
            return exact
        found = known.beginning(ids)
        if not found:
            return []
        length = self.padding[row] + found[0].length
        if row and length != self.prompt_length:
            raise UnknownPromptError(
                "the prompts of a batch end at different places: pad them on the left, and give "
                "them answers of one length or none"
            )
        self.prompt_length = length
        return found

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
    """What `get_image_features` was last given by a thread, and what it gave.

    `generate` encodes images before the first pass and hands over features only.
    """

    def __init__(self) -> None:
        self._latest: weakref.ref[Any] | None = None
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
