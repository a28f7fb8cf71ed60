"""A phrase's place by attention: where heads look when the question names it.

The published pipeline is that of localization heads (Kang et al., CVPR 2025, arXiv 2503.06287):
three heads that look at one place, their maps smoothed and added, cut at the mean, boxed. The box
is that of the largest clump, of 8-connected cells: our reading of a step the paper names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gazeheads.data.objects import drawn_pictures
from gazeheads.discovery.localization_heads import (
    localization_heads,
    looks_at_bottom,
    spatial_entropy,
)
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.heads_by_default import TUNING_SEED
from gazeheads.locating.cells import Cells
from gazeheads.locating.located import ATTENTION, Located

if TYPE_CHECKING:
    from gazeheads.models import VLM

QUESTION = "Where is the {phrase}?"
FINEST = 64
"""Cells of a map along an edge, at most."""
SAMPLES = 12
"""Drawn scenes that localization heads are found on, unless others are given."""
HEADS = 3
"""As many localization heads as the paper uses."""


def attention_maps_of(
    vlm: VLM, image: Image.Image, phrase: str, heads: HeadSet | None = None
) -> tuple[np.ndarray, Cells]:
    """Attention of the last prompt token when the question names a phrase, in any family.

    Args:
        vlm: the model.
        image: upright RGB.
        phrase: named in the question.
        heads: which; None: all, in order of layer and head.

    Returns:
        (heads, rows, columns) mass per cell, and the cells.
    """
    from gazeheads.models.rows import UNSTEERED  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(image, QUESTION.format(phrase=phrase))
    watched = "all" if heads is None else heads
    done = vlm.generate([(encoded, UNSTEERED)], watch=watched, norms="none", max_new_tokens=1)
    trace = done[0].trace
    if trace is None:
        raise RuntimeError("a watched generation has a trace")
    cells = Cells.of(encoded.tokens, FINEST, each_steerable=False)
    return cells.sums(trace.attention[0], encoded.tokens), cells


def attended(
    vlm: VLM, image: Image.Image, phrase: str, heads: HeadSet, method: str = ATTENTION
) -> Located:
    """Where heads look when the question names a phrase, boxed by the published pipeline.

    Args:
        vlm: the model.
        image: upright RGB.
        phrase: what is looked for.
        heads: whose attention, summed.
        method: what the result is called.
    """
    maps, cells = attention_maps_of(vlm, image, phrase, heads)
    values = maps.sum(0)
    return Located(phrase, method, values, cells, cells.smoothed_box(values), cells.centre(values))


def find_localization_heads(
    vlm: VLM, samples: Sequence[tuple[Image.Image, str]], seed: int = 0
) -> HeadScores:
    """Scores heads by the criteria of Kang et al. on pictures and phrases.

    Args:
        vlm: the model.
        samples: pictures, each with a phrase of something in it.
        seed: kept with the scores: of the pictures, if they were drawn.
    """
    shape = (vlm.num_layers, vlm.num_heads)
    mass, entropy, bottom = (np.zeros((len(samples), *shape)) for _ in range(3))
    for number, (image, phrase) in enumerate(samples):
        maps = attention_maps_of(vlm, image, phrase)[0]
        flat = _on_all(maps, vlm)
        mass[number] = flat.sum((-2, -1)).reshape(shape)
        entropy[number] = np.reshape([spatial_entropy(each) for each in flat], shape)
        bottom[number] = np.reshape([looks_at_bottom(each) for each in flat], shape)
    provenance = {
        "model": vlm.name, "fingerprint": vlm.fingerprint, "samples": len(samples), "seed": seed,
    }  # fmt: skip
    return localization_heads(mass, entropy, bottom > 0, provenance, vlm.living_heads())


def default_localization_heads(vlm: VLM, seed: int = 0) -> HeadSet:
    """The paper's number of localization heads, found on drawn scenes.

    Args:
        vlm: the model.
        seed: of the scenes.
    """
    scenes = drawn_pictures(SAMPLES, seed + TUNING_SEED)
    samples = [(each.image, each.things[0].name) for each in scenes]
    return find_localization_heads(vlm, samples, seed).top(HEADS)


def _on_all(maps: np.ndarray, vlm: VLM) -> np.ndarray:
    """(L * H, rows, columns): zeros for the layers of hybrid models that have no heads."""
    whole = np.zeros((vlm.num_layers, vlm.num_heads, *maps.shape[1:]))
    whole[list(vlm.attention_layers)] = maps.reshape(-1, vlm.num_heads, *maps.shape[1:])
    return whole.reshape(-1, *maps.shape[1:])
