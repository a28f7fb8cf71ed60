"""Token by token: prefill a batch, then one forward pass per new token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.state import ForwardState
from gazeheads.attention.transfer import to_device
from gazeheads.errors import GazeheadsError
from gazeheads.models.batch import Batch
from gazeheads.models.families.family import Family
from gazeheads.models.prefill import prefill


class DecodingError(GazeheadsError):
    """A decoding option that is not supported here."""


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen; greedy by default.

    Options left at None come from the model's generation config, as in transformers.

    Attributes:
        max_new_tokens: at most so many.
        do_sample: sample instead of taking the likeliest token.
        temperature, top_k, top_p: of sampling.
        repetition_penalty, no_repeat_ngram_size: as in transformers.
        seed: of sampling; None: torch's global generator.
        ignore_eos: go on to `max_new_tokens` whatever the model says.
    """

    max_new_tokens: int = 64
    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    seed: int | None = None
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.max_new_tokens, bool) or not hasattr(self.max_new_tokens, "__index__"):
            raise DecodingError(f"max_new_tokens is a whole number, not {self.max_new_tokens!r}")
        if self.max_new_tokens < 1:
            raise DecodingError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")

    @classmethod
    def of(cls, **options: Any) -> Decoding:
        """From keyword options; refuses what is not supported."""
        if options.pop("num_beams", 1) != 1:
            raise DecodingError(
                "beam search is not supported here; inside `with vlm.steer(...)` use the model's "
                "own generate"
            )
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            raise DecodingError(f"unknown decoding options: {', '.join(unknown)}")
        return cls(**options)

    def processors(self, config: Any) -> LogitsProcessorList:
        """What is done to the logits before a token is chosen."""

        def option(name: str) -> Any:
            value = getattr(self, name)
            return getattr(config, name, None) if value is None else value

        out = LogitsProcessorList()
        if (penalty := option("repetition_penalty")) not in (None, 1.0):
            out.append(RepetitionPenaltyLogitsProcessor(penalty))
        if size := option("no_repeat_ngram_size"):
            out.append(NoRepeatNGramLogitsProcessor(size))
        if self.do_sample:
            if (temperature := option("temperature")) not in (None, 1.0):
                out.append(TemperatureLogitsWarper(temperature))
            if top_k := option("top_k"):
                out.append(TopKLogitsWarper(top_k))
            if (top_p := option("top_p")) not in (None, 1.0):
                out.append(TopPLogitsWarper(top_p))
        return out


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a text."""
    ids = getattr(model.generation_config, "eos_token_id", None)
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return set()
    return set(ids) if isinstance(ids, list | tuple) else {int(ids)}


def pad_id(tokenizer: Any, stops: set[int]) -> int:
    """Token to pad with; never read, but it must exist."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stops | {0}))


def decode(
    family: Family,
    model: Any,
    state: ForwardState,
    batch: Batch,
    plan: ForwardPlan | None,
    options: Decoding,
    stops: set[int],
    pad: int,
) -> Iterator[list[int | None]]:
    """Generates; yields the new token of every row, None for rows that have ended.

    The plan is in force only while the model runs, never while the caller holds the generator. The
    host waits for the device once a step: to read the tokens.
    """
    stops = set() if options.ignore_eos else stops
    processors = options.processors(model.generation_config)
    generator = None
    if options.do_sample and options.seed is not None:
        generator = torch.Generator(batch.ids.device).manual_seed(options.seed)
    ids, mask, padded = batch.ids, batch.mask, batch.padded
    ended = [False] * len(ids)
    over: torch.Tensor | None = None  # the same on the device, once a row has ended
    logits, cache = prefill(family, model, state, batch, plan)
    for step in range(options.max_new_tokens):
        with torch.no_grad():
            scores = processors(ids, logits.float()) if processors else logits  # type: ignore[arg-type]
            chosen = choose(scores, options, generator)
        chosen = chosen.to(ids.device)
        tokens = chosen.tolist()
        yield [None if gone else token for token, gone in zip(tokens, ended, strict=True)]
        if over is not None:
            chosen = chosen.masked_fill(over, pad)
        now = [gone or token in stops for token, gone in zip(tokens, ended, strict=True)]
        if now != ended:
            ended, over = now, to_device(np.array(now), chosen.device)
        if all(ended) or step + 1 == options.max_new_tokens:
            return
        if processors:  # nobody else reads what was written
            ids = torch.cat([ids, chosen[:, None]], 1)
        if padded:
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        positions = family.next_positions((batch.following + step)[:, None])
        with torch.no_grad(), state.running(plan, padded=True):
            out = model(
                input_ids=chosen[:, None],
                attention_mask=mask if padded else None,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            )
        logits, cache = out.logits[:, -1], out.past_key_values


def choose(
    logits: torch.Tensor, options: Decoding, generator: torch.Generator | None
) -> torch.Tensor:
    """(B,) tokens from (B, V) logits that were processed."""
    if not options.do_sample:
        return logits.argmax(-1)
    return torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0]


class TextPieces:
    """Turns tokens into text one by one, holding back halves of characters.

    The pieces together are the decoded text, and a token costs the same however long the text is.
    """

    def __init__(self, tokenizer: Any) -> None:
        fast = getattr(tokenizer, "backend_tokenizer", None)
        self._fast = fast if isinstance(fast, Tokenizer) else None
        self._stream = DecodeStream(skip_special_tokens=True)
        self._tokenizer = tokenizer
        self._held: list[int] = []  # tokens whose text is not out yet
        self._before: list[int] = []  # the last ones whose text is: words may join to them

    def push(self, token: int) -> str:
        """The text that `token` completes; may be empty."""
        self._held.append(token)
        if self._fast is not None:
            piece = self._stream.step(self._fast, token)
        else:
            text = self._new_text()
            piece = None if text.endswith("\ufffd") else text
        if piece is None:
            return ""
        self._before, self._held = self._held, []
        return piece

    def rest(self) -> str:
        """What is still held back when no more tokens come."""
        return self._new_text() if self._held else ""

    def _new_text(self) -> str:
        before = self._decode(self._before)
        return self._decode([*self._before, *self._held])[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


def pieces(tokenizer: Any, tokens: Sequence[int]) -> tuple[str, ...]:
    """The text each token adds; together they are the decoded text."""
    texts = TextPieces(tokenizer)
    parts = [texts.push(token) for token in tokens]
    if parts:
        parts[-1] += texts.rest()
    return tuple(parts)
