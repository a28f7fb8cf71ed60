"""Whether the exported graphs repeat the model: token for token, steered and unsteered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from gazeheads.export.errors import ExportError
from gazeheads.export.prompt import prepare
from gazeheads.export.runner import Decoded, Runner
from gazeheads.heads import HeadSet
from gazeheads.models.inputs import Encoded
from gazeheads.models.vlm import VLM
from gazeheads.prompts import FREE_NARRATION
from gazeheads.regions import Region
from gazeheads.steering import Schedule, Steering

TOKENS = 30
SWITCH = 5
"""The heads are pointed at another panel every so many tokens."""


class PanelPicture(Protocol):
    """A picture with panels."""

    @property
    def image(self) -> Image.Image:
        """The picture."""
        ...

    @property
    def regions(self) -> tuple[Region, ...]:
        """Its panels."""
        ...


@dataclass(frozen=True)
class Comparison:
    """One text written twice.

    Attributes:
        name: what was written.
        equal: tokens before the first that differs.
        tokens: in all.
        difference: largest between logits, over the equal tokens and the first that differs.
        preference: by how much the model preferred its token where the first one differs.
    """

    name: str
    equal: int
    tokens: int
    difference: float
    preference: float = 0.0


def compare(
    vlm: VLM, runner: Runner, heads: HeadSet, strips: Sequence[PanelPicture]
) -> list[Comparison]:
    """The model's tokens beside the graphs', per strip unsteered and with a moving target."""
    out = []
    for number, strip in enumerate(strips, 1):
        encoded, exported = prepare(vlm, strip.image, FREE_NARRATION)
        moving = Schedule.every(SWITCH, list(reversed(strip.regions)))
        steering = Steering(heads, moving)
        acting = steering.on(encoded.tokens, (vlm.num_layers, vlm.num_heads), len(encoded))
        plain = (reference(vlm, encoded, None), runner.generate(exported, TOKENS))
        steered = (
            reference(vlm, encoded, steering),
            runner.generate(exported, TOKENS, acting),
        )
        out.append(_compared(f"strip {number}, unsteered", *plain))
        out.append(_compared(f"strip {number}, steered", *steered))
    return out


def insist(comparisons: Sequence[Comparison], tolerance: float, tie: float = 0.0) -> None:
    """Raises ExportError unless every token is equal and no logit differs by more.

    Args:
        comparisons: to judge.
        tolerance: largest difference of logits that passes.
        tie: a token may differ if the model preferred its own by no more than this.
    """
    for each in comparisons:
        if each.equal < each.tokens and each.preference > tie:
            raise ExportError(
                f"the exported graphs do not repeat the model: {each.name}, token "
                f"{each.equal + 1} of {each.tokens} differs (logits by {each.difference:.2g}); "
                "store the weights in more bits, for example with --weights float16"
            )
        if each.difference > tolerance:
            raise ExportError(
                f"the exported graphs do not repeat the model: {each.name}, logits differ by "
                f"{each.difference:.2g}, more than {tolerance:.2g}"
            )


def reference(
    vlm: VLM, encoded: Encoded, steering: Steering | None, tokens: int = TOKENS
) -> Decoded:
    """So many greedy tokens of the model itself, end token or not, with their logits."""
    ids = encoded.inputs["input_ids"]
    mask = torch.ones_like(ids)
    positions, first = vlm.family.positions(vlm.model, ids, mask, [encoded.inputs])
    inputs = {**encoded.inputs, "position_ids": positions}
    chosen: list[int] = []
    kept = []
    steered = nullcontext() if steering is None else vlm.steered(steering, inputs=encoded)
    with torch.no_grad(), steered:
        for step in range(tokens):
            out = vlm.model(**inputs, use_cache=True, logits_to_keep=1)
            logits = out.logits[0, -1].float().numpy()
            chosen.append(int(logits.argmax()))
            kept.append(logits)
            place = (first + step).view(1, 1)
            inputs = {
                "input_ids": torch.tensor([[chosen[-1]]]),
                "position_ids": vlm.family.next_positions(place),
                "past_key_values": out.past_key_values,
            }
    return Decoded(chosen, np.stack(kept))


def _compared(name: str, model: Decoded, graphs: Decoded) -> Comparison:
    same = [a == b for a, b in zip(model.tokens, graphs.tokens, strict=True)]
    equal = same.index(False) if False in same else len(same)
    upto = min(equal + 1, len(same))
    difference = float(np.abs(model.logits[:upto] - graphs.logits[:upto]).max())
    preference = 0.0
    if equal < len(same):
        logits = model.logits[equal]
        preference = float(logits[model.tokens[equal]] - logits[graphs.tokens[equal]])
    return Comparison(name, equal, len(same), difference, preference)
