"""How likely a given answer is under many steerings of one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from gazeheads.errors import GazeheadsError
from gazeheads.models.inputs import Inputs
from gazeheads.models.prefill import prefill
from gazeheads.models.rows import Steerings, prepare
from gazeheads.models.score import halving

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

BATCH = 16


def answer_tokens(vlm: VLM, answer: str) -> tuple[int, ...]:
    """The token ids of an answer, without an end token.

    Raises:
        GazeheadsError: it has none.
    """
    ids = vlm.tokenizer(answer, add_special_tokens=False)["input_ids"] if answer.strip() else ()
    if not len(ids):
        raise GazeheadsError("the answer is empty: there is nothing to be likely")
    return tuple(int(token) for token in ids)


def answer_log_probs(
    vlm: VLM,
    inputs: Inputs,
    answer: str | Sequence[int],
    steerings: Sequence[Steerings],
    batch_size: int = BATCH,
) -> list[float]:
    """Log-probability of an answer to one prompt under each of many steerings.

    The answer is read, not written: the passes are those that would write it, so that schedules
    and steering of the prefill or the decoding alone act as they do in `generate`.

    Args:
        vlm: the model.
        inputs: the prompt, encoded once.
        answer: a text as the model would write it, or token ids.
        steerings: per result: a steering, several, None (what surrounds the call, if anything) or
            `UNSTEERED`.
        batch_size: steerings at once; halved if memory runs out.

    Returns:
        Per steering, the natural logarithm of the answer's probability, summed over its tokens.

    Raises:
        GazeheadsError: the answer is empty, a region covers no token, or heads do not exist.
    """
    ids = answer_tokens(vlm, answer) if isinstance(answer, str) else tuple(answer)
    if not ids:
        raise GazeheadsError("the answer is empty: there is nothing to be likely")
    return halving(lambda part: _scored(vlm, inputs, ids, part), list(steerings), batch_size)


def _scored(
    vlm: VLM, inputs: Inputs, answer: Sequence[int], steerings: Sequence[Steerings]
) -> list[float]:
    """The same for one batch."""
    pairs = [(inputs, steering) for steering in steerings]
    batch, plan = prepare(vlm, pairs, None, "none")
    logits, cache = prefill(vlm.family, vlm.model, vlm.state, batch, plan)
    total = _log_probs(logits[:, None], answer[:1])
    # where prompts cannot share a prefix, several tokens cannot follow a cache at once either
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
    return [float(each) for each in total]


def _log_probs(logits: torch.Tensor, said: Sequence[int]) -> torch.Tensor:
    """(B,) sum of the log-probabilities of tokens, from (B, n, V) logits before them."""
    logs = torch.log_softmax(logits.float(), -1)
    ids = torch.tensor(list(said), device=logits.device)[None, :, None]
    return logs.gather(-1, ids.expand(len(logs), -1, -1))[..., 0].double().sum(-1)
