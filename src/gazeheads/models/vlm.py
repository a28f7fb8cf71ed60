"""`VLM`: one loaded vision-language model that can be asked, steered, watched and scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch

from gazeheads.attention.ambient import SteeringContext
from gazeheads.attention.install import install, softmax_layers, unwrap
from gazeheads.attention.intervention import Mode, Norms, When
from gazeheads.heads import HeadSet
from gazeheads.models.asking import ask as ask_about
from gazeheads.models.asking import describe as describe_region
from gazeheads.models.asking import log_prob as log_prob_of_answer
from gazeheads.models.families.family import Family, Fit
from gazeheads.models.fingerprint import fingerprint_of
from gazeheads.models.generate import Decoding, pad_id, stop_ids
from gazeheads.models.inputs import Encoder, EncodingError, ImageLike, Inputs, open_image, question
from gazeheads.models.living import living_heads
from gazeheads.models.rows import (
    Generation,
    Piece,
    Row,
    Steerings,
    Watch,
    generations,
    pairs_of,
    prepare,
    streamed,
    trace_of,
)
from gazeheads.models.score import Questions, halving, score
from gazeheads.regions import Region, Rule
from gazeheads.steering import LiveSteering, Schedule, Steering, steering_of
from gazeheads.trace import GazeTrace


class VLM:
    """A vision-language model whose attention heads can be steered and watched.

    Attributes:
        model, processor, tokenizer: transformers' own objects; their `generate` works as ever.
        family: code of the model's family.
        name: in head sets and reports.
        num_layers, num_heads: of the language model.
        state: what acts on the model's forward passes.
        attention_layers: its layers that have attention heads: all, but for hybrid models.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        family: Family,
        name: str,
        fit: Fit | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> None:
        self._installation = install(unwrap(model), name)
        self.model, self.state = self._installation.model, self._installation.state
        self.processor, self.family, self.name = processor, family, name
        self.tokenizer = processor.tokenizer
        self.text_config = self.model.config.get_text_config()
        self.num_layers = int(self.text_config.num_hidden_layers)
        self.num_heads = int(self.text_config.num_attention_heads)
        self.attention_layers = tuple(softmax_layers(self.text_config))
        self.encoder = Encoder(family, self.model.config, processor, fit, template)
        self.stops = stop_ids(self.model, self.tokenizer)
        self.pad = pad_id(self.tokenizer, self.stops)

    def __repr__(self) -> str:
        named = ", ".join(map(str, self.attention_layers))
        hybrid = len(self.attention_layers) < self.num_layers
        some = f", attention in layers {named} only" if hybrid else ""
        return f"VLM({self.name!r}, {self.num_layers} layers x {self.num_heads} heads{some})"

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    @property
    def fingerprint(self) -> str:
        """Of the weights: equal weights have the same, wherever they were loaded from."""
        return fingerprint_of(self.model)

    def check_heads(self, *sets: HeadSet) -> None:
        """Checks that heads fit the model: see `HeadSet.check`.

        Raises:
            HeadError: they were found in other weights, or do not exist here.
        """
        known = any(heads.fingerprint for heads in sets)
        fingerprint = fingerprint_of(self.model, quick=True) if known else ""
        for heads in dict.fromkeys(sets):
            heads.check(self.num_layers, self.num_heads, self.name, fingerprint)
            heads.check_layers(self.attention_layers, self.name)

    def living_heads(self) -> np.ndarray:
        """(L, H) bool: heads whose output can be anything but zero."""
        return living_heads(self.model, self.num_layers, self.num_heads)

    def encode(self, image: ImageLike | Sequence[ImageLike], prompt: str) -> Inputs:
        """Model inputs for a question about one image, or about several in order."""
        images = _several(image)
        return self.encode_messages(images, question(prompt, len(images)))

    def encode_messages(
        self, images: Sequence[ImageLike], messages: list[dict[str, Any]]
    ) -> Inputs:
        """Model inputs for a conversation (see `messages.read`); the last message is the user's."""
        return self._remembered(self.encoder.encode(images, messages))

    def encode_many(
        self, image: ImageLike, prompts: Sequence[str], answering: bool = False
    ) -> list[Inputs]:
        """Model inputs for several questions about one image, processed once.

        Args:
            image, prompts: the image and the questions.
            answering: end where the answer begins, even if the template is to ask for a thought.
        """
        several = self.encoder.encode_many(image, prompts, answering)
        return [self._remembered(each) for each in several]

    def _remembered(self, encoded: Inputs) -> Inputs:
        # on the model's device, and known to whoever steers a pass of it
        moved = encoded.to(self.device, self.model.dtype)
        self.state.prompts.add(moved.inputs, moved.tokens)
        return moved

    def unwrap(self) -> Any:
        """Takes everything off the model again and returns it; not inside a `steer`."""
        self._installation.remove()
        return self.model

    def steer(
        self,
        heads: HeadSet | Sequence[tuple[int, int]] | LiveSteering,
        region: Region | Schedule | LiveSteering | None = None,
        delta: float = math.inf,
        mode: Mode | None = None,
        when: When = "both",
        *,
        rule: Rule = "centre",
        threshold: float = 0.5,
        inputs: Inputs | Mapping[str, torch.Tensor] | None = None,
        image: ImageLike | Sequence[ImageLike] | None = None,
        force: bool = False,
    ) -> AbstractContextManager[None]:
        """Steers everything the model does inside `with`, transformers' own `generate` included.

        A region is resolved against each prompt, so the same steering serves many images. Prompts
        made by `encode` (or `ask`) are known by their token ids and pixels; pass others here with
        their image. What is "inside", for threads and generators too: docs/guarantees.md.

        Args:
            heads: which heads, or a live steering that holds them and the region.
            region: where they look: a region, a schedule, or a live steering.
            delta, mode, when, rule, threshold: see `Steering`.
            inputs: the only prompt to steer: an `Inputs`, or the processor's own inputs.
            image: the original image(s) of such inputs.
            force: take heads that were found in other weights of the same shape.

        Raises:
            HeadError: a head does not exist, or was found in other weights.
            EncodingError: `inputs` do not come from `image`.
            NothingSteeredError: at the end of the `with`, if no pass was under it.

        Example:
            >>> with vlm.steer([(3, 1), (4, 2)], strip.panel(4)):
            ...     answer = vlm.ask(strip.image, "What happens?")
        """
        steering = steering_of(heads, region, delta, mode, when, rule, threshold, force)
        return self.steered(steering, inputs=inputs, image=image)

    def steered(
        self,
        steering: Steering | LiveSteering,
        *,
        inputs: Inputs | Mapping[str, torch.Tensor] | None = None,
        image: ImageLike | Sequence[ImageLike] | None = None,
    ) -> AbstractContextManager[None]:
        """`steer` with a `Steering` made before, such as a preset of the paper."""
        self.check_heads(steering.used_heads)
        if inputs is None:
            return SteeringContext(self.state, steering)
        if not isinstance(inputs, Inputs):
            if image is None:
                raise EncodingError("inputs= needs image= too, to know where the tokens lie")
            inputs = self.encoder.made_elsewhere(inputs, _several(image))
        steering.on(inputs.tokens, (self.num_layers, self.num_heads), len(inputs))
        prompt = self.state.prompts.add(inputs.inputs, inputs.tokens)
        return SteeringContext(self.state, steering, prompt)

    def generate(
        self,
        rows: Row | Sequence[Row],
        *,
        watch: Watch = None,
        norms: Norms = "value",
        **options: Any,
    ) -> list[Generation]:
        """Generates for many rows in one left-padded batch; equal images share one vision pass.

        Args:
            rows: prompts, each alone or with its steering (one, several, None or `UNSTEERED`). A
                row without steering takes that of a surrounding `with vlm.steer(...)`.
            watch: heads whose attention to record, or "all".
            norms: which value norms to record beside it.
            options: see `Decoding`; greedy by default.
        """
        pairs = pairs_of(rows)
        decoding = Decoding.of(**options)
        batch, plan = prepare(self, pairs, watch, norms)
        return generations(self, pairs, batch, plan, decoding)

    ask, describe, log_prob = ask_about, describe_region, log_prob_of_answer

    def stream(
        self,
        image: ImageLike | Inputs,
        prompt: str = "",
        *,
        steering: Steerings = None,
        watch: Watch = None,
        **options: Any,
    ) -> Iterator[Piece]:
        """Yields the answer token by token; a changed `LiveSteering` acts on the next one.

        Everything is checked before the first token is asked for.

        Args:
            image: an image, or a prompt encoded before.
            prompt: the question, if `image` is an image.
            steering: of this text.
            watch: heads whose attention each piece should carry.
            options: see `Decoding`.
        """
        encoded = image if isinstance(image, Inputs) else self.encode(image, prompt)
        decoding = Decoding.of(**options)
        batch, plan = prepare(self, [(encoded, steering)], watch, "none")
        return streamed(self, batch, plan, decoding)

    def watch(
        self,
        image: ImageLike | Inputs,
        prompt: str = "",
        heads: HeadSet | Sequence[tuple[int, int]] | None = None,
        *,
        steering: Steerings = None,
        norms: Norms = "value",
        **options: Any,
    ) -> GazeTrace:
        """Generates and records where heads look at every step.

        Args:
            image, prompt, steering, options: as in `stream`.
            heads: which heads; None for all.
            norms: "value": of value vectors; "output": after the output projection; "none".
        """
        picture = None if isinstance(image, Inputs) else open_image(image)
        encoded = self.encode(picture, prompt) if picture else cast(Inputs, image)
        chosen = "all" if heads is None else heads
        done = self.generate([(encoded, steering)], watch=chosen, norms=norms, **options)
        return replace(trace_of(done[0]), image=picture)

    def score_regions(
        self,
        image: ImageLike,
        prompts: Sequence[str],
        regions: Sequence[Region],
        rule: Rule = "centre",
    ) -> np.ndarray:
        """(Q, L, H, R): mass of each prompt's last token on each region; refuses inside `steer`."""
        return self.score_many([(image, prompts, regions)], rule=rule)[0]

    def score_many(
        self,
        items: Sequence[tuple[ImageLike, Sequence[str], Sequence[Region]]],
        batch_size: int = 1,
        rule: Rule = "centre",
    ) -> list[np.ndarray]:
        """`score_regions` for several images, `batch_size` at once; halved if memory runs out."""
        questions = [
            Questions(tuple(self.encoder.encode_many(image, prompts, True)), tuple(regions))
            for image, prompts, regions in items
        ]
        return halving(lambda part: score(self, part, rule), questions, max(1, batch_size))


def _several(image: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(image) if isinstance(image, list | tuple) else [image]  # type: ignore[list-item]
