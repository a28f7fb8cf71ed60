"""A model whose answers are known: it tells the panel its gaze heads are sent to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from gazeheads.data.drawn.captions import headline
from gazeheads.data.strip import Strip
from gazeheads.heads import Head, HeadScores
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.runs import RunFolder, RunOptions

GAZE = (Head(2, 1), Head(1, 3))
LAYERS, HEADS = 4, 4


def scores(model: str = "scripted") -> HeadScores:
    """The two gaze heads first, all others low and in order."""
    table = np.linspace(0.04, 0.01, LAYERS * HEADS).reshape(LAYERS, HEADS)
    for head, score in zip(GAZE, (0.8, 0.7), strict=True):
        table[head] = score
    return HeadScores(table, provenance={"model": model})


@dataclass
class ScriptedVlm:
    """Both gaze heads: the target's caption. All heads: a loop. Otherwise: panel 1's caption.

    Attributes:
        strips: it knows.
        calls: number of rows of every call of generate.
    """

    strips: Sequence[Strip]
    calls: list[int]
    name: str = "scripted"
    num_layers: int = LAYERS
    num_heads: int = HEADS
    fingerprint: str = "v1-scripted"

    def encode(self, image: Any, prompt: str) -> Strip:
        return next(strip for strip in self.strips if strip.image is image)

    def generate(self, rows: Sequence[Any], max_new_tokens: int) -> list[Any]:
        self.calls.append(len(rows))
        return [SimpleNamespace(text=self._answer(*row)) for row in rows]

    def _answer(self, strip: Strip, steering: Any) -> str:
        assert strip.truths is not None
        if steering is None:
            return headline(strip.truths[0])
        if len(steering.heads) == LAYERS * HEADS:
            return "no no no no no"
        if set(GAZE) <= set(steering.heads):
            return headline(strip.truths[strip.regions.index(steering.target)])
        return headline(strip.truths[0])


def steered(
    out: Path,
    strips: list[Strip],
    name: str = "scripted",
    settings: SteerVqaSettings | None = None,
    judge: Any = None,
) -> RunFolder:
    """A run of `steer-vqa` on this model; default: two heads of every condition."""
    vlm: Any = ScriptedVlm(strips, [], name)
    asked = settings or SteerVqaSettings((2,))
    return steer_vqa.run(vlm, strips, scores(name), asked, RunOptions(out), judge=judge)
