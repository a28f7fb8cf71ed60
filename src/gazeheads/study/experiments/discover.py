"""Finding the gaze heads: the gaze score of every head, strip by strip."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.control_draws import study_size
from gazeheads.data.strip import Strip
from gazeheads.discovery.nulls import RATE, Null, permutation_null, split_half
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiment import Experiment, Work, register
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import PackedArray, Record
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM

EXPERIMENT = "discover"
SCORES = "scores.json"
LIVING = "living"
SHOWN = 24  # heads listed in the summary
CUT_OFFS = (0.05, 0.1, 0.2, 0.3, 0.5)
LOW_SCORE = 0.05  # most heads of the study's model score at most this


@dataclass(frozen=True)
class DiscoverSettings:
    """Settings of `run`.

    Attributes:
        prompt: the question, with {k} (panel) and {n} (panels); None: the study's.
        seed: names the strips in reports; discovery itself draws nothing.
    """

    prompt: str | None = None
    seed: int = 0


class DiscoverRecord(Record):
    """What one strip shows: whole matrices, so that strips can be averaged in any combination.

    Attributes:
        questions: as they were asked.
        matrices: (L, H, panels, panels).
        layers_without_heads: of models that have such; they score nothing.
    """

    questions: list[str]
    matrices: PackedArray
    layers_without_heads: list[int] | None = None


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    settings: DiscoverSettings,
    options: RunOptions,
) -> RunFolder:
    """Scores every head; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: with equally many panels.
        settings: see there.
        options: where to and how.
    """
    _check_strips(strips)
    return _carried_out(vlm, strips, settings, _whole(vlm, strips, settings), options)


def for_others(
    vlm: VLM,
    strips: Sequence[Strip],
    settings: DiscoverSettings,
    options: RunOptions,
    claims: bool = False,
) -> RunFolder:
    """`run` for experiments that steer the heads: exactly this discovery, found or made.

    Args:
        vlm, strips, settings: as in `run`.
        options: of the experiment that needs the heads.
        claims: see `options_for_shared`.
    """
    _check_strips(strips)
    whole = _whole(vlm, strips, settings)
    own = options_for_shared(options, EXPERIMENT, vlm.name, whole, claims)
    return _carried_out(vlm, strips, settings, whole, own)


def _whole(vlm: VLM, strips: Sequence[Strip], settings: DiscoverSettings) -> dict[str, Any]:
    """Everything the records depend on."""
    living = packed(vlm.living_heads(), "u1")
    return {**whole_settings(settings, vlm, strips), LIVING: living}


def _carried_out(
    vlm: VLM,
    strips: Sequence[Strip],
    settings: DiscoverSettings,
    whole: dict[str, Any],
    options: RunOptions,
) -> RunFolder:
    def work(folder: RunFolder) -> list[Work[Strip]]:
        units = [(strip.id, strip) for strip in strips]
        return [Work(units, lambda part: [record_of(vlm, part[0], settings)])]

    return DISCOVER.carry_out(vlm.name, whole, options, work)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; also writes its scores."""
    scores = _scores(folder)
    records, seed = folder.ordered(), int(folder.settings["seed"])
    # float32 as stored: 83 MB for 1,152 heads, 500 strips and 6 panels
    each = np.stack([unpacked(record, "matrices").astype(np.float32) for record in records])
    tested = scores.tested()
    null = permutation_null(each, tested, seed)
    scores = replace(scores, q=null.q)
    scores.save(folder.path / SCORES)
    summary = summary_of(scores)
    stability = split_half(each, summary["gaze_heads"], tested, seed)
    return {
        **summary,
        "null": _null_summary(null),
        "stability": None if stability is None else asdict(stability),
    }


def _null_summary(null: Null) -> dict[str, Any]:
    return {
        "rate": RATE,
        "count": null.count(),
        "family_count": int((null.tested & (null.family <= RATE)).sum()),
        "tested": int(null.tested.sum()),
        "permutations": null.permutations,
        "floor": null.floor,
        "p": np.round(null.p, 6).tolist(),
        "q": np.round(null.q, 6).tolist(),
    }


def count_text(results: dict[str, Any]) -> str:
    """How many heads are gaze heads, for people."""
    null = results["null"]
    return (
        f"{null['count']} of {null['tested']} living heads look at the panel asked about more than "
        f"chance (false-discovery rate {100 * null['rate']:.0f}%, {null['permutations']:,} shuffles"
        f" of the questions' panels; {null['family_count']} if not one may be false)."
    )


