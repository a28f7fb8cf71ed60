"""What every experiment on one model starts from: model, strips, scored heads, number of heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores
from gazeheads.judges import Judge, LabelJudge
from gazeheads.study.disk import SUMMARY, RunError
from gazeheads.study.experiments import discover, steer_vqa
from gazeheads.study.experiments.steered_answers import GAZE_SHARE
from gazeheads.study.identity import model_mark
from gazeheads.study.runs import Progress, RunFolder, RunOptions, folder_of

if TYPE_CHECKING:
    from gazeheads.models import VLM

Stage = Callable[[str], Progress]
"""Announces a stage and returns what its progress is reported to."""


@dataclass(frozen=True)
class Bench:
    """A model set up for experiments.

    Attributes:
        vlm: the model.
        strips: to measure on; no choice is made on them.
        tuning: other strips, to find heads on and to choose with.
        scores: gaze scores of the heads.
        k: how many gaze heads to steer.
        seed: of every random choice.
        options: where runs go and how.
        stage: announces what is being done.
        judge: of answers and narrations.
    """

    vlm: VLM
    strips: Sequence[Strip]
    tuning: Sequence[Strip]
    scores: HeadScores
    k: int
    seed: int
    options: RunOptions
    stage: Stage
    judge: Judge = field(default_factory=LabelJudge)

    def announced(self, name: str) -> RunOptions:
        """The options with the progress of a stage."""
        return replace(self.options, progress=self.stage(name))


def finished(vlm: VLM, options: RunOptions, experiment: str) -> RunFolder | None:
    """The finished run of an experiment on the model, if there is one.

    Raises:
        RunError: it was made with other weights of a model of that name.
    """
    path = folder_of(options.out, experiment, vlm.name)
    if not (path / SUMMARY).exists():
        return None
    run = RunFolder(path)
    if run.settings.get("model_mark") != model_mark(vlm):
        raise RunError(
            f"{path} was made with other weights of {vlm.name}: name another --out, or remove it"
        )
    return run


def gaze_scores(
    vlm: VLM, tuning: Sequence[Strip], seed: int, options: RunOptions, stage: Stage
) -> HeadScores:
    """Those of the finished discovery in the folder of runs, or of one made now."""
    found = finished(vlm, options, discover.EXPERIMENT)
    if found is None:
        settings = discover.DiscoverSettings(seed=seed)
        own = RunOptions(options.out, stage("Finding gaze heads"))
        found = discover.run(vlm, tuning, settings, own)
    return discover.load_scores(found.path)


def number_of_heads(vlm: VLM, scores: HeadScores, options: RunOptions) -> tuple[int, str]:
    """How many heads to steer unless told, and why so many."""
    sweep = finished(vlm, options, steer_vqa.SWEEP)
    if sweep is not None:
        return int(sweep.summary["results"]["peak"]["k"]), f"the peak of {sweep.path}"
    return max(1, round(GAZE_SHARE * len(scores))), "the study's share of all heads"
