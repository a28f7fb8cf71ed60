"""Steering that surrounds calls: what `with vlm.steer(...)` leaves for forward passes to find.

A hook before the model's forward tells the current run that a pass begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gazeheads.attention.plan import AttentionPlan, PlanError, Steer
from gazeheads.attention.state import PlanRun, current_run, set_run
from gazeheads.regions import ImageTokens
from gazeheads.steering import Steering

if TYPE_CHECKING:
    from gazeheads.models.inputs import Encoded, Encoder


@dataclass(frozen=True, eq=False)
class Ambient:
    """Steering in force for one model.

    Attributes:
        text_config: of the model's language model; tells models apart.
        encoder: remembers the geometry of prompts.
        steerings: all of them at once.
        inputs: the one prompt it is for, or None for any prompt encoded before.
    """

    text_config: object
    encoder: Encoder
    steerings: tuple[Steering, ...]
    inputs: Encoded | None = None

    def tokens(self, ids: torch.Tensor) -> ImageTokens:
        """Image tokens of an unpadded prompt of (S,) ids."""
        if self.inputs is None:
            return self.encoder.recall(ids)
        if self.inputs.ids.tolist() != ids.tolist():
            raise PlanError("the prompt is not the one given as inputs= to vlm.steer")
        return self.inputs.tokens


_AMBIENT: ContextVar[Ambient | None] = ContextVar("gazeheads_ambient", default=None)


def ambient_steerings(text_config: object) -> tuple[Steering, ...]:
    """The steering in force for a model in this context."""
    ambient = _AMBIENT.get()
    return ambient.steerings if ambient and ambient.text_config is text_config else ()


@contextmanager
def surrounding(ambient: Ambient) -> Iterator[None]:
    """Puts steering in force; nested calls for the same model add up."""
    outer = _AMBIENT.get()
    if outer is not None and outer.text_config is ambient.text_config:
        steerings = (*outer.steerings, *ambient.steerings)
        inputs = ambient.inputs or outer.inputs
        ambient = Ambient(ambient.text_config, ambient.encoder, steerings, inputs)
    before = current_run()
    token = _AMBIENT.set(ambient)
    try:
        yield
    finally:
        _AMBIENT.reset(token)
        set_run(before)


def before_forward(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Begins a pass of the current run, or a new run of the steering in force."""
    run, ambient = current_run(), _AMBIENT.get()
    if run is None and ambient is None:
        return
    text_config = model.config.get_text_config()
    ids = kwargs.get("input_ids", args[0] if args else None)
    tokens = ids if ids is not None else kwargs.get("inputs_embeds")
    if tokens is None:
        return
    cache = kwargs.get("past_key_values")
    past = int(cache.get_seq_length()) if cache is not None else 0
    explicit = run is not None and not run.ambient and run.text_config is text_config
    if not explicit and ambient is not None and ambient.text_config is text_config:
        if past == 0:
            run = _ambient_run(ambient, ids, kwargs.get("attention_mask"))
            set_run(run)
        elif run is None:
            raise PlanError("steering must be in force when the prompt is read, not only later")
    if run is not None and run.text_config is text_config:
        run.begin(past, tokens.shape[1], tokens.shape[0])


def _ambient_run(ambient: Ambient, ids: torch.Tensor | None, mask: torch.Tensor | None) -> PlanRun:
    """The plan that steers every row of a batch of prompts."""
    if ids is None:
        raise PlanError("steering needs input_ids, not inputs_embeds")
    steers: list[Steer] = []
    for row, own in enumerate(ids):
        real = torch.ones_like(own, dtype=torch.bool)
        if mask is not None and mask.ndim == 2:
            real = mask[row, : len(own)].bool().to(own.device)
        start = int(real.int().argmax())
        tokens = ambient.tokens(own[real]).shifted(start)
        steers += [steering.on(tokens, row) for steering in ambient.steerings]
    plan = AttentionPlan(ids.shape[0], ids.shape[1], tuple(steers))
    return PlanRun(plan, ambient.text_config, ambient=True)
