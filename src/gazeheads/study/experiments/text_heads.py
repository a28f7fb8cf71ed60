"""Heads found on strips told in plain text, and whether they are those found on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.control_draws import study_size
from gazeheads.data.strip import Strip
from gazeheads.discovery.overlap import overlap
from gazeheads.discovery.text_heads import TEXT, lines_of, same_length, text_matrices
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Experiment, Work, register
from gazeheads.study.experiments.discover import LIVING, SCORES, SHOWN, living_of
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import PackedArray, Record
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "text-heads"
IMAGE_SCORES = "image_scores"
SMALL = 10
"""The smaller of the two sizes at which the overlap with the image ranking is told."""


@dataclass(frozen=True)
class TextHeadsSettings:
    """Settings of `run`: the seed names the strips, nothing is drawn."""

    seed: int = 0


class TextHeadsRecord(Record):
    """What one strip told in text shows.

    Attributes:
        lines: as they were told.
        matrices: (L, H, lines, lines) mass by line asked about and line looked at.
    """

    lines: list[str]
    matrices: PackedArray


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    image: HeadScores,
    settings: TextHeadsSettings,
    options: RunOptions,
) -> RunFolder:
    """Scores every head on the strips' lines of text; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: with captions and equally many panels.
        image: the gaze scores found on images, to compare with.
        settings, options: see there.

    Raises:
        DiscoveryError: strips without captions, or of unequal length.
    """
    return _carried_out(vlm, strips, _whole(vlm, strips, image, settings), options)


def scored(context: ExperimentContext) -> RunFolder:
    """The text heads on the tuning strips; always whole, as every shard needs all scores."""
    vlm, strips = context.vlm, context.tuning
    whole = _whole(vlm, strips, context.scores, TextHeadsSettings(context.seed))
    announced = context.announced("Finding text heads")
    options = options_for_shared(announced, EXPERIMENT, vlm.name, whole, claims=True)
    return _carried_out(vlm, strips, whole, options)


def check_told(strips: Sequence[Strip]) -> None:
    """Raises DiscoveryError unless all strips have captions and equally many panels."""
    for strip in same_length(strips):
        lines_of(strip)


def _whole(
    vlm: VLM, strips: Sequence[Strip], image: HeadScores, settings: TextHeadsSettings
) -> dict[str, Any]:
    """Everything the records and results depend on."""
    check_told(strips)
    return {
        **whole_settings(settings, vlm, strips),
        LIVING: packed(vlm.living_heads(), "u1"),
        IMAGE_SCORES: packed(image.scores),
    }


def _carried_out(
    vlm: VLM, strips: Sequence[Strip], whole: dict[str, Any], options: RunOptions
) -> RunFolder:
    def record(strip: Strip) -> dict[str, Any]:
        lines = lines_of(strip)
        return {"lines": lines, "matrices": packed(text_matrices(vlm, lines))}

    def work(folder: RunFolder) -> list[Work[Strip]]:
        return [Work([(strip.id, strip) for strip in strips], lambda part: [record(part[0])])]

    return TEXT_HEADS.carry_out(vlm.name, whole, options, work)


def load_scores(folder: RunFolder) -> HeadScores:
    """The scores of a finished run."""
    return HeadScores.load(folder.path / SCORES)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: top heads, and what they share with the image's; writes the scores."""
    records = folder.ordered()
    matrices = np.mean([unpacked(record, "matrices") for record in records], axis=0)
    provenance = {
        "model": folder.model,
        "fingerprint": folder.settings["model_mark"],
        "strips": [record["unit"] for record in records],
        "versions": folder.versions,
    }
    table = np.trace(matrices, axis1=2, axis2=3) / matrices.shape[-1]
    scores = HeadScores(table, matrices, TEXT, provenance, living_of(folder))
    scores.save(folder.path / SCORES)
    image = HeadScores(unpacked(folder.settings, IMAGE_SCORES), living=living_of(folder))
    living = len(scores.living_ranking())
    share = study_size(len(scores))
    return {
        "lines": matrices.shape[-1],
        "top": [{"head": str(h), "score": scores[h]} for h in scores.living_ranking()[:SHOWN]],
        "overlaps": [
            {"k": k, **asdict(overlap(image.top(k), scores.top(k), scores))}
            for k in sorted({min(SMALL, living), min(share, living)})
        ],
    }


def overlap_text(own: dict[str, Any]) -> str:
    """What text heads share with image heads at one size, for people."""
    verdict = "more than" if own["p"] <= 0.05 else "not more than"
    return (
        f"Top {own['k']}: {own['shared']} are also among the top {own['k']} found on images; "
        f"living heads with as many per layer share {own['expected']:.1f} by chance "
        f"(p = {own['p']:.4f}): {verdict} chance."
    )


TEXT_HEADS = register(
    Experiment(
        EXPERIMENT,
        "Heads found on strips told in plain text, beside those found on images",
        TextHeadsSettings,
        results,
        TextHeadsRecord,
    )
)
