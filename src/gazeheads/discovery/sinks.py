"""Sinks: image tokens that draw attention whatever the picture shows or the text says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gazeheads import prompts
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadSet

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.trace import GazeTrace

FACTOR = 5.0
"""A sink draws at least so many times the mean of the image's tokens."""
QUANTILE = 0.1
"""Under all queries but this share of them."""
QUESTIONS = (
    "What is at the top left of this image?",
    "What is at the bottom right of this image?",
    prompts.discovery(1, 6),
    prompts.discovery(6, 6),
)
"""They send the gaze to opposite ends: what is looked at under all of them is not looked for."""


@dataclass(frozen=True, eq=False)
class Sinks:
    """The sinks among the T image tokens of a prompt.

    Attributes:
        placed: (T,) bool: draw attention on a blank and on a noise image of the same size too, so
            that it is their place that draws.
        bound: (T,) bool: draw it on this picture only, under all questions and at all steps.
        draw: (T,) times the mean of the image's tokens that a token draws on this picture, at the
            quantile `QUANTILE` over all queries.
        queries: how many there were on this picture.
    """

    placed: np.ndarray
    bound: np.ndarray
    draw: np.ndarray
    queries: int

    @property
    def tokens(self) -> np.ndarray:
        """Indices of the sinks among the image tokens, ascending."""
        return np.flatnonzero(self.placed | self.bound)

    def __len__(self) -> int:
        return len(self.tokens)

    def told(self) -> str:
        """For people: how many there are, and of which kind."""
        count = len(self.placed)
        if not len(self):
            return f"none of the {count} image tokens is a sink"
        kinds = [(self.placed, "by their place"), (self.bound & ~self.placed, "in this picture")]
        parts = [f"{int(found.sum())} {how}" for found, how in kinds if found.any()]
        verb = "is a sink" if len(self) == 1 else "are sinks"
        return (
            f"{len(self)} of {count} image tokens {verb}, which draw attention whatever is said "
            f"({', '.join(parts)})"
        )


def find_sinks(
    vlm: VLM,
    image: Image.Image,
    heads: HeadSet | Sequence[tuple[int, int]],
    trace: GazeTrace | None = None,
    factor: float = FACTOR,
    seed: int = 0,
) -> Sinks:
    """Finds the sinks of some heads on a picture.

    The heads' attention is measured from the last token of questions that send the gaze to
    opposite ends of the image: on the picture, on a grey image and on noise, all of one size; and
    at every step of a text about the picture, if there is one. A token that draws at least
    `factor` times the mean under (almost) all of them is not looked at for what it shows.

    Args:
        vlm: the model.
        image: upright RGB.
        heads: whose attention.
        trace: of a text about the same picture by at least these heads, unsteered.
        factor: see `FACTOR`.
        seed: of the noise.

    Raises:
        GazeheadsError: the factor is not above 1, or the trace is of another number of tokens.
    """
    if not factor > 1:
        raise GazeheadsError(f"a sink draws more than the mean: factor must be above 1: {factor}")
    chosen = heads if isinstance(heads, HeadSet) else HeadSet.of(heads)
    noise = np.random.default_rng(seed).integers(0, 256, (image.height, image.width, 3))
    others = (
        Image.new("RGB", image.size, (128, 128, 128)),
        Image.fromarray(noise.astype(np.uint8)),
    )
    own, *neutral = (_asked(vlm, each, chosen) for each in (image, *others))
    if trace is not None:
        if len(trace.tokens) != own.shape[1]:
            raise GazeheadsError(
                f"the trace is of {len(trace.tokens)} image tokens, the picture has {own.shape[1]}"
            )
        steps = trace.of(HeadSet(tuple(Head(*head) for head in chosen)))
        own = np.concatenate([own, steps.values(value_weighted=False)])
    draw = np.quantile(_relative(own), QUANTILE, axis=0)
    everywhere = np.minimum(draw, np.quantile(_relative(np.concatenate(neutral)), QUANTILE, axis=0))
    placed = everywhere >= factor
    return Sinks(placed, (draw >= factor) & ~placed, draw, len(own))


def _asked(vlm: VLM, image: Image.Image, heads: HeadSet) -> np.ndarray:
    """(questions, T): attention of the last prompt token, summed over the heads."""
    from gazeheads.models.rows import UNSTEERED  # noqa: PLC0415 - loads torch

    rows = [(encoded, UNSTEERED) for encoded in vlm.encode_many(image, QUESTIONS, answering=True)]
    done = vlm.generate(rows, watch=heads, norms="none", max_new_tokens=1)
    traces = [each.trace for each in done if each.trace is not None]
    return np.stack([trace.values(value_weighted=False)[0] for trace in traces])


def _relative(values: np.ndarray) -> np.ndarray:
    """Each query's attention over the mean of the image's tokens."""
    mean = values.mean(1, keepdims=True)
    return np.asarray(np.divide(values, mean, out=np.zeros_like(values), where=mean > 0))
