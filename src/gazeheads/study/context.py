"""What every experiment on one model starts from: model, strips, scored heads, number of heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores
from gazeheads.judges import Judge, LabelJudge
from gazeheads.progress import Progress
from gazeheads.study.runs import RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.models import VLM

Announce = Callable[[str], Progress]
"""Announces a part of a job and returns what its progress is reported to."""


@dataclass(frozen=True)
class ExperimentContext:
    """A model set up for experiments.

    Attributes:
        vlm: the model.
        strips: to measure on; no choice is made on them.
        tuning: other strips, to find heads on and to choose with.
        scores: gaze scores of the heads.
        k: how many gaze heads to steer.
        seed: of every random choice.
        limit: strips that an experiment draws itself, of each kind.
        options: where runs go and how.
        announce: announces what is being done.
        judge: of answers and narrations.
        discovery: the run that the scores come from; None: they come from a file.
    """

    vlm: VLM
    strips: Sequence[Strip]
    tuning: Sequence[Strip]
    scores: HeadScores
    k: int
    seed: int
    limit: int
    options: RunOptions
    announce: Announce
    judge: Judge = field(default_factory=LabelJudge)
    discovery: RunFolder | None = None

    def announced(self, name: str) -> RunOptions:
        """The options with the progress of a part of the job, announced by its name."""
        return replace(self.options, progress=self.announce(name))

    @property
    def whole(self) -> ExperimentContext:
        """The same, unsplit: for work of which every shard of other work needs all."""
        return replace(self, options=replace(self.options, shard=None))
