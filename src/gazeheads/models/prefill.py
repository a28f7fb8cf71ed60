"""Reading the prompts of a batch, with what rows of one prompt have in common computed once."""

from __future__ import annotations

from typing import Any

import torch

from gazeheads.attention.fork import Fork, forked, plan_fork
from gazeheads.attention.plan import ForwardPlan, plain_plan
from gazeheads.attention.state import ForwardState
from gazeheads.attention.transfer import to_device
from gazeheads.models.batch import Batch
from gazeheads.models.families.family import Family


def prefill(
    family: Family, model: Any, state: ForwardState, batch: Batch, plan: ForwardPlan | None
) -> tuple[Any, Any]:
    """Reads the prompts: (B, V) logits of the last tokens and the cache of all rows."""
    fork = None
    if batch.alike and batch.rows > 1:
        plan = plan or plain_plan(batch.rows, batch.ids.shape[1])
        fork = plan_fork(plan, state.layers, family.fork_from(batch.features[0]))
    with torch.no_grad(), state.running(plan, padded=True):
        if fork is None or plan is None:
            out = model(**batch.forward_inputs(family), use_cache=True, logits_to_keep=1)
            return out.logits[:, -1], out.past_key_values
        return _forked_prefill(family, model, state, batch, plan, fork)


def _forked_prefill(
    family: Family, model: Any, state: ForwardState, batch: Batch, plan: ForwardPlan, fork: Fork
) -> tuple[Any, Any]:
    """Rows of one prompt as one stream, each with its own from its first steered layer on."""
    inputs = batch.select([0] * fork.initial).forward_inputs(family)
    # positions of one row, alike for all: they broadcast to any number of streams
    inputs["position_ids"] = inputs["position_ids"].narrow(-2, 0, 1)
    with forked(state, plan, fork):
        out = model(**inputs, use_cache=True, logits_to_keep=1)
    cache = out.past_key_values
    for index, layer in enumerate(cache.layers):
        layer.batch_select_indices(to_device(fork.streams(index), layer.device))
    last = to_device(fork.streams(fork.layers), out.logits.device)
    return out.logits[last, -1], cache
