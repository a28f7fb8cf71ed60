"""What a row of a batch has done to its attention: plain values, resolved to key positions.

`Intervention` is the form PyTorch, the exported graph and the live page share: which heads, a sign
per key, a strength. Positions are indices into the key sequence of the batch, left padding
included, so they differ per row. Steps count generated tokens: step 0 is the prefill, whose last
row gives the first new token; step t is the pass that gives the token after t tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head

Mode = Literal["soft", "hard", "paper", "within"]
When = Literal["prefill", "decode", "both"]
Norms = Literal["none", "value", "output"]
MODES: tuple[Mode, ...] = ("soft", "hard", "paper", "within")
WHEN: tuple[When, ...] = ("prefill", "decode", "both")


class InterventionError(GazeheadsError):
    """An intervention that contradicts itself, the model or the batch it runs on."""


@dataclass(frozen=True, eq=False)
class Intervention:
    """A bias on the attention of some heads of one row.

    The heads' scores before the softmax get +delta where the key sign is 1, -delta where it is -1
    and nothing elsewhere, for EVERY query of the passes it acts in; in the prefill that includes
    queries of image tokens and of text before the question. The causal mask stays on top: a query
    only ever sees keys that the plain model lets it see.

    Modes:
        "soft": finite delta, scores and softmax in float32.
        "hard": the limit of "soft" for delta to infinity. A query that sees some of the target
            attends to that part alone, with the plain proportions; else to the text it sees alone;
            else (only other image tokens in sight) as in the plain model.
        "paper": delta (10,000) added in the model's own dtype, as the study did: in bfloat16 the
            attention inside the target becomes uniform.
        "within": mass moves inside the image only. Text keys keep their plain weights and the image
            its plain total, for every query; finite or infinite delta. A query that sees none of
            the target attends as in the plain model.

    Attributes:
        head_mask: (L, H) bool, the heads.
        key_sign: (K,) int8 over the prompt's keys: 1 target, -1 the image's other tokens, 0 text.
            Keys after them (generated tokens) count as text.
        delta: strength in units of attention scores; infinite for "hard" and, if wanted, "within".
        mode: see above.
        name: of the target, in outputs.
    """

    head_mask: np.ndarray
    key_sign: np.ndarray
    delta: float = math.inf
    mode: Mode = "hard"
    name: str = ""

    def __post_init__(self) -> None:
        check_strength(self.delta, self.mode, "both")
        if self.head_mask.ndim != 2 or self.key_sign.ndim != 1:
            raise InterventionError(
                "an intervention wants a head mask (layers, heads) and a key sign (keys,), found "
                f"{self.head_mask.shape} and {self.key_sign.shape}"
            )
        if not (self.key_sign == 1).any():
            raise InterventionError(f"target {self.name!r} has no image tokens")

    @classmethod
    def of(
        cls,
        heads: Iterable[Head],
        shape: tuple[int, int],
        target: np.ndarray,
        others: np.ndarray,
        keys: int,
        delta: float = math.inf,
        mode: Mode = "hard",
        name: str = "",
    ) -> Intervention:
        """From heads and key positions.

        Args:
            heads: to steer.
            shape: (layers, heads per layer) of the model.
            target, others: key positions of the target's image tokens and of the image's others.
            keys: of the prompt, padding included.
            delta, mode, name: see the attributes.

        Raises:
            InterventionError: a head does not exist, or the target is empty.
        """
        mask = np.zeros(shape, dtype=bool)
        for layer, head in heads:
            if not (0 <= layer < shape[0] and 0 <= head < shape[1]):
                raise InterventionError(
                    f"head L{layer}H{head} does not exist: layers are 0..{shape[0] - 1}, "
                    f"heads 0..{shape[1] - 1}"
                )
            mask[layer, head] = True
        sign = np.zeros(keys, dtype=np.int8)
        sign[others] = -1
        sign[target] = 1
        return cls(mask, sign, delta, mode, name)

    @cached_property
    def heads_by_layer(self) -> dict[int, np.ndarray]:
        """Layer -> its steered heads, ascending; layers without any are left out."""
        layers = np.flatnonzero(self.head_mask.any(1))
        return {int(layer): np.flatnonzero(self.head_mask[layer]) for layer in layers}

    @cached_property
    def target(self) -> np.ndarray:
        """Key positions of the target, ascending."""
        return np.flatnonzero(self.key_sign == 1)


InterventionAt = Callable[[int, bool], Intervention | None]
"""From a step, and whether it is a decode step, to what acts then. The same intervention must come
back as the same object, so that nothing is rebuilt while it stays."""


def acts_in(when: When, decoding: bool) -> bool:
    """Whether `when` names a decode step, or else the prefill."""
    return when == "both" or (when == "decode") == decoding


def check_strength(delta: float, mode: Mode, when: When) -> None:
    """Raises InterventionError unless `delta` makes sense in `mode`, and both words are known."""
    if when not in WHEN:
        raise InterventionError(f"unknown phase {when!r}: use prefill, decode or both")
    if mode not in MODES:
        raise InterventionError(f"unknown mode {mode!r}: use soft, hard, paper or within")
    if math.isnan(delta):
        raise InterventionError("delta is NaN")
    if mode == "hard" and delta != math.inf:
        raise InterventionError(f"mode 'hard' means delta = infinity, not {delta}: use mode 'soft'")
    if mode == "within" and delta == -math.inf:
        raise InterventionError("mode 'within' moves mass to the target, not away: delta = -inf")
    if mode not in ("hard", "within") and not math.isfinite(delta):
        raise InterventionError(f"mode {mode!r} needs a finite delta: use mode 'hard' for infinity")


def check_apart(interventions: Iterable[Intervention | None], row: int) -> None:
    """Raises InterventionError if two interventions of one row share a head."""
    taken: np.ndarray | None = None
    for intervention in interventions:
        if intervention is None:
            continue
        if taken is None:
            taken = intervention.head_mask
            continue
        if (both := taken & intervention.head_mask).any():
            layer, head = np.argwhere(both)[0]
            raise InterventionError(f"head L{layer}H{head} is steered twice in row {row}")
        taken = taken | intervention.head_mask
