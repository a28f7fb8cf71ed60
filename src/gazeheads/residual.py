"""Directions in the residual stream: collected at the last prompt token, compared, added back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gazeheads.attention.install import decoder_blocks
from gazeheads.errors import GazeheadsError
from gazeheads.models.batch import make_batch
from gazeheads.models.inputs import Inputs
from gazeheads.models.score import halving

if TYPE_CHECKING:
    from gazeheads.models import VLM


class ProbeError(GazeheadsError):
    """States that cannot be collected, or directions that do not fit the model."""


@dataclass(frozen=True, eq=False)
class Probed:
    """What one prompt leaves at its last token.

    Attributes:
        states: (L, D) residual stream after every layer.
        logits: (V,) of the first new token.
    """

    states: np.ndarray
    logits: np.ndarray


def probe(
    vlm: VLM,
    prompts: Sequence[Inputs],
    additions: np.ndarray | None = None,
    batch_size: int = 64,
) -> list[Probed]:
    """Reads prompts and keeps what is at their last token.

    Args:
        vlm: the model.
        prompts: to read.
        additions: (B, L, D), for every prompt what is added after each layer; None: nothing.
        batch_size: prompts at once; halved when memory runs out.
    """
    if additions is not None:
        _check(vlm, additions[0], len(additions) == len(prompts))

    def read(part: Sequence[int]) -> list[Probed]:
        own = None if additions is None else _adder(additions[list(part)])
        return _read(vlm, [prompts[i] for i in part], own)

    return halving(read, range(len(prompts)), batch_size)


@dataclass(frozen=True, eq=False)
class Edit:
    """What is done to the residual stream of one prompt, after one layer, at one token.

    Attributes:
        layer: after which.
        vector: (D,).
        back: how many tokens before the last one.
        replace: the vector takes the place of the state, instead of being added to it.
    """

    layer: int
    vector: np.ndarray
    back: int = 0
    replace: bool = False


def edited(
    vlm: VLM, prompts: Sequence[Inputs], edits: Sequence[Edit | None], batch_size: int = 64
) -> np.ndarray:
    """(B, V) logits of the first new token, every prompt under its own edit.

    Raises:
        ProbeError: a layer, a token or a width that the model or the prompt does not have.
    """
    width = int(vlm.text_config.hidden_size)
    for prompt, edit in zip(prompts, edits, strict=True):
        if edit is None:
            continue
        length = int(prompt.inputs["input_ids"].shape[1])
        within = 0 <= edit.layer < vlm.num_layers and 0 <= edit.back < length
        if not within or edit.vector.shape != (width,):
            raise ProbeError(
                f"no edit of {edit.vector.shape} after layer {edit.layer}, {edit.back} tokens "
                f"before the last: {vlm.name} has {vlm.num_layers} layers of width {width}, the "
                f"prompt {length} tokens"
            )

    def read(part: Sequence[int]) -> list[np.ndarray]:
        return [p.logits for p in _read(vlm, [prompts[i] for i in part], _editor(edits, part))]

    logits: list[np.ndarray] = halving(read, range(len(prompts)), batch_size)
    return np.stack(logits)


def tail_states(
    vlm: VLM, prompts: Sequence[Inputs], tail: int, batch_size: int = 64
) -> list[np.ndarray]:
    """(tail, L, D) per prompt: the residual stream after every layer at its last `tail` tokens."""

    def read(part: Sequence[int]) -> list[np.ndarray]:
        return [p.states for p in _read(vlm, [prompts[i] for i in part], None, tail)]

    return halving(read, range(len(prompts)), batch_size)


def difference_of_means(ones: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> np.ndarray:
    """(L, D) mean of some states minus the mean of others."""
    if not len(ones) or not len(others):
        raise ProbeError("a direction needs states of both kinds")
    values: np.ndarray = np.mean(ones, axis=0) - np.mean(others, axis=0)
    return values


@contextmanager
def adding(vlm: VLM, direction: np.ndarray, layers: Sequence[int]) -> Iterator[None]:
    """Adds a direction after some layers, at the last token of every pass inside `with`.

    So it acts on the last prompt token and on every generated one. Not for several threads at
    once: the model is changed while it lasts.

    Args:
        vlm: the model.
        direction: (L, D).
        layers: after which.
    """
    _check(vlm, direction, True)
    for layer in layers:
        if not 0 <= layer < vlm.num_layers:
            raise ProbeError(f"no layer {layer}: {vlm.name} has layers 0..{vlm.num_layers - 1}")
    chosen = np.zeros_like(direction)
    chosen[list(layers)] = direction[list(layers)]
    with _hooked(vlm, _adder(chosen[None])):
        yield


def _check(vlm: VLM, direction: np.ndarray, complete: bool) -> None:
    shape = (vlm.num_layers, int(vlm.text_config.hidden_size))
    if direction.shape != shape or not complete:
        raise ProbeError(
            f"{vlm.name} needs one direction of {shape[0]} layers x {shape[1]} per prompt, found "
            f"{direction.shape}"
        )


OnOutput = Callable[[int, torch.Tensor], torch.Tensor | None]
"""From a layer and its output (B, S, D) to what replaces it, if anything."""


def _read(
    vlm: VLM, prompts: Sequence[Inputs], act: OnOutput | None, tail: int | None = None
) -> list[Probed]:
    """With a tail, states are (tail, L, D) and not of the last token alone."""
    states: dict[int, torch.Tensor] = {}

    def keep(layer: int, hidden: torch.Tensor) -> None:
        states[layer] = (hidden[:, -1] if tail is None else hidden[:, -tail:]).float().cpu()

    with torch.no_grad(), ExitStack() as hooks:
        batch = make_batch(vlm.family, vlm.model, prompts, vlm.pad, vlm.device)
        if act is not None:
            hooks.enter_context(_hooked(vlm, act))
        hooks.enter_context(_hooked(vlm, keep))
        inputs = batch.forward_inputs(vlm.family)
        out = vlm.model(**inputs, use_cache=False, logits_to_keep=1)
    stacked = torch.stack([states[layer] for layer in sorted(states)], -2).numpy()
    logits = out.logits[:, -1].float().cpu().numpy()
    return [Probed(*each) for each in zip(stacked, logits, strict=True)]


def _editor(edits: Sequence[Edit | None], rows: Sequence[int]) -> OnOutput:
    """Does the edits of some prompts, one per row of the batch."""
    by_layer: dict[int, list[tuple[int, Edit]]] = {}
    for row, number in enumerate(rows):
        if (edit := edits[number]) is not None:
            by_layer.setdefault(edit.layer, []).append((row, edit))

    def act(layer: int, hidden: torch.Tensor) -> torch.Tensor | None:
        if layer not in by_layer:
            return None
        changed = hidden.clone()
        for row, edit in by_layer[layer]:
            vector = torch.from_numpy(np.asarray(edit.vector, dtype=np.float32)).to(hidden)
            place = changed[row, -1 - edit.back]
            place.copy_(vector if edit.replace else place + vector)
        return changed

    return act


def _adder(additions: np.ndarray) -> OnOutput:
    """Adds (B or 1, L, D) to the last token of a layer's output."""
    ready = torch.from_numpy(np.asarray(additions, dtype=np.float32))
    used = [bool(np.any(additions[:, layer])) for layer in range(additions.shape[1])]

    def add(layer: int, hidden: torch.Tensor) -> torch.Tensor | None:
        if not used[layer]:
            return None
        changed = hidden.clone()
        changed[:, -1] += ready[:, layer].to(hidden)
        return changed

    return add


@contextmanager
def _hooked(vlm: VLM, act: OnOutput | Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """Lets `act` see, and replace, what every block puts out."""
    handles = [
        block.register_forward_hook(_hook(layer, act))
        for layer, block in decoder_blocks(vlm.model).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(layer: int, act: Any) -> Callable[[torch.nn.Module, Any, Any], Any]:
    def hook(module: torch.nn.Module, args: Any, output: Any) -> Any:
        del module, args
        first = output[0] if isinstance(output, tuple) else output
        changed = act(layer, first)
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook
