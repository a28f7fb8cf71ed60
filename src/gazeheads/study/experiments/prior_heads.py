"""Scoring heads by two earlier methods, on the prompts of discovery: image and localization heads.

Only what the methods need is kept per strip: the attention each head gives the image, how clumped
it is, and the mean map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import zoom

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.discovery.image_heads import THRESHOLD, image_heads
from gazeheads.discovery.localization_heads import (
    averaged_localization_heads,
    localization_heads,
    looks_at_bottom,
    spatial_entropy,
)
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiments.discover import LIVING, living_of
from gazeheads.study.identity import versions, whole_settings
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

EXPERIMENT = "prior-heads"
IMAGE, LOCALIZATION, AVERAGED = "image", "localization", "localization averaged"
KINDS = (IMAGE, LOCALIZATION, AVERAGED)


@dataclass(frozen=True)
class PriorHeadsSettings:
    """Settings of `run`: the seed names the strips, nothing is drawn."""

    seed: int = 0


def run(
    vlm: VLM, strips: Sequence[Strip], settings: PriorHeadsSettings, options: RunOptions
) -> RunFolder:
    """Scores every head by both methods on the strips; goes on where an earlier run stopped."""
    whole = {**whole_settings(settings, vlm, strips), LIVING: packed(vlm.living_heads(), "u1")}
    with RunFolder.open(options, EXPERIMENT, vlm.name, whole, versions()) as folder:
        units = [(strip.id, strip) for strip in strips]
        folder.work(units, lambda part: [_record(vlm, part[0])], options.progress)
        folder.finish(results)
    return folder


def _record(vlm: VLM, strip: Strip) -> dict[str, Any]:
    from gazeheads.discovery.maps import attention_maps  # noqa: PLC0415 - loads torch

    panels = len(strip)
    questions = [prompts.discovery(k, panels) for k in range(1, panels + 1)]
    maps = attention_maps(vlm, strip.image, questions)
    flat = maps.reshape(-1, *maps.shape[-2:])
    entropy = np.array([spatial_entropy(each) for each in flat]).reshape(maps.shape[:3])
    bottom = np.array([looks_at_bottom(each) for each in flat]).reshape(maps.shape[:3])
    return {
        "mass": packed(maps.sum((-2, -1))),
        "entropy": packed(entropy),
        "bottom": packed(bottom, "u1"),
        "map": packed(maps.mean(0), "<f2"),
    }


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; also writes the three rankings as score files."""
    records = folder.ordered()
    mass, entropy, bottom = (
        np.concatenate([unpacked(record, name) for record in records])
        for name in ("mass", "entropy", "bottom")
    )
    provenance = {
        "model": folder.model,
        "fingerprint": folder.settings["model_mark"],
        "strips": [record["unit"] for record in records],
        "versions": folder.versions,
    }
    living = living_of(folder)
    found = {
        IMAGE: image_heads(mass, provenance, living),
        LOCALIZATION: localization_heads(mass, entropy, bottom > 0, provenance, living),
        AVERAGED: averaged_localization_heads(_mean_map(records), provenance, living),
    }
    for kind, scores in found.items():
        scores.save(folder.path / _file(kind))
    return {
        "image_heads": int((found[IMAGE].scores > THRESHOLD).sum()),
        "top": {kind: [str(h) for h in scores.ranking()[:10]] for kind, scores in found.items()},
    }


def _mean_map(records: Sequence[dict[str, Any]]) -> np.ndarray:
    """(L, H, rows, columns) mean over strips, brought to the grid of the first."""
    maps = [unpacked(record, "map") for record in records]
    rows, columns = maps[0].shape[-2:]
    brought = [
        each
        if each.shape[-2:] == (rows, columns)
        else zoom(each, (1, 1, rows / each.shape[-2], columns / each.shape[-1]), order=1)
        for each in maps
    ]
    values: np.ndarray = np.mean(brought, axis=0)
    return values


def _file(kind: str) -> str:
    return f"{kind.replace(' ', '-')}.json"


def load_rankings(folder: RunFolder) -> dict[str, HeadScores]:
    """The three score files of a finished run."""
    return {kind: HeadScores.load(folder.path / _file(kind)) for kind in KINDS}
