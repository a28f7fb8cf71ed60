"""One command of an experiment at work: the options all of them share, and what they load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads.cli.cluster_options import Cluster, Ray, RayCores
from gazeheads.cli.heads_options import HeadsAnyway
from gazeheads.cli.judge_options import (
    Choice,
    JudgeBaseUrl,
    JudgeKeyEnv,
    JudgeModel,
    JudgeName,
    JudgeService,
    Name,
)
from gazeheads.cli.service_options import Protocol

if TYPE_CHECKING:
    from gazeheads.cli.terminal import ProgressBars
    from gazeheads.data.strip import Strip
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext
    from gazeheads.study.runs import RunOptions


@dataclass(frozen=True)
class Common:
    """Options of every experiment."""

    model: Annotated[str, typer.Option(help="comic-tiny, a model folder, or a hub id.")] = (
        "comic-tiny"
    )
    strips: Annotated[
        Path | None, typer.Option(help="Folder of strips (comic1/p1.png ...); default: drawn ones.")
    ] = None
    heads: Annotated[
        str | None,
        typer.Option(
            help="A ranking of heads: scores, a head set or the study's gaze_head_ranking.json; "
            "heads such as L3H1,L4H0; random; all. Default: found with these very options, once "
            "per OUT."
        ),
    ] = None
    heads_anyway: HeadsAnyway = False
    k: Annotated[
        int | None,
        typer.Option("--k", help="Heads to steer; default: as --heads recommends, or 8.7%."),
    ] = None
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs")
    limit: Annotated[int, typer.Option(min=1, help="Use so many strips.")] = 20
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0
    batch_size: Annotated[int, typer.Option(min=1, help="Rows generated at once.")] = 64
    judge: JudgeName = Name.label
    judge_service: JudgeService = Protocol.openai
    judge_model: JudgeModel = None
    judge_base_url: JudgeBaseUrl = None
    judge_key_env: JudgeKeyEnv = None
    shard: Annotated[str | None, typer.Option(help="Do only this share, for example 2/4.")] = None
    ray: Ray = None
    ray_cores: RayCores = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False

    @property
    def chosen_judge(self) -> Choice:
        """The judge as it was asked for."""
        return Choice(
            self.judge,
            self.judge_service,
            self.judge_model,
            self.judge_base_url,
            self.judge_key_env,
        )


class Session:
    """One command at work: what was asked for, loaded when it is needed.

    Everything that can be wrong in the options is found out before the model is loaded.
    """

    def __init__(self, common: Common, bars: ProgressBars, cluster: Cluster | None = None) -> None:
        from gazeheads.cli import resolve
        from gazeheads.errors import GazeheadsError
        from gazeheads.study.runs import Shard, check_writable

        self.common, self.bars = common, bars
        self.shard = Shard.parse(common.shard)
        self.cluster = cluster or Cluster(common.ray, common.ray_cores)
        if self.cluster.asked_for and self.shard is not None:
            raise GazeheadsError("--ray and --shard both split the work: leave one of them out")
        self.cluster.check_judge(common.judge == Name.llm)
        check_writable(common.out)
        self._given = None
        if common.strips is not None:
            self._given = resolve.strips_for(common.strips, common.limit, common.seed)
        self.judge = common.chosen_judge.judge_of(self._given or ())

    def limited(self, strips: int) -> Session:
        """The same with at most so many strips."""
        few = min(strips, self.common.limit)
        return Session(replace(self.common, limit=few), self.bars, self.cluster)

    def of(self, model: str) -> Session:
        """The same with another model."""
        return Session(replace(self.common, model=model), self.bars, self.cluster)

    def only_whole(self, name: str) -> None:
        """Raises GazeheadsError if a shard was asked of what ends in a report."""
        from gazeheads.errors import GazeheadsError

        if self.shard is not None:
            raise GazeheadsError(
                f"{name} cannot be split into shards: run its experiments one by one with --shard"
            )

    def only_drawn(self, name: str) -> None:
        """Raises GazeheadsError if strips were given to an experiment that draws its own."""
        from gazeheads.errors import GazeheadsError

        if self._given is not None:
            raise GazeheadsError(f"{name} draws strips of its own: leave --strips out")

    def judges_nothing(self, name: str) -> None:
        """Raises GazeheadsError if a judge was chosen for an experiment that needs none."""
        from gazeheads.errors import GazeheadsError

        if self.common.judge != Name.label:
            raise GazeheadsError(f"{name} needs no judge: leave --judge out")

    @cached_property
    def vlm(self) -> VLM:
        """The model."""
        from gazeheads.cli import resolve, terminal

        loaded = terminal.load_quietly(self.common.model)
        resolve.check_k(loaded, self.common.k)
        return loaded

    @cached_property
    def strips(self) -> list[Strip]:
        """To measure on."""
        from gazeheads.cli import resolve

        return self._given or resolve.strips_for(None, self.common.limit, self.common.seed)

    @cached_property
    def options(self) -> RunOptions:
        """Where runs go and how."""
        from gazeheads.study.runs import RunOptions

        own, workers = self.common, self.cluster.workers
        return RunOptions(own.out, None, own.fresh, own.batch_size, self.shard, workers=workers)

    @cached_property
    def context(self) -> ExperimentContext:
        """The model with its scored heads, for one experiment."""
        return self._context(False)

    @cached_property
    def context_of_all(self) -> ExperimentContext:
        """The same for every experiment: its discovery lies where that of `discover` would."""
        return self._context(True)

    def _context(self, claims: bool) -> ExperimentContext:
        from gazeheads import head_rankings
        from gazeheads.cli import resolve, terminal
        from gazeheads.cli.chosen_heads import ChosenHeads
        from gazeheads.study.context import ExperimentContext
        from gazeheads.study.experiments import discover
        from gazeheads.study.experiments.steered_answers import number_of_heads

        own, options = self.common, self.options
        chosen = ChosenHeads(own.heads, own.seed, own.heads_anyway) if own.heads else None
        tuning = resolve.tuning_strips(self.strips, own.seed)
        found = None
        if chosen is not None:
            scores = chosen.scores_for(self.vlm)
        else:
            settings = discover.DiscoverSettings(seed=own.seed)
            announced = replace(options, progress=self.bars("Finding gaze heads"))
            found = discover.for_others(self.vlm, tuning, settings, announced, claims)
            scores = discover.load_scores(found.path)
        k, why = own.k, "as asked"
        if k is None:
            k, why = number_of_heads(scores)
        options = replace(options, heads_from=head_rankings.told(scores))
        source = own.heads if found is None else found.path
        terminal.err.print(f"{k} of {len(scores)} heads ({why}) by {source}", markup=False)
        shared = {strip.id for strip in self.strips} & set(scores.provenance.get("strips", ()))
        if shared:
            told = f"Note: the heads were found on {len(shared)} of the same strips"
            terminal.err.print(told, markup=False)
        return ExperimentContext(
            self.vlm,
            self.strips,
            tuning,
            scores,
            k,
            own.seed,
            own.limit,
            options,
            self.bars,
            self.judge,
            found,
        )
