"""Log-probabilities of given answers, steered as far as a gate per head says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from gazeheads.attention.plan import ForwardPlan
from gazeheads.models.batch import make_batch
from gazeheads.models.inputs import Inputs
from gazeheads.models.rows import sources_of
from gazeheads.steering import Steering

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM


@dataclass(frozen=True, eq=False)
class ForcedAnswer:
    """A prompt with the answer it is given.

    Attributes:
        prompt: encoded.
        answer: token ids, at least one.
        steering: of prompt and answer alike; None: plain.
    """

    prompt: Inputs
    answer: tuple[int, ...]
    steering: Steering | None = None


def log_probabilities(
    vlm: VLM, rows: Sequence[ForcedAnswer], gate: torch.Tensor | None = None
) -> torch.Tensor:
    """(B,) mean log-probability of the answers' tokens; differentiable in the gate.

    Args:
        vlm: the model.
        rows: the answers.
        gate: (B, L, H) or (L, H): how far each steered head's output goes from the plain one (0)
            to the steered one (1); None: all the way.
    """
    whole = [_appended(row.prompt, row.answer) for row in rows]
    with torch.no_grad():
        batch = make_batch(vlm.family, vlm.model, whole, vlm.pad, vlm.device)
    keys, shape = batch.ids.shape[1], (vlm.num_layers, vlm.num_heads)
    steerings = [[row.steering] if row.steering is not None else [] for row in rows]
    sources = sources_of(vlm, batch, steerings)
    own = None if gate is None else gate.expand(len(rows), *shape)
    plan = ForwardPlan(sources, keys, gate=own)
    longest = max(len(row.answer) for row in rows)
    inputs = batch.forward_inputs(vlm.family)
    with torch.set_grad_enabled(gate is not None and gate.requires_grad), vlm.state.running(plan):
        out = vlm.model(**inputs, use_cache=False, logits_to_keep=longest + 1)
    logs = torch.log_softmax(out.logits[:, :-1].float(), -1)
    said = batch.ids[:, -longest:, None].to(logs.device)
    of_tokens = logs[:, -longest:].gather(-1, said)[..., 0]
    return torch.stack(
        [tokens[-len(row.answer) :].mean() for tokens, row in zip(of_tokens, rows, strict=True)]
    )


def _appended(prompt: Inputs, answer: Sequence[int]) -> Inputs:
    """A prompt with the tokens of its answer."""
    length = len(prompt)
    inputs = dict(prompt.inputs)
    for name, tensor in prompt.inputs.items():
        if tensor.shape == (1, length):
            fill = 1 if name == "attention_mask" else 0
            inputs[name] = torch.cat([tensor, tensor.new_full((1, len(answer)), fill)], 1)
    tail = prompt.ids.new_tensor([list(answer)])
    inputs["input_ids"] = torch.cat([prompt.inputs["input_ids"], tail], 1)
    return replace(prompt, inputs=inputs)
