"""Causal scores: how much steering a head raises the target's answer against a rival's.

Every head has a gate that blends its output from plain (0) to steered at the target (1). The score
is the integrated gradient of log p(answer about the target) - log p(answer about the rival panel)
over the gates, one backward pass per pair and step of the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gazeheads import prompts
from gazeheads.discovery.gaze import DiscoveryError, StripLike
from gazeheads.heads import HeadScores, HeadSet

if TYPE_CHECKING:
    import torch

    from gazeheads.models import VLM
    from gazeheads.models.forced import ForcedAnswer

CAUSAL = "causal"
STEPS = (0.125, 0.375, 0.625, 0.875)
"""Gates at which the gradient is taken: the midpoints of four equal parts of the path."""


@dataclass(frozen=True, eq=False)
class Contest:
    """The same steering with two answers given: the target's and a rival panel's."""

    target: ForcedAnswer
    rival: ForcedAnswer

    @property
    def rows(self) -> list[ForcedAnswer]:
        """Both answers."""
        return [self.target, self.rival]


def contests(
    vlm: VLM, strips: Sequence[StripLike], prompt: str = prompts.VQA, max_new_tokens: int = 15
) -> list[Contest]:
    """One contest per strip and panel.

    The answers are the model's own to the explicit question about each panel, so no labels are
    needed. The rival is the panel whose answer, other than the target's, is likeliest unsteered.

    Args:
        vlm: the model.
        strips: to ask about.
        prompt: the question that names no panel, under which heads are steered.
        max_new_tokens: of the answers.
    """
    from gazeheads.models.forced import ForcedAnswer, log_probabilities  # noqa: PLC0415 - torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    heads = HeadSet.of(zip(*np.nonzero(vlm.living_heads()), strict=True))
    found: list[Contest] = []
    for strip in strips:
        count = len(strip.regions)
        asked = [vlm.encode(strip.image, prompts.discovery(k, count)) for k in range(1, count + 1)]
        said = [each.tokens for each in vlm.generate(asked, max_new_tokens=max_new_tokens)]
        encoded = vlm.encode(strip.image, prompt)
        plain = log_probabilities(vlm, [ForcedAnswer(encoded, answer) for answer in said])
        likely = sorted(range(count), key=lambda j: -float(plain[j]))
        for target, region in enumerate(strip.regions):
            rivals = [j for j in likely if said[j] != said[target]]
            if not rivals:  # nothing tells the panels apart
                continue
            steering = Steering(heads, region, mode="paper")
            both = (ForcedAnswer(encoded, said[j], steering) for j in (target, rivals[0]))
            found.append(Contest(*both))
    if not found:
        raise DiscoveryError(
            "the model gives the same answer about every panel, so no head can be told from "
            "another by its effect: bring other strips"
        )
    return found


def advantage(vlm: VLM, contest: Contest, gate: torch.Tensor) -> torch.Tensor:
    """Log-probability per token of the target's answer minus the rival's, at a gate (L, H)."""
    from gazeheads.models.forced import log_probabilities  # noqa: PLC0415 - loads torch

    target, rival = log_probabilities(vlm, contest.rows, gate)
    difference: torch.Tensor = target - rival
    return difference


def gradient(vlm: VLM, contest: Contest, at: np.ndarray) -> np.ndarray:
    """(L, H) slope of `advantage` at the gates (L, H).

    Raises:
        DiscoveryError: the model lets no gradient through.
    """
    import torch  # noqa: PLC0415 - slow to load

    gate = torch.tensor(at, dtype=torch.float32, device=vlm.device, requires_grad=True)
    gained = advantage(vlm, contest, gate)
    try:
        (slope,) = torch.autograd.grad(gained, gate)
    except (RuntimeError, NotImplementedError) as error:
        from gazeheads.models.score import is_out_of_memory  # noqa: PLC0415 - loads torch

        if is_out_of_memory(error):
            raise DiscoveryError(
                "out of memory in the backward pass of one pair: use a smaller image or model"
            ) from error
        raise DiscoveryError(
            f"no gradient flows through {vlm.name}, so it has no causal ranking: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return np.asarray(slope.cpu(), dtype=np.float64)


def attribution(vlm: VLM, found: Sequence[Contest], steps: Sequence[float] = STEPS) -> HeadScores:
    """Integrated gradients along all gates moving together; `steps=(0.0,)` gives the plain slope.

    Args:
        vlm: the model.
        found: the contests, at least one.
        steps: gates at which the gradient is taken.
    """
    living = vlm.living_heads()
    total = np.zeros(living.shape)
    for contest in found:
        for step in steps:
            total += gradient(vlm, contest, np.full(living.shape, step))
    provenance = {"model": vlm.name, "fingerprint": vlm.fingerprint, "pairs": len(found)}
    return HeadScores(total / (len(found) * len(steps)), None, CAUSAL, provenance, living)
