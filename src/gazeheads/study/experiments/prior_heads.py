"""Scoring heads by two earlier methods, on the prompts of discovery: image and localization heads.

Only what the methods need is kept per strip: the attention each head gives the image, how clumped
it is, and the mean map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.discovery.image_heads import THRESHOLD, image_heads
from gazeheads.discovery.localization_heads import (
    Entropy,
    averaged_localization_heads,
    localization_heads,
    looks_at_bottom,
    spatial_entropy,
)
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Experiment, Work, register
from gazeheads.study.experiments.discover import LIVING, living_of
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import PackedArray, Record
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "prior-heads"
IMAGE, LOCALIZATION, AVERAGED = "image", "localization", "localization averaged"
KINDS = (IMAGE, LOCALIZATION, AVERAGED)


@dataclass(frozen=True)
class PriorHeadsSettings:
    """Settings of `run`: the seed names the strips, nothing is drawn.

    Attributes:
        seed: see above.
        entropy: "code" or "paper", see `spatial_entropy`.
    """

    seed: int = 0
    entropy: Entropy = "code"


class PriorHeadsRecord(Record):
    """What the methods need of one strip; Q questions.

    Attributes:
        mass: (Q, L, H) attention to the image.
        entropy: (Q, L, H) how clumped it is.
        bottom: (Q, L, H) whether it is focused on the bottom row.
        map: (L, H, rows, columns) its mean over the questions.
        layers_without_heads: of models that have such.
    """

    mass: PackedArray
    entropy: PackedArray
    bottom: PackedArray
    map: PackedArray
    layers_without_heads: list[int] | None = None


def run(
    vlm: VLM, strips: Sequence[Strip], settings: PriorHeadsSettings, options: RunOptions
) -> RunFolder:
    """Scores every head by both methods on the strips; goes on where an earlier run stopped."""
    return _carried_out(vlm, strips, _whole(vlm, strips, settings), options)


def _whole(vlm: VLM, strips: Sequence[Strip], settings: PriorHeadsSettings) -> dict[str, Any]:
    """Everything the records depend on."""
    living = packed(vlm.living_heads(), "u1")
    return {**whole_settings(settings, vlm, strips), LIVING: living}


def _carried_out(
    vlm: VLM, strips: Sequence[Strip], whole: dict[str, Any], options: RunOptions
) -> RunFolder:
    def work(folder: RunFolder) -> list[Work[Strip]]:
        return [
            Work(
                [(strip.id, strip) for strip in strips], lambda part: [_record(vlm, part[0], whole)]
            )
        ]

    return PRIOR_HEADS.carry_out(vlm.name, whole, options, work)


def _record(vlm: VLM, strip: Strip, whole: dict[str, Any]) -> dict[str, Any]:
    from gazeheads.discovery.maps import attention_maps  # noqa: PLC0415 - loads torch

    panels = len(strip)
    questions = [prompts.discovery(k, panels) for k in range(1, panels + 1)]
    maps = attention_maps(vlm, strip.image, questions)
    flat = maps.reshape(-1, *maps.shape[-2:])
    entropy = np.array([spatial_entropy(each, whole["entropy"]) for each in flat])
    entropy = entropy.reshape(maps.shape[:3])
    bottom = np.array([looks_at_bottom(each) for each in flat]).reshape(maps.shape[:3])
    without = sorted(set(range(vlm.num_layers)) - set(vlm.attention_layers))
    return {
        **({"layers_without_heads": without} if without else {}),
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
    if without := records[0].get("layers_without_heads"):
        provenance["layers_without_heads"] = without
    living = living_of(folder)
    variant = folder.settings.get("entropy", "paper")  # earlier versions had the paper's
    found = {
        IMAGE: image_heads(mass, provenance, living),
        LOCALIZATION: localization_heads(mass, entropy, bottom > 0, provenance, living),
        AVERAGED: averaged_localization_heads(_mean_map(records), provenance, living, variant),
    }
    for kind, scores in found.items():
        scores.save(folder.path / _file(kind))
    return {
        "image_heads": int((found[IMAGE].scores > THRESHOLD).sum()),
        "localization_passed": found[AVERAGED].provenance["passed"],
        "top": {kind: [str(h) for h in scores.ranking()[:10]] for kind, scores in found.items()},
    }


def _mean_map(records: Sequence[dict[str, Any]]) -> np.ndarray:
    """(L, H, rows, columns) mean over strips, brought to the grid of the first."""
    from scipy.ndimage import zoom  # noqa: PLC0415 - slow to load

    maps = [unpacked(record, "map") for record in records]
    rows, columns = maps[0].shape[-2:]
    brought = [
        each
        if each.shape[-2:] == (rows, columns)
        else zoom(each, (1, 1, rows / each.shape[-2], columns / each.shape[-1]), order=1)
        for each in maps
    ]
    return np.asarray(np.mean(brought, axis=0))


def _file(kind: str) -> str:
    return f"{kind.replace(' ', '-')}.json"


def load_rankings(folder: RunFolder) -> dict[str, HeadScores]:
    """The three score files of a finished run."""
    return {kind: HeadScores.load(folder.path / _file(kind)) for kind in KINDS}


def scored(context: ExperimentContext) -> RunFolder:
    """The heads by both methods, on the strips the gaze heads were found on.

    Always whole: every shard of what follows needs all of the scores.
    """
    vlm, strips = context.vlm, context.tuning
    whole = _whole(vlm, strips, PriorHeadsSettings(context.seed))
    announced = context.announced("Scoring heads by earlier methods")
    options = options_for_shared(announced, EXPERIMENT, vlm.name, whole, claims=True)
    return _carried_out(vlm, strips, whole, options)


PRIOR_HEADS = register(
    Experiment(
        EXPERIMENT,
        "Image heads and localization heads, by two earlier methods",
        PriorHeadsSettings,
        results,
        PriorHeadsRecord,
    )
)
