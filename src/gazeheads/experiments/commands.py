"""The commands of the experiments: one each, with options in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from gazeheads.experiments.runs import RunFolder

if TYPE_CHECKING:
    from gazeheads.experiments.bench import Bench
    from gazeheads.experiments.runs import RunOptions
    from gazeheads.strips.strip import Strip
    from gazeheads.terminal import Stages
    from gazeheads.vlm import VLM

experiments_app = typer.Typer()
"""Registered without a name: its commands stand beside the others."""


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
        Path | None,
        typer.Option(
            help="Gaze scores as JSON; default: those of `discover` in OUT, made if absent."
        ),
    ] = None
    k: Annotated[
        int | None,
        typer.Option("--k", help="Heads to steer; default: the peak of the sweep in OUT, or 8.7%."),
    ] = None
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs")
    limit: Annotated[int, typer.Option(min=1, help="Use so many strips.")] = 20
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0
    batch_size: Annotated[int, typer.Option(min=1, help="Rows generated at once.")] = 64
    shard: Annotated[str | None, typer.Option(help="Do only this share, for example 2/4.")] = None
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False


class Session:
    """One command at work: what was asked for, loaded when it is needed.

    Everything that can be wrong in the options is found out before the model is loaded.
    """

    def __init__(self, common: Common, stages: Stages) -> None:
        from gazeheads import inputs
        from gazeheads.experiments.runs import Shard, check_writable

        self.common, self.stages = common, stages
        self.shard = Shard.parse(common.shard)
        check_writable(common.out)
        self._given = None
        if common.strips is not None:
            self._given = inputs.strips_for(common.strips, common.limit, common.seed)
            inputs.judge_named("label", self._given)

    def limited(self, strips: int) -> Session:
        """The same with at most so many strips."""
        few = min(strips, self.common.limit)
        return Session(replace(self.common, limit=few), self.stages)

    def of(self, model: str) -> Session:
        """The same with another model."""
        return Session(replace(self.common, model=model), self.stages)

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

    @cached_property
    def vlm(self) -> VLM:
        """The model."""
        from gazeheads import inputs, terminal

        loaded = terminal.load_quietly(self.common.model)
        inputs.check_k(loaded, self.common.k)
        return loaded

    @cached_property
    def strips(self) -> list[Strip]:
        """To measure on."""
        from gazeheads import inputs

        return self._given or inputs.strips_for(None, self.common.limit, self.common.seed)

    @property
    def options(self) -> RunOptions:
        """Where runs go and how."""
        from gazeheads.experiments.runs import RunOptions

        own = self.common
        return RunOptions(own.out, None, own.fresh, own.batch_size, self.shard)

    @cached_property
    def bench(self) -> Bench:
        """The model with its scored heads."""
        from gazeheads import inputs, terminal
        from gazeheads.experiments import bench
        from gazeheads.heads import HeadScores

        own, options = self.common, self.options
        read = HeadScores.load(own.heads) if own.heads is not None else None
        tuning = inputs.tuning_strips(self.strips, own.seed)
        if read is not None:
            read.top(1).check(self.vlm.num_layers, self.vlm.num_heads, self.vlm.name)
        scores = read or bench.gaze_scores(self.vlm, tuning, own.seed, options, self.stages)
        k, why = own.k, "as asked"
        if k is None:
            k, why = bench.number_of_heads(self.vlm, scores, options)
        terminal.err.print(f"{k} of {len(scores)} heads: {why}", markup=False)
        return bench.Bench(self.vlm, self.strips, tuning, scores, k, own.seed, options, self.stages)

    def strips_of_lengths(
        self, lengths: Sequence[int] = tuple(range(2, 9)), each: int | None = None
    ) -> list[Strip]:
        """The strips given, or drawn ones of every length, `each` of them or the limit."""
        from gazeheads import inputs
        from gazeheads.strips.drawn import draw_strips

        if self._given is not None:
            return self._given
        own = self.common
        return [
            strip
            for n in lengths
            for strip in draw_strips(each or own.limit, own.seed + n * inputs.LENGTH_SEED, n)
        ]


Work = Callable[..., list[RunFolder]]


def command(name: str) -> Callable[[Work], Work]:
    """Registers a function of a session as a command that has the options in common too."""

    def register(work: Work) -> Work:
        hints = get_type_hints(work, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in list(inspect.signature(work).parameters.values())[1:]
        ]
        shared_hints = get_type_hints(Common, include_extras=True)
        shared = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=shared_hints[field.name],
            )
            for field in fields(Common)
        ]

        def run(**given: Any) -> None:
            from gazeheads import terminal

            common = Common(**{parameter.name: given.pop(parameter.name) for parameter in shared})
            with terminal.Stages() as stages:
                runs = work(Session(common, stages), **given)
            tell(runs)

        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        run.__doc__ = work.__doc__
        run.__annotations__ = {}
        experiments_app.command(name)(run)
        return work

    return register


def tell(runs: list[RunFolder]) -> None:
    """Prints the tables of finished runs; their figures go into the run folders."""
    from gazeheads import terminal
    from gazeheads.report.blocks import TableBlock
    from gazeheads.report.sections import sections_of

    whole = {run.experiment: run for run in runs if run.shard is None}
    for section in sections_of(whole):
        terminal.out.print(section.title, style="bold", markup=False)
        for block in section.blocks:
            if isinstance(block, TableBlock):
                terminal.table(block.head, block.rows)
    for run in runs:
        what = "Run" if run.shard is None else f"Shard {run.shard}, to be merged"
        terminal.out.print(f"{what}: {run.path}", markup=False)


Prompt = Annotated[str | None, typer.Option(help="The question; default: the study's.")]
Delta = Annotated[float, typer.Option(min=0, help="Strength; the study's is 10,000.")]


@command("steer-vqa")
def steer_vqa(session: Session, prompt: Prompt = None, delta: Delta = 10_000) -> list[RunFolder]:
    """One question, the gaze pointed at every panel in turn, with controls."""
    from gazeheads import prompts
    from gazeheads.experiments import catalogue
    from gazeheads.experiments.steer_vqa import SteerVqaSettings

    bench = session.bench
    settings = SteerVqaSettings(
        (bench.k,), prompt=prompt or prompts.VQA, delta=delta, seed=bench.seed
    )
    return [catalogue.answers(bench, settings)]


@command("steer-narration")
def steer_narration(
    session: Session, prompt: Prompt = None, delta: Delta = 10_000
) -> list[RunFolder]:
    """Static narration: a hundred tokens about "this panel", steered to every panel."""
    from gazeheads.experiments import catalogue, steer_vqa

    bench = session.bench
    settings = replace(steer_vqa.narration((bench.k,), bench.seed), delta=delta)
    if prompt is not None:
        settings = replace(settings, prompt=prompt)
    return [catalogue.narration(bench, settings)]


@command("sweeps")
def sweeps(
    session: Session,
    names: Annotated[
        list[str] | None, typer.Argument(help="k, delta, prompts, pools, panels; default: all.")
    ] = None,
) -> list[RunFolder]:
    """The question with one thing changed: heads, strength, wording, controls, panels."""
    from gazeheads.errors import GazeheadsError
    from gazeheads.experiments import catalogue, sweeps

    every = ["sweep-k", *sweeps.NAMES]
    chosen = [f"sweep-{name}" for name in names] if names else every
    for name in chosen:
        if name not in every:
            known = ", ".join(each.removeprefix("sweep-") for each in every)
            raise GazeheadsError(f"no sweep {name.removeprefix('sweep-')!r}: choose from {known}")
    runs = []
    for name in chosen:
        if name == "sweep-k":
            runs.append(catalogue.sweep_k(session.bench))
        else:
            lengths = name == sweeps.PANELS
            strips = session.strips_of_lengths() if lengths else session.strips
            runs.append(catalogue.sweep(session.bench, name, strips))
    return runs


@command("head-sets")
def head_sets(session: Session) -> list[RunFolder]:
    """Gaze heads against image heads, localization heads, random heads and all heads."""
    from gazeheads.experiments import catalogue

    return catalogue.other_head_sets(session.bench)


@command("steer-dynamic")
def steer_dynamic(
    session: Session,
    segment: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens between switches; default: 50, comic-tiny: 10."),
    ] = None,
) -> list[RunFolder]:
    """Move the gaze to another panel every so many tokens while a text is written."""
    from gazeheads.experiments import catalogue
    from gazeheads.experiments.steer_dynamic import segment_for

    return catalogue.dynamic(session.bench, segment or segment_for(session.vlm.name))


@command("staircase")
def staircase(
    session: Session,
    reverse: Annotated[bool, typer.Option("--reverse", help="Ask for the reverse order.")] = False,
) -> list[RunFolder]:
    """Watch where the heads look during a narration that nobody steers."""
    from gazeheads.experiments import catalogue

    return [catalogue.watched(session.bench, reverse)]


@command("reading-order")
def reading_order(
    session: Session,
    orders: Annotated[int, typer.Option(min=0, help="Orders tried besides the reverse.")] = 23,
    all_orders: Annotated[bool, typer.Option("--all-orders", help="Try all 720 orders.")] = False,
    alpha: Annotated[float, typer.Option(help="Factor of the direction.")] = 1.0,
) -> list[RunFolder]:
    """Turn the order of reading with a direction in the residual stream (drawn strips only)."""
    from gazeheads.experiments import catalogue
    from gazeheads.experiments.reading_directions import LAYOUTS
    from gazeheads.experiments.reading_order import OrderSettings

    session.only_drawn("reading-order")
    settings = OrderSettings(orders=None if all_orders else orders, alpha=alpha)
    return catalogue.reading(session.bench, session.common.limit, settings, LAYOUTS)


@command("discover-layouts")
def discover_layouts(session: Session) -> list[RunFolder]:
    """Find the gaze heads on strips of 2 to 8 panels and in grids (drawn strips only)."""
    from gazeheads.experiments import catalogue
    from gazeheads.experiments.discover_layouts import LAYOUTS

    session.only_drawn("discover-layouts")
    return [catalogue.layouts(session.bench, session.common.limit, LAYOUTS)]


@command("coco")
def coco(
    session: Session,
    folder: Annotated[
        Path | None,
        typer.Option("--coco", help="Folder of COCO val2017; default: drawn scenes."),
    ] = None,
) -> list[RunFolder]:
    """Point the gaze at single objects, by the size of their boxes."""
    from gazeheads.experiments import catalogue

    return [catalogue.objects(session.bench, session.common.limit, folder)]


@command("reproduce")
def reproduce(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="Little of everything.")] = False,
) -> list[RunFolder]:
    """Run every experiment of the study on one model and write one report."""
    from gazeheads import terminal
    from gazeheads.experiments import reproduce
    from gazeheads.experiments.steer_dynamic import segment_for
    from gazeheads.report.page import write_report

    session.only_whole("reproduce")
    scale = reproduce.QUICK if quick else reproduce.FULL
    if quick:
        session = session.limited(scale.strips)
    lengths = session.strips_of_lengths(scale.lengths, scale.per_length)
    segment, sweep_k = segment_for(session.vlm.name), session.common.k is None
    runs = list(reproduce.run(session.bench, scale, lengths, segment, sweep_k))
    with session.stages.busy("Drawing figures and the report"):
        report = write_report(runs, session.common.out / "report.html")
    terminal.out.print(f"Report: {report.absolute()}", markup=False)
    return []


@command("models")
def models(
    session: Session,
    names: Annotated[list[str], typer.Argument(help="Models: comic-tiny, folders, hub ids.")],
) -> list[RunFolder]:
    """The same on several models: heads, how many to steer, accuracy; one report."""
    from gazeheads import terminal
    from gazeheads.experiments import reproduce
    from gazeheads.report.page import write_report

    session.only_whole("models")
    runs = [
        run
        for name in names
        for run in reproduce.core(session.of(name).bench, session.common.k is None)
    ]
    with session.stages.busy("Drawing figures and the report"):
        report = write_report(runs, session.common.out / "models.html")
    terminal.out.print(f"Report: {report.absolute()}", markup=False)
    return []


@experiments_app.command("merge")
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, of every machine.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs to merge into.")] = Path("runs"),
) -> None:
    """Put the shards of runs together into whole runs."""
    from gazeheads.experiments.merging import merge
    from gazeheads.experiments.runs import check_writable

    check_writable(out)
    tell(merge(runs, out))
