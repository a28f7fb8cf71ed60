"""The commands of the experiments: one each, with options in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from gazeheads.cli.session import Common, Session
from gazeheads.study.runs import RunFolder

experiments_app = typer.Typer()
"""Registered without a name: its commands stand beside the others."""


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
            from gazeheads.cli import terminal

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
    from gazeheads.cli import terminal
    from gazeheads.study.report.blocks import TableBlock
    from gazeheads.study.report.sections import sections_of

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
    from gazeheads.study import catalogue
    from gazeheads.study.experiments.steer_vqa import SteerVqaSettings

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
    from gazeheads.study import catalogue
    from gazeheads.study.experiments import steer_vqa

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
    from gazeheads.study import catalogue
    from gazeheads.study.experiments import sweeps

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
    from gazeheads.study import catalogue

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
    from gazeheads.study import catalogue
    from gazeheads.study.experiments.steer_dynamic import segment_for

    return catalogue.dynamic(session.bench, segment or segment_for(session.vlm.name))


@command("staircase")
def staircase(
    session: Session,
    reverse: Annotated[bool, typer.Option("--reverse", help="Ask for the reverse order.")] = False,
) -> list[RunFolder]:
    """Watch where the heads look during a narration that nobody steers."""
    from gazeheads.study import catalogue

    return [catalogue.watched(session.bench, reverse)]


@command("reading-order")
def reading_order(
    session: Session,
    orders: Annotated[int, typer.Option(min=0, help="Orders tried besides the reverse.")] = 23,
    all_orders: Annotated[bool, typer.Option("--all-orders", help="Try all 720 orders.")] = False,
    alpha: Annotated[float, typer.Option(help="Factor of the direction.")] = 1.0,
) -> list[RunFolder]:
    """Turn the order of reading with a direction in the residual stream (drawn strips only)."""
    from gazeheads.study import catalogue
    from gazeheads.study.experiments.reading_directions import LAYOUTS
    from gazeheads.study.experiments.reading_order import OrderSettings

    session.only_drawn("reading-order")
    settings = OrderSettings(orders=None if all_orders else orders, alpha=alpha)
    return catalogue.reading(session.bench, session.common.limit, settings, LAYOUTS)


@command("discover-layouts")
def discover_layouts(session: Session) -> list[RunFolder]:
    """Find the gaze heads on strips of 2 to 8 panels and in grids (drawn strips only)."""
    from gazeheads.study import catalogue
    from gazeheads.study.experiments.discover_layouts import LAYOUTS

    session.only_drawn("discover-layouts")
    session.judges_nothing("discover-layouts")
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
    from gazeheads.data.coco import coco_annotations
    from gazeheads.study import catalogue

    session.judges_nothing("coco")
    if folder is not None:
        coco_annotations(folder)
    return [catalogue.objects(session.bench, session.common.limit, folder)]


@command("reproduce")
def reproduce(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="Little of everything.")] = False,
) -> list[RunFolder]:
    """Run every experiment of the study on one model and write one report."""
    from gazeheads.cli import terminal
    from gazeheads.study.experiments import reproduce
    from gazeheads.study.experiments.steer_dynamic import segment_for
    from gazeheads.study.report.page import write_report

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
    names: Annotated[
        list[str] | None, typer.Argument(help="Models: comic-tiny, folders, hub ids.")
    ] = None,
) -> list[RunFolder]:
    """Without names: the model families. With: the same on several models, and one report."""
    from gazeheads.cli import terminal
    from gazeheads.cli.commands.models import list_families
    from gazeheads.errors import GazeheadsError
    from gazeheads.study.experiments import reproduce
    from gazeheads.study.report.page import write_report

    if not names:
        list_families()
        return []
    session.only_whole("models")
    if twice := [name for name in names if names.count(name) > 1]:
        raise GazeheadsError(f"model {twice[0]!r} is named twice")
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
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace whole runs there.")] = False,
) -> None:
    """Put the shards of runs together into whole runs."""
    from gazeheads.study.merging import merge
    from gazeheads.study.runs import check_writable

    check_writable(out)
    tell(merge(runs, out, fresh))
