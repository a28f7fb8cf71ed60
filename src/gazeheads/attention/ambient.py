"""`with vlm.steer(...)`: steering of passes that other code makes, transformers' generate first."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import torch

from gazeheads.attention.intervention import InterventionAt, InterventionError
from gazeheads.attention.known_prompts import KnownPrompt, UnknownPromptError, one_geometry
from gazeheads.attention.plan import ForwardPlan
from gazeheads.attention.row_prompts import RowPrompts
from gazeheads.attention.scope import Scope
from gazeheads.regions import ImageTokens

if TYPE_CHECKING:
    from gazeheads.attention.state import ForwardState


class NothingSteeredError(InterventionError):
    """A `with vlm.steer(...)` that ended without a single steered pass."""


class Steers(Protocol):
    """Heads pointed somewhere, before it is known on which prompt."""

    def on(self, tokens: ImageTokens, shape: tuple[int, int], keys: int) -> InterventionAt:
        """What acts on a row whose image tokens (padding included) are `tokens`.

        Args:
            tokens: of the row.
            shape: (layers, heads per layer) of the model.
            keys: of the prompt, padding included.
        """
        ...


class SteeringContext(Scope):
    """One `with vlm.steer(...)` of one model; it can be entered once at a time.

    Attributes:
        state: of the model.
        steering: what it does.
        prompt: the only prompt it is for; None: any known one.
        used: whether a pass was under it.
    """

    def __init__(
        self, state: ForwardState, steering: Steers, prompt: KnownPrompt | None = None
    ) -> None:
        super().__init__()
        self.state, self.steering, self.prompt = state, steering, prompt
        self.used = False
        self._passes = 0

    def __enter__(self) -> None:
        if self.number >= 0 and not self.closed:
            raise InterventionError("this steering is in force already: call vlm.steer again")
        self.used, self._passes = False, self.state.passes
        self.open(sys._getframe(1))
        self.state.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self.state.remove(self)
        if kind is None and not self.used:
            raise NothingSteeredError(f"nothing was steered: {self._why()}")

    def _why(self) -> str:
        state = self.state
        if not state.installed():
            return (
                f"the attention of {state.name} was switched to "
                f"{state.text_config._attn_implementation!r} after it was wrapped: wrap it again"
            )
        if state.passes == self._passes:
            return (
                f"no forward pass of {state.name} ran inside the `with`; a copy, a wrapper or "
                "another object of the model is not steered: generate with vlm.model"
            )
        if self.prompt is not None:
            return "the prompt given as inputs= was never read, only others"
        return f"passes of {state.name} ran, but none inside this `with`"


@dataclass(eq=False)
class AmbientRun:
    """One generation under surrounding steering.

    Attributes:
        plan: what acts on it; None: it is a prompt that the contexts are not for.
        contexts: that it began under.
        adopted: whether a thread without a `with` of its own took them.
        prompts: per row, the known prompt it is; None for a row that is none of them.
        ids: (B, S) of the latest pass that read the whole sequence.
    """

    plan: ForwardPlan | None
    contexts: tuple[SteeringContext, ...]
    adopted: bool
    prompts: tuple[KnownPrompt | None, ...]
    ids: torch.Tensor

    def goes_on(self, contexts: tuple[SteeringContext, ...]) -> bool:
        """Whether a later pass on its cache is still steered; False: it is plain.

        Raises:
            InterventionError: other steering is in force than when the prompt was read.
        """
        if contexts == self.contexts or (self.adopted and not contexts):
            return True
        if contexts:
            raise InterventionError(
                "the steering in force is not the one the prompt was read under: begin every "
                "`with vlm.steer(...)` before the prefill"
            )
        return False

    def extends(
        self, state: ForwardState, ids: torch.Tensor | None, kwargs: Mapping[str, Any]
    ) -> bool:
        """Whether a pass without a KV cache reads the same sequence again, and more of it."""
        if ids is None or self.plan is None or ids.shape[0] != self.ids.shape[0]:
            return False
        length = self.ids.shape[1]
        if ids.shape[1] <= length or not torch.equal(ids[:, :length], self.ids):
            return False
        rows = RowPrompts(state, ids[:, : self.plan.prompt_length], kwargs)
        known_of = (rows.of(row, known is not None) for row, known in enumerate(self.prompts))
        if not all(
            k is None or k in known for k, known in zip(self.prompts, known_of, strict=True)
        ):
            return False
        self.ids = ids
        return True


def begin_run(
    state: ForwardState,
    contexts: tuple[SteeringContext, ...],
    adopted: bool,
    ids: torch.Tensor | None,
    kwargs: Mapping[str, Any],
) -> AmbientRun:
    """The plan that steers every row of a batch of prompts.

    Raises:
        UnknownPromptError: a row's image tokens are not known.
    """
    if ids is None:
        raise UnknownPromptError("steering needs input_ids, not inputs_embeds")
    rows = RowPrompts(state, ids, kwargs)
    anyone = any(context.prompt is None for context in contexts)
    known_of = [rows.of(row, anyone) for row in range(len(ids))]
    shape, keys = (state.layers, state.heads), rows.prompt_length
    sources: list[list[InterventionAt]] = []
    for known, padding in zip(known_of, rows.padding, strict=True):
        acting: list[InterventionAt] = []
        for context in contexts:
            if context.prompt is not None and context.prompt not in known:
                continue
            chosen = known if context.prompt is None else [context.prompt]
            acting.append(context.steering.on(one_geometry(chosen).shifted(padding), shape, keys))
            context.used = True
        sources.append(acting)
    prompts = tuple(
        known[0] if acting else None for known, acting in zip(known_of, sources, strict=True)
    )
    plan = ForwardPlan(sources, keys) if any(sources) else None
    return AmbientRun(plan, contexts, adopted, prompts, ids)
