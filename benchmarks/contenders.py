"""Three ways to do the same: ours, the published protocol done literally, the plain model.

Each answers the same calls with the same prompts; what the plain model can't do (steer, record)
it leaves out, so that it marks the limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from benchmarks.models import CPU, Place, build
from benchmarks.page import NEW_TOKENS, Page
from gazeheads import prompts
from gazeheads.heads import HeadSet
from gazeheads.models import wrap
from gazeheads.steering import LiveTarget, Steering

Answers = list[list[int]]
PAPER_DELTA = 10_000.0


class Contender(Protocol):
    """One way of doing the work."""

    layers: int
    heads: int

    def discover(self, pages: Sequence[Page]) -> np.ndarray | None:
        """(strips, L, H, 6, 6) attention of the last prompt token per question and panel."""
        ...

    def answer(self, page: Page, conditions: Sequence[HeadSet]) -> Answers:
        """15 tokens unsteered, then for every condition and panel."""
        ...

    def decode(self, page: Page, heads: HeadSet | None, tokens: int) -> Iterator[float]:
        """Seconds of every token of one answer, the first with its prefill."""
        ...


class Ours:
    """The library: vision and prefix once, one batch, recording beside the fast path."""

    def __init__(self, model: str, image_tokens: int, place: Place = CPU):
        built, processor = build(model, "sdpa", image_tokens, place)
        self.vlm = wrap(built, processor, model)
        self.layers, self.heads = self.vlm.num_layers, self.vlm.num_heads
        self.moves: list[float] = []

    def discover(self, pages: Sequence[Page]) -> np.ndarray:
        """All strips in one batch."""
        items = [(page.image, page.questions, page.regions) for page in pages]
        mass = self.vlm.score_many(items, batch_size=len(pages))
        return np.stack([np.moveaxis(own, 0, 2) for own in mass])

    def answer(self, page: Page, conditions: Sequence[HeadSet]) -> Answers:
        """One batch of all conditions and panels."""
        encoded = self.vlm.encode(page.image, prompts.VQA)
        rows: list[Any] = [(encoded, None)]
        for heads in conditions:
            rows += [(encoded, Steering.paper(heads, region)) for region in page.regions]
        done = self.vlm.generate(rows, max_new_tokens=NEW_TOKENS, ignore_eos=True)
        return [list(generation.tokens) for generation in done]

    def decode(self, page: Page, heads: HeadSet | None, tokens: int) -> Iterator[float]:
        """Streamed; steered rows move their target at every eighth token."""
        target = LiveTarget(page.regions[0])
        steering = Steering(heads, target, when="both") if heads else None
        before = time.perf_counter()
        pieces = self.vlm.stream(
            page.image, prompts.VQA, steering=steering, max_new_tokens=tokens, ignore_eos=True
        )
        for number, _ in enumerate(pieces):
            now = time.perf_counter()
            yield now - before
            if heads and number % 8 == 7:
                began = time.perf_counter()
                target.move(page.regions[number // 8 % len(page.regions)])
                self.moves.append(time.perf_counter() - began)
            before = time.perf_counter()


class Flex(Ours):
    """The same, with steered heads by FlexAttention."""

    def __init__(self, model: str, image_tokens: int, place: Place = CPU):
        super().__init__(model, image_tokens, place)
        self.vlm.state.kernel = "flex"


class _Transformers:
    """What the other two share: transformers alone."""

    def __init__(
        self, model: str, attention: str | dict[str, str], image_tokens: int, place: Place
    ):
        self.model, self.processor = build(model, attention, image_tokens, place)
        text = self.model.config.get_text_config()
        self.layers, self.heads = text.num_hidden_layers, text.num_attention_heads
        self.model.generation_config.eos_token_id = None  # every answer has the same length

    def inputs(self, page: Page, questions: Sequence[str]) -> Any:
        """The processor's tensors for one image and its questions, one row each."""
        messages = [
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
            for question in questions
        ]
        texts = [
            self.processor.apply_chat_template(m, add_generation_prompt=True) for m in messages
        ]
        images = [[page.image]] * len(texts)
        inputs = self.processor(text=texts, images=images, return_tensors="pt", padding=True)
        return inputs.to(self.model.device, self.model.dtype)

    def greedy(self, inputs: Any) -> Answers:
        """15 tokens by transformers' own generate."""
        with torch.no_grad():
            ids = self.model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        found: Answers = ids[:, inputs["input_ids"].shape[1] :].tolist()
        return found

    def decode(self, page: Page, heads: HeadSet | None, tokens: int) -> Iterator[float]:
        """One forward pass per token with transformers' cache."""
        del heads
        before = time.perf_counter()
        step: dict[str, Any] = dict(self.inputs(page, [prompts.VQA]))
        cache = None
        for _ in range(tokens):
            with torch.no_grad():
                out = self.model(**step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = out.past_key_values
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            token.item()
            now = time.perf_counter()
            yield now - before
            before = now
            step = {"input_ids": token}


class Literal(_Transformers):
    """The published protocol, step by step: eager attention, one prompt, one answer at a time."""

    def __init__(self, model: str, image_tokens: int, place: Place = CPU):
        AttentionInterface.register("literal", self._attention)
        AttentionMaskInterface.register("literal", eager_mask)
        super().__init__(model, {"text_config": "literal"}, image_tokens, place)
        self.steered: HeadSet | None = None
        self.bias: torch.Tensor | None = None

    def _attention(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Eager attention that adds the bias to the scores of the steered heads."""
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scores = torch.matmul(query, key.transpose(2, 3)) * scaling
        if attention_mask is not None:
            scores = scores + attention_mask
        if self.steered is not None and self.bias is not None:
            own = [head.head for head in self.steered if head.layer == module.layer_idx]
            if own:
                scores[:, own, :, : len(self.bias)] += self.bias
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(query.dtype)
        return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights

    def discover(self, pages: Sequence[Page]) -> np.ndarray:
        """Six full prompts per strip, all attention matrices kept until each ends."""
        return np.stack([self._discover(page) for page in pages])

    def _discover(self, page: Page) -> np.ndarray:
        mass = np.zeros((self.layers, self.heads, len(page.regions), len(page.regions)))
        panel_of = torch.from_numpy(page.panel_of_token()).to(self.model.device)
        for k, question in enumerate(page.questions):
            inputs = self.inputs(page, [question])
            with torch.no_grad():
                out = self.model(**inputs, output_attentions=True, use_cache=False)
            image = (inputs["input_ids"][0] == self.model.config.image_token_id).nonzero()[:, 0]
            for layer, weights in enumerate(out.attentions):
                last = weights[0, :, -1, image]
                for panel in range(len(page.regions)):
                    own = last[:, panel_of == panel].sum(-1)
                    mass[layer, :, k, panel] = own.float().cpu().numpy()
        return mass

    def answer(self, page: Page, conditions: Sequence[HeadSet]) -> Answers:
        """One generation after the other, image and prompt read anew each time."""
        answers = [self._answer(page, None, 0)]
        for heads in conditions:
            answers += [self._answer(page, heads, panel) for panel in range(len(page.regions))]
        return answers

    def _answer(self, page: Page, heads: HeadSet | None, panel: int) -> list[int]:
        inputs = self.inputs(page, [prompts.VQA])
        ids = inputs["input_ids"][0]
        bias = torch.zeros(len(ids), device=ids.device, dtype=self.model.dtype)
        image = (ids == self.model.config.image_token_id).nonzero()[:, 0]
        here = torch.from_numpy(page.panel_of_token()).to(ids.device) == panel
        bias[image[here]], bias[image[~here]] = PAPER_DELTA, -PAPER_DELTA
        self.steered, self.bias = heads, bias
        try:
            return self.greedy(inputs)[0]
        finally:
            self.steered = self.bias = None


class Plain(_Transformers):
    """The limit: transformers with sdpa, as many prompts and answers, nothing steered or kept."""

    def __init__(self, model: str, image_tokens: int, place: Place = CPU):
        super().__init__(model, "sdpa", image_tokens, place)

    def discover(self, pages: Sequence[Page]) -> None:
        """Per strip the shared prefix once and the six ends of the questions as one batch."""
        for page in pages:
            self._discover(page)

    def _discover(self, page: Page) -> None:
        one = self.inputs(page, page.questions[:1])
        rows = [self._ids(page, question) for question in page.questions]
        prefix = next(i for i, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1)
        one["input_ids"] = one["input_ids"][:, :prefix]
        one["attention_mask"] = one["attention_mask"][:, :prefix]
        one["mm_token_type_ids"] = one["mm_token_type_ids"][:, :prefix]
        with torch.no_grad():
            out = self.model(**one, use_cache=True, logits_to_keep=1)
            cache = out.past_key_values
            cache.batch_repeat_interleave(len(rows))
            tails = torch.tensor([row[prefix:] for row in rows], device=self.model.device)
            self.model(input_ids=tails, past_key_values=cache, use_cache=True, logits_to_keep=1)

    def _ids(self, page: Page, question: str) -> list[int]:
        """Token ids of one prompt, without touching the image again."""
        message = {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": question}],
        }
        text = self.processor.apply_chat_template([message], add_generation_prompt=True)
        pad = "<|image_pad|>"
        text = text.replace(pad, pad * page.image_tokens)
        found: list[int] = self.processor.tokenizer(text, add_special_tokens=False).input_ids
        return found

    def answer(self, page: Page, conditions: Sequence[HeadSet]) -> Answers:
        """The same number of answers in one batch; transformers reads the image once a row."""
        count = 1 + len(conditions) * len(page.regions)
        return self.greedy(self.inputs(page, [prompts.VQA] * count))


CONTENDERS: dict[str, type[Ours] | type[Flex] | type[Literal] | type[Plain]] = {
    "ours": Ours,
    "flex": Flex,
    "literal": Literal,
    "plain": Plain,
}
