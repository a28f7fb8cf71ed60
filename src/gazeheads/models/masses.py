"""Where the attention of heads lies among groups of the prompt's keys, while a text is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.recorder import Recorder
from gazeheads.heads import HeadSet
from gazeheads.models.batch import make_batch
from gazeheads.models.generate import Decoding, decode
from gazeheads.models.inputs import Inputs
from gazeheads.models.rows import sources_of
from gazeheads.regions import ImageTokens
from gazeheads.steering import Steering

if TYPE_CHECKING:
    from gazeheads.models.vlm import VLM

Groups = Callable[[ImageTokens, int], np.ndarray]
"""From a prompt's image tokens and its length S to an (S, R) table of 0 and 1: which of the
prompt's keys belong to which group."""


def group_masses(
    vlm: VLM,
    rows: Sequence[tuple[Inputs, Steering | None]],
    heads: HeadSet,
    groups: Sequence[Groups],
    max_new_tokens: int,
) -> list[np.ndarray]:
    """Attention of every new token's query to groups of keys, as steered.

    Args:
        vlm: the model; no steering surrounds this.
        rows: prompts, each alone or with its steering.
        heads: whose attention.
        groups: per row.
        max_new_tokens: of every text.

    Returns:
        Per row (steps, heads, R + 1): step 0 is the last prompt token's query; the last column is
        what is left, the text written so far.
    """
    vlm.check_heads(heads, *(steering.used_heads for _, steering in rows if steering is not None))
    batch = make_batch(vlm.family, vlm.model, [prompt for prompt, _ in rows], vlm.pad, vlm.device)
    keys = batch.ids.shape[1]
    tables, positions = [], []
    for (prompt, _), of_row in zip(rows, groups, strict=True):
        positions.append(np.arange(keys - len(prompt), keys))
        tables.append(of_row(prompt.tokens, len(prompt)).astype(np.float32))
    recorder = Recorder(positions, heads.heads, tables)
    sources = sources_of(vlm, batch, [[own] if own is not None else [] for _, own in rows])
    plan = ForwardPlan(sources, keys, recorder)
    plan.check()
    lengths = [0] * len(rows)
    decoding = Decoding(max_new_tokens)
    for step in decode(vlm.family, vlm.model, vlm.state, batch, plan, decoding, vlm.stops, vlm.pad):
        lengths = [n + (token is not None) for n, token in zip(lengths, step, strict=True)]
    recorded = recorder.attention()
    whole = np.concatenate([recorded, 1 - recorded.sum(-1, keepdims=True)], -1)
    return [whole[:length, row] for row, length in enumerate(lengths)]
