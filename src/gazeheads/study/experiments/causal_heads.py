"""The causal rankings: attribution by gates strip by strip; elimination and greedy selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.discovery.attribution import CAUSAL
from gazeheads.discovery.elimination import ELIMINATION
from gazeheads.discovery.greedy import GREEDY
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Experiment, Work, register
from gazeheads.study.experiments.discover import LIVING, living_of
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder
from gazeheads.study.schema import PackedArray, Record
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.discovery.attribution import Contest
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "causal-heads"
CHOSEN = (ELIMINATION, GREEDY)
"""Rankings that are made once, of all strips."""


@dataclass(frozen=True)
class CausalHeadsSettings:
    """Settings of the run.

    Attributes:
        greedy_heads: heads that forward selection chooses; 0: none.
        pairs: pairs of strip and panel that elimination and selection decide by; 0: neither.
        tried: heads they try at every step.
        seed: names the strips; nothing is drawn.
    """

    greedy_heads: int = 0
    pairs: int = 18
    tried: int = 5
    seed: int = 0


class CausalHeadsRecord(Record):
    """One strip's attribution, or the scores of elimination or greedy selection.

    Attributes:
        pairs: pairs of target and rival that went in.
        scores: (L, H).
    """

    pairs: int
    scores: PackedArray


def scored(
    context: ExperimentContext, strips: Sequence[Strip], settings: CausalHeadsSettings
) -> RunFolder:
    """The causal rankings on tuning strips; always whole, as every shard needs all scores."""
    vlm = context.vlm
    living = packed(vlm.living_heads(), "u1")
    whole = {**whole_settings(settings, vlm, strips), LIVING: living}
    announced = context.announced("Scoring heads by their effect")
    options = options_for_shared(announced, EXPERIMENT, vlm.name, whole, claims=True)

    def work(folder: RunFolder) -> Iterator[Work[Strip]]:
        yield Work([(strip.id, strip) for strip in strips], lambda part: [_record(vlm, part[0])])
        if not settings.pairs:
            return
        after = _attributed(folder)
        unit = (ELIMINATION, strips[0])
        yield Work([unit], lambda _: [_eliminated(vlm, strips, after, settings)])
        if settings.greedy_heads:
            unit = (GREEDY, strips[0])
            yield Work([unit], lambda _: [_greedy(vlm, strips, after, settings)])

    return CAUSAL_HEADS.carry_out(vlm.name, whole, options, work)


def _record(vlm: VLM, strip: Strip) -> dict[str, Any]:
    from gazeheads.discovery.attribution import (  # noqa: PLC0415 - loads torch
        attribution,
        contests,
    )

    found = contests(vlm, [strip])
    return {"pairs": len(found), "scores": packed(attribution(vlm, found).scores)}


def _eliminated(
    vlm: VLM, strips: Sequence[Strip], after: HeadScores, settings: CausalHeadsSettings
) -> dict[str, Any]:
    from gazeheads.discovery.elimination import elimination  # noqa: PLC0415 - loads torch

    used = _spread(vlm, strips, settings.pairs)
    chosen = elimination(vlm, used, after, settings.tried)
    return {"pairs": len(used), "scores": packed(chosen.scores)}


def _greedy(
    vlm: VLM, strips: Sequence[Strip], after: HeadScores, settings: CausalHeadsSettings
) -> dict[str, Any]:
    from gazeheads.discovery.greedy import greedy  # noqa: PLC0415 - loads torch

    used = _spread(vlm, strips, settings.pairs)
    chosen = greedy(vlm, used, after, settings.greedy_heads, settings.tried)
    return {"pairs": len(used), "scores": packed(chosen.scores)}


def _spread(vlm: VLM, strips: Sequence[Strip], pairs: int) -> list[Contest]:
    """So many contests, as far apart as can be."""
    from gazeheads.discovery.attribution import contests  # noqa: PLC0415 - loads torch

    found = contests(vlm, strips)
    return found[:: max(1, len(found) // pairs)][:pairs]


def _attributed(folder: RunFolder) -> HeadScores:
    """Mean over pairs of the strips' attributions."""
    records = [record for record in folder.ordered() if record["unit"] not in CHOSEN]
    total = sum(record["pairs"] * unpacked(record, "scores") for record in records)
    pairs = sum(record["pairs"] for record in records)
    return HeadScores(
        np.asarray(total) / pairs, None, CAUSAL, _provenance(folder, records), living_of(folder)
    )


def _provenance(folder: RunFolder, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model": folder.model,
        "fingerprint": folder.settings["model_mark"],
        "strips": [record["unit"] for record in records],
        "versions": folder.versions,
    }


def load_rankings(folder: RunFolder) -> dict[str, HeadScores]:
    """The rankings of a finished run, by name."""
    causal = _attributed(folder)
    found = {CAUSAL: causal}
    for record in folder.ordered():
        if (name := record["unit"]) in CHOSEN:
            scores = unpacked(record, "scores")
            found[name] = HeadScores(scores, None, name, causal.provenance, causal.living)
    return found


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; also writes its rankings as score files."""
    found = load_rankings(folder)
    for name, scores in found.items():
        scores.save(folder.path / f"{name}.json")
    return {"top": {name: [str(h) for h in s.ranking()[:12]] for name, s in found.items()}}


CAUSAL_HEADS = register(
    Experiment(
        EXPERIMENT,
        "Heads scored by what steering them does to the answer",
        CausalHeadsSettings,
        results,
        CausalHeadsRecord,
    )
)
