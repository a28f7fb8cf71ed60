"""How likely a given answer is under many steerings of one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from gazeheads.errors import GazeheadsError
from gazeheads.models.inputs import Inputs, check_text
from gazeheads.models.prefill import prefill
from gazeheads.models.rows import Steerings, prepare
from gazeheads.models.score import halving

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

BATCH = 16


def answer_tokens(vlm: VLM, answer: str) -> tuple[int, ...]:
    """The token ids of an answer, without an end token.

    Raises:
        GazeheadsError: it has none, or a word that the model has no token for.
    """
    ids = vlm.tokenizer(answer, add_special_tokens=False)["input_ids"] if answer.strip() else ()
    if not len(ids):
        raise GazeheadsError("the answer is empty: there is nothing to be likely")
    check_text(vlm.model.config, len(ids), "the answer")
    unknown = getattr(vlm.tokenizer, "unk_token_id", None)
    if unknown is not None and unknown in ids:
        word = next(
            (each for each in answer.split() if unknown in vlm.tokenizer(each)["input_ids"]), answer
        )
        raise GazeheadsError(f"{vlm.name} has no token for {word!r}: it can never say it")
    return tuple(int(token) for token in ids)


def answer_log_probs(
    vlm: VLM,
    inputs: Inputs,
    answer: str | Sequence[int],
    steerings: Sequence[Steerings],
    batch_size: int = BATCH,
) -> list[float]:
    """`answers_log_probs` of one answer, as a list."""
    table = answers_log_probs(vlm, inputs, [answer], steerings, batch_size)
    return [float(value) for value in table[:, 0]]


def answers_log_probs(
    vlm: VLM,
    inputs: Inputs,
    answers: Sequence[str | Sequence[int]],
    steerings: Sequence[Steerings],
    batch_size: int = BATCH,
) -> np.ndarray:
    """Log-probabilities of answers to one prompt under each of many steerings.

    The answers are read, not written: the passes are those that would write them, so that schedules
    and steering of the prefill or the decoding alone act as they do in `generate`. Answers of one
    token share a pass.

    Args:
        vlm: the model.
        inputs: the prompt, encoded once.
        answers: texts as the model would write them, or token ids.
        steerings: per result: a steering, several, None (what surrounds the call, if anything) or
            `UNSTEERED`.
        batch_size: steerings at once; halved if memory runs out.

    Returns:
        (steerings, answers) natural logarithms of the probabilities, summed over tokens.

    Raises:
        GazeheadsError: an answer is empty or cannot be said, a region covers no token, or heads do
            not exist.
    """
    ids = [answer_tokens(vlm, each) if isinstance(each, str) else tuple(each) for each in answers]
    if not ids or not all(ids):
        raise GazeheadsError("the answer is empty: there is nothing to be likely")
    short: list[tuple[int, ...]] = [each for each in ids if len(each) == 1]
    groups = [short] if short else []
    groups += [[each] for each in ids if len(each) > 1]
    found: dict[tuple[int, ...], list[float]] = {}
    for group in groups:
        rows = halving(partial(_scored, vlm, inputs, group), list(steerings), batch_size)
        found |= dict(zip(group, map(list, zip(*rows, strict=True)), strict=True))
    return np.array([found[each] for each in ids]).T


def _scored(
    vlm: VLM,
    inputs: Inputs,
    answers: Sequence[tuple[int, ...]],
    steerings: Sequence[Steerings],
) -> list[list[float]]:
    """Per steering of one batch, its answers: several of one token, or one of any length."""
    pairs = [(inputs, steering) for steering in steerings]
    batch, plan = prepare(vlm, pairs, None, "none")
    logits, cache = prefill(vlm.family, vlm.model, vlm.state, batch, plan)
    totals = [_log_probs(logits[:, None], answer[:1]) for answer in answers]
    # where prompts cannot share a prefix, several tokens cannot follow a cache at once either
    answer, total = answers[0], totals[0]
    read = answer[:-1]
    width = max(1, len(read)) if vlm.family.shares_prefix else 1
    for start in range(0, len(read), width):
        part = read[start : start + width]
        ids = torch.tensor([list(part)] * batch.rows, device=batch.ids.device)
        offsets = torch.arange(start, start + len(part), device=batch.ids.device)
        with torch.no_grad(), vlm.state.running(plan):
            out = vlm.model(
                input_ids=ids,
                position_ids=vlm.family.next_positions(batch.following[:, None] + offsets),
                past_key_values=cache,
                use_cache=True,
            )
        total += _log_probs(out.logits, answer[start + 1 : start + 1 + len(part)])
        cache = out.past_key_values
    return torch.stack(totals, -1).tolist()


def _log_probs(logits: torch.Tensor, said: Sequence[int]) -> torch.Tensor:
    """(B,) sum of the log-probabilities of tokens, from (B, n, V) logits before them."""
    logs = torch.log_softmax(logits.float(), -1)
    ids = torch.tensor(list(said), device=logits.device)[None, :, None]
    return logs.gather(-1, ids.expand(len(logs), -1, -1))[..., 0].double().sum(-1)
