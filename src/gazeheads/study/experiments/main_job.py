"""The main job: find the gaze heads, see how many to steer, steer them, watch a narration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gazeheads.data.strip import Strip
from gazeheads.head_rankings import told
from gazeheads.judges import Judge, LabelJudge
from gazeheads.study.context import Announce
from gazeheads.study.experiments import discover, staircase, steer_vqa
from gazeheads.study.experiments.controls import DRAWS
from gazeheads.study.experiments.question import (
    SteerVqaSettings,
    check_sizes,
    default_ks,
    sweep_settings,
)
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.workers import ThisProcess, Workers

if TYPE_CHECKING:
    from gazeheads.models import VLM


DRAW_STRIPS = 10
"""Strips that the random heads are measured on by default: twenty draws cost as much as everything
else together."""


@dataclass(frozen=True)
class MainJob:
    """Settings of `run`.

    Attributes:
        k: number of heads to steer; None: the peak of a sweep.
        ks: sizes of that sweep; None: chosen by the number of heads.
        seed: of every random choice.
        fresh: start over instead of going on with an earlier run.
        batch_size: rows generated at once.
        judge: of all answers.
        draws: random head sets to compare with.
        draw_strips: they are measured on so many of the first strips; None: `DRAW_STRIPS`, in the
            sweep `question.SWEEP_STRIPS`.
        workers: who does the units of work.
    """

    k: int | None = None
    ks: tuple[int, ...] | None = None
    seed: int = 0
    fresh: bool = False
    batch_size: int = 64
    judge: Judge = field(default_factory=LabelJudge)
    draws: int = DRAWS
    draw_strips: int | None = None
    workers: Workers = field(default_factory=ThisProcess)


def run(
    vlm: VLM,
    tuning: Sequence[Strip],
    strips: Sequence[Strip],
    job: MainJob,
    out: str | os.PathLike[str],
    announce: Announce,
) -> list[RunFolder]:
    """Runs everything; each part goes on where it stopped.

    Args:
        vlm: the model.
        tuning: strips to find the heads on and to choose K on.
        strips: other strips, to measure on: no choice is made on them.
        job: settings.
        out: folder of all runs.
        announce: announces what is being done.
    """
    heads = vlm.num_layers * vlm.num_heads
    sizes = job.ks or default_ks(heads)
    check_sizes((job.k,) if job.k is not None else sizes, heads)
    options = RunOptions(out, fresh=job.fresh, batch_size=job.batch_size, workers=job.workers)

    def announced(name: str) -> RunOptions:
        return replace(options, progress=announce(name))

    found = discover.for_others(
        vlm,
        tuning,
        discover.DiscoverSettings(seed=job.seed),
        announced("Finding gaze heads"),
        claims=True,
    )
    runs, scores = [found], discover.load_scores(found.path)
    options = replace(options, heads_from=told(scores))
    k = job.k
    if k is None:
        sweep = steer_vqa.run(
            vlm,
            tuning,
            scores,
            replace(
                sweep_settings(sizes, job.seed, job.draws, job.draw_strips),
                judge=job.judge.name,
            ),
            announced("Trying how many heads to steer"),
            experiment=steer_vqa.SWEEP,
            judge=job.judge,
            shared=True,
        )
        runs.append(sweep)
        k = int(sweep.summary["results"]["peak"]["k"])
    chosen = SteerVqaSettings(
        (k,),
        draws=job.draws,
        draw_strips=DRAW_STRIPS if job.draw_strips is None else job.draw_strips,
        seed=job.seed,
        judge=job.judge.name,
    )
    steering = announced(f"Steering {k} heads to every panel")
    runs.append(steer_vqa.run(vlm, strips, scores, chosen, steering, judge=job.judge))
    narrations = staircase.StaircaseSettings(
        k, draws=job.draws, seed=job.seed, judge=job.judge.name
    )
    watching = announced("Watching narrations")
    runs.append(staircase.run(vlm, strips, scores, narrations, watching, judge=job.judge))
    return runs