def stability_text(results: dict[str, Any]) -> str:
    """How stable the ranking is, for people."""
    own = results["stability"]
    if own is None:
        return "How stable the ranking is cannot be computed: that takes two strips and two heads."
    return (
        f"Rankings from two random halves of the strips correlate by {own['spearman']:.2f} and "
        f"share {100 * own['overlap']:.0f}% of their top {own['k']} (mean of {own['splits']} "
        "splits)."
    )


def _check_strips(strips: Sequence[Strip]) -> None:
    if not strips:
        raise GazeheadsError("no strips to discover heads on")
    for strip in strips:
        if len(strip) != len(strips[0]):
            raise GazeheadsError(
                f"strips must have equally many panels: {strips[0].id!r} has {len(strips[0])}, "
                f"{strip.id!r} has {len(strip)}"
            )


def load_scores(path: str | os.PathLike[str]) -> HeadScores:
    """The scores of a finished run, from its folder."""
    return HeadScores.load(os.path.join(path, SCORES))


def record_of(vlm: VLM, strip: Strip, settings: DiscoverSettings) -> dict[str, Any]:
    """The questions about one strip and the matrices of all heads."""
    from gazeheads.discovery.gaze import measure  # noqa: PLC0415 - loads torch

    questions, matrices = measure(vlm, [strip], settings.prompt)
    without = sorted(set(range(vlm.num_layers)) - set(vlm.attention_layers))
    # whole matrices, so that strips can be averaged in any combination later
    return {
        **({"layers_without_heads": without} if without else {}),
        "questions": questions,
        "matrices": packed(matrices),
    }


def _scores(folder: RunFolder) -> HeadScores:
    records = folder.ordered()
    matrices = np.mean([unpacked(record, "matrices") for record in records], axis=0)
    scores = np.trace(matrices, axis1=2, axis2=3) / matrices.shape[-1]
    provenance = {
        "model": folder.model,
        "fingerprint": folder.settings["model_mark"],
        "strips": [record["unit"] for record in records],
        "questions": records[0]["questions"],
        "seed": folder.settings["seed"],
        "versions": folder.versions,
    }
    if without := records[0].get("layers_without_heads"):
        provenance["layers_without_heads"] = without
    return HeadScores(scores, matrices, "gaze", provenance, living_of(folder))


def living_of(folder: RunFolder) -> np.ndarray | None:
    """(L, H) bool: the living heads of a run's model; None in runs of 0.1."""
    return unpacked(folder.settings, LIVING) > 0 if LIVING in folder.settings else None


def summary_of(scores: HeadScores) -> dict[str, Any]:
    """What a report tells about scores."""
    assert scores.matrices is not None
    layers, heads = scores.shape
    ranking = scores.ranking()
    gaze = ranking[: study_size(len(scores))]
    rankings = {
        "selectivity": scores.selectivity(),
        "normalised selectivity": scores.selectivity(normalise=True),
    }
    overlaps = {
        name: {
            str(k): len(set(ranking[:k]) & set(own.top(k)))
            for k in sorted({min(10, len(gaze)), len(gaze)})
        }
        for name, own in rankings.items()
    }
    return {
        "layers": layers,
        "heads_per_layer": heads,
        "panels": scores.matrices.shape[-1],
        "top": [_head(scores, head) for head in ranking[:SHOWN]],
        "gaze_heads": len(gaze),
        "gaze_layers": [sum(head.layer == layer for head in gaze) for layer in range(layers)],
        "overlaps": overlaps,
        "cut_offs": [
            {"score": cut, "heads": int((scores.scores >= cut).sum())} for cut in CUT_OFFS
        ],
        "low_score": LOW_SCORE,
        "low_share": float((scores.scores <= LOW_SCORE).mean()),
    }


def _head(scores: HeadScores, head: tuple[int, int]) -> dict[str, Any]:
    """One head: its score, and how near to diagonal its matrix is."""
    assert scores.matrices is not None
    matrix = scores.matrices[head]
    diagonal = np.diagonal(matrix)
    rest = matrix[~np.eye(len(matrix), dtype=bool)]
    return {
        "head": f"L{head[0]}H{head[1]}",
        "layer": head[0],
        "number": head[1],
        "score": scores[head],
        "least_diagonal": float(diagonal.min()),
        "largest_off_diagonal": float(rest.max()) if rest.size else 0.0,
    }


DISCOVER = register(
    Experiment(
        EXPERIMENT,
        "The gaze score of every head",
        DiscoverSettings,
        results,
        DiscoverRecord,
    )
)
