"""`VLM`: one loaded vision-language model that can be asked, steered, watched and scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gazeheads.attention.ambient import Ambient, check_heads_of, surrounding
from gazeheads.attention.install import attach, softmax_layers
from gazeheads.attention.plan import Mode, Norms, When
from gazeheads.attention.state import PlanRun
from gazeheads.heads import HeadSet
from gazeheads.models.batch import Batch
from gazeheads.models.families.family import Family, Fit
from gazeheads.models.generate import Decoding, TextPieces, decode, pad_id, stop_ids
from gazeheads.models.inputs import Encoded, Encoder, EncodingError, ImageLike, open_image
from gazeheads.models.rows import (
    Generation,
    Piece,
    Row,
    Steerings,
    Watch,
    check_layers,
    generation,
    pairs_of,
    prepare,
)
from gazeheads.models.score import Questions, halving, score
from gazeheads.regions import Region, Rule
from gazeheads.steering import LiveTarget, Schedule, Steering
from gazeheads.trace import GazeTrace

HALF = (torch.bfloat16, torch.float16)


class VLM:
    """A vision-language model whose attention heads can be steered and watched.

    Attributes:
        model, processor: transformers' own objects; their `generate` works as ever.
        tokenizer: of the processor.
        family: code of the model's family.
        name: in head sets and reports.
        num_layers, num_heads: of the language model.
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
        self.model, self.processor, self.family, self.name = model, processor, family, name
        self.tokenizer = processor.tokenizer
        self.text_config = model.config.get_text_config()
        self.num_layers = int(self.text_config.num_hidden_layers)
        self.num_heads = int(self.text_config.num_attention_heads)
        self.attention_layers = tuple(softmax_layers(self.text_config))
        self.encoder = Encoder(family, model.config, processor, fit, template)
        self.stops = stop_ids(model, self.tokenizer)
        self.pad = pad_id(self.tokenizer, self.stops)
        attach(model)

    def __repr__(self) -> str:
        some = ""
        if len(self.attention_layers) < self.num_layers:
            some = f", attention in layers {', '.join(map(str, self.attention_layers))} only"
        return f"VLM({self.name!r}, {self.num_layers} layers x {self.num_heads} heads{some})"

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return self.model.get_input_embeddings().weight.device

    def encode(self, image: ImageLike | Sequence[ImageLike], prompt: str) -> Encoded:
        """Model inputs for a question about one image, or about several in order."""
        images = _several(image)
        parts: list[dict[str, Any]] = [{"type": "image"} for _ in images]
        parts.append({"type": "text", "text": prompt})
        return self.encode_messages(images, [{"role": "user", "content": parts}])

    def encode_messages(
        self, images: Sequence[ImageLike], messages: list[dict[str, Any]]
    ) -> Encoded:
        """Model inputs for a conversation (see `messages.read`); the last message is the user's."""
        return self._on_device(self.encoder.encode(images, messages))

    def encode_many(
        self, image: ImageLike, prompts: Sequence[str], answering: bool = False
    ) -> list[Encoded]:
        """Model inputs for several questions about one image, processed once.

        Args:
            image, prompts: the image and the questions.
            answering: end where the answer begins, even if the template is to ask for a thought.
        """
        several = self.encoder.encode_many(image, prompts, answering)
        return [self._on_device(each) for each in several]

    def _on_device(self, encoded: Encoded) -> Encoded:
        own = encoded.inputs
        # some processors make pixels of half precision, whatever the model's is
        half = [name for name, tensor in own.items() if tensor.dtype in HALF]
        if self.device.type == "cpu" and all(own[name].dtype == self.model.dtype for name in half):
            return encoded
        inputs = {name: tensor.to(self.device) for name, tensor in own.items()}
        inputs |= {name: inputs[name].to(self.model.dtype) for name in half}
        return replace(encoded, inputs=inputs)

    def steer(
        self,
        heads: HeadSet | Sequence[tuple[int, int]],
        region: Region | Schedule | LiveTarget,
        delta: float = math.inf,
        mode: Mode | None = None,
        when: When = "both",
        *,
        rule: Rule = "centre",
        inputs: Encoded | Mapping[str, torch.Tensor] | None = None,
        image: ImageLike | Sequence[ImageLike] | None = None,
    ) -> AbstractContextManager[None]:
        """Steers everything the model does inside `with`, transformers' own `generate` included.

        A region is resolved against each prompt, so the same steering serves many images. Prompts
        made by `encode` (or `ask`) are known by their tokens; for inputs made elsewhere pass them
        here with their image.

        Args:
            heads: which heads.
            region: where they look: a region, a schedule, or a target that moves.
            delta, mode, when, rule: see `Steering`.
            inputs: the only prompt to steer: an `Encoded`, or the processor's own inputs.
            image: the original image(s) of such inputs.
        """
        own = heads if isinstance(heads, HeadSet) else HeadSet.of(heads)
        steering = Steering(own, region, delta, mode, when, rule)
        return self.steered(steering, inputs=inputs, image=image)

    def steered(
        self,
        steering: Steering,
        *,
        inputs: Encoded | Mapping[str, torch.Tensor] | None = None,
        image: ImageLike | Sequence[ImageLike] | None = None,
    ) -> AbstractContextManager[None]:
        """`steer` with a `Steering` made before, such as a preset of the paper."""
        check_heads_of([steering], self.num_layers, self.num_heads, self.name)
        check_layers(steering.heads, self.attention_layers, self.name)
        if inputs is not None and not isinstance(inputs, Encoded):
            if image is None:
                raise EncodingError("inputs= needs image= too, to know where the tokens lie")
            sizes = [open_image(each).size for each in _several(image)]
            inputs = self.encoder.adopt(inputs, sizes)
        if inputs is not None:
            steering.on(inputs.tokens, 0)
        return surrounding(Ambient(self.text_config, self.encoder, (steering,), inputs))

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
            rows: prompts, each alone or with its steering (one, several or None). A row without
                steering takes that of a surrounding `with vlm.steer(...)`.
            watch: heads whose attention to record, or "all".
            norms: which value norms to record beside it.
            options: see `Decoding`; greedy by default.
        """
        pairs = pairs_of(rows)
        decoding = Decoding.of(**options)
        batch, run = prepare(self, pairs, watch, norms)
        tokens: list[list[int]] = [[] for _ in pairs]
        steps = decode(self.family, self.model, batch, run, decoding, self.stops, self.pad)
        for step in steps:
            for own, token in zip(tokens, step, strict=True):
                if token is not None:
                    own.append(token)
        return [generation(self, i, own, pairs[i][0], run) for i, own in enumerate(tokens)]

    def ask(self, image: ImageLike | Sequence[ImageLike], prompt: str, **options: Any) -> str:
        """The answer to a question about an image."""
        return self.generate(self.encode(image, prompt), **options)[0].text

    def stream(
        self,
        image: ImageLike | Encoded,
        prompt: str = "",
        *,
        steering: Steerings = None,
        watch: Watch = None,
        **options: Any,
    ) -> Iterator[Piece]:
        """Yields the answer token by token; a `LiveTarget` moved meanwhile acts on the next one.

        Everything is checked before the first token is asked for.

        Args:
            image: an image, or a prompt encoded before.
            prompt: the question, if `image` is an image.
            steering: of this text.
            watch: heads whose attention each piece should carry.
            options: see `Decoding`.
        """
        encoded = image if isinstance(image, Encoded) else self.encode(image, prompt)
        decoding = Decoding.of(**options)
        batch, run = prepare(self, [(encoded, steering)], watch, "none")
        return self._stream(batch, run, decoding)

    def _stream(self, batch: Batch, run: PlanRun | None, decoding: Decoding) -> Iterator[Piece]:
        texts = TextPieces(self.tokenizer)
        steps = decode(self.family, self.model, batch, run, decoding, self.stops, self.pad)
        for step, (token,) in enumerate(steps):
            if token is None:
                return
            name = run.steered_to[step][0] if run else None
            seen = run.recording.latest()[0] if run and run.recording else None
            yield Piece(texts.push(token), name, seen)

    def watch(
        self,
        image: ImageLike | Encoded,
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
        encoded = image if isinstance(image, Encoded) else self.encode(image, prompt)
        chosen = "all" if heads is None else heads
        done = self.generate([(encoded, steering)], watch=chosen, norms=norms, **options)
        assert done[0].trace is not None
        return done[0].trace

    def score_regions(
        self,
        image: ImageLike,
        prompts: Sequence[str],
        regions: Sequence[Region],
        rule: Rule = "centre",
    ) -> np.ndarray:
        """(Q, L, H, R): attention mass from each prompt's last token to each region's tokens."""
        return self.score_many([(image, prompts, regions)], rule=rule)[0]

    def score_many(
        self,
        items: Sequence[tuple[ImageLike, Sequence[str], Sequence[Region]]],
        batch_size: int = 1,
        rule: Rule = "centre",
    ) -> list[np.ndarray]:
        """`score_regions` for several images, `batch_size` at once; halved if memory runs out."""
        questions = [
            Questions(tuple(self.encode_many(image, prompts, answering=True)), tuple(regions))
            for image, prompts, regions in items
        ]
        return halving(lambda part: score(self, part, rule), questions, max(1, batch_size))


def _several(image: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(image) if isinstance(image, list | tuple) else [image]  # type: ignore[list-item]
