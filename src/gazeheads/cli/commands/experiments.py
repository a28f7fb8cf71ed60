"""The commands of the experiments: one per registered spec, with options in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from gazeheads.cli.commands.runs import tables_of, tell_headline
from gazeheads.cli.plan_options import Planning, tell_plan
from gazeheads.cli.session import Common, Session

if TYPE_CHECKING:
    from gazeheads.study.experiment import Command, Option
    from gazeheads.study.planning.loads import Scale, Workload
    from gazeheads.study.runs import RunFolder

experiments_app = typer.Typer()
"""What builds on experiments and is none itself: ``reproduce`` and ``models``."""

Work = Callable[..., Any]
"""Does the work of a command; returns the runs to print tables of, or nothing."""
PlanOf = Callable[..., "list[Workload]"]
"""Tells that work at a scale, with the command's own options."""


class CommandsOfExperiments(TyperGroup):
    """A group whose commands are those of the registered experiments besides its own.

    The specs are read only when such a command, or the list of all, is asked for: others start
    faster without.
    """

    @property  # type: ignore[override]
    def commands(self) -> dict[str, Any]:
        """By name all commands, its own first."""
        return {**self._own, **_generated()}

    @commands.setter
    def commands(self, own: dict[str, Any]) -> None:
        self._own = own

    def add_command(self, cmd: Any, name: str | None = None) -> None:
        """See `click.Group`."""
        self._own[name or cmd.name] = cmd

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """See `click.Group`."""
        return self._own.get(cmd_name) or _generated().get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """See `click.Group`."""
        return list(self.commands)


@cache
def _generated() -> dict[str, Any]:
    """By name the commands of all experiments."""
    from gazeheads.study.experiment import commands

    app = typer.Typer(rich_markup_mode=None)
    for each in commands():
        app.command(each.name)(with_options_in_common(_work_of(each), _plan_of(each)))
    return dict(getattr(typer.main.get_group(app), "commands"))  # noqa: B009 - untyped


def _work_of(own: Command) -> Work:
    """A function of a session that carries a command out, with its options as parameters."""
    from gazeheads.study.experiment import settable

    defaults = {field.name: field.default for field in fields(own.options)}

    def work(session: Session, **given: Any) -> list[RunFolder]:
        options = own.options(**given)
        if own.draws_strips:
            session.only_drawn(own.name)
        if not own.judges:
            session.judges_nothing(own.name)
        return own.run(session.context, options)

    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults[name],
            annotation=Annotated[kind, _asked(about)],
        )
        for name, (kind, about) in settable(own.options).items()
    ]
    session = inspect.Parameter("session", inspect.Parameter.POSITIONAL_ONLY, annotation=Session)
    work.__signature__ = inspect.Signature([session, *parameters])  # type: ignore[attr-defined]
    work.__doc__ = own.help
    return work


def _plan_of(own: Command) -> PlanOf:
    """What tells the work of a command before it is done."""

    def planned(scale: Scale, **given: Any) -> list[Workload]:
        from gazeheads.study.planning.plan import work_of

        return work_of(own, scale, own.options(**given))

    return planned


def _asked(about: Option) -> Any:
    """An option, or an argument, as typer wants it."""
    if about.argument:
        return typer.Argument(help=about.help)
    names = [about.name] if about.name else []
    return typer.Option(*names, help=about.help, min=about.least)


def with_options_in_common(work: Work, plan: PlanOf | None = None) -> Callable[..., None]:
    """A function of a session as a command that has the options in common too.

    Args:
        work: of the command.
        plan: tells that work before it is done, with the command's own options; None: nobody can.
    """
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    shared = [*_parameters(Common), *(_parameters(Planning) if plan is not None else ())]

    def run(**given: Any) -> None:
        from gazeheads.cli import terminal

        common = Common(**{field.name: given.pop(field.name) for field in fields(Common)})
        if plan is not None:
            planning = Planning(**{each.name: given.pop(each.name) for each in fields(Planning)})
            planning.check()
            if planning.plan:
                tell_plan(common, planning, partial(plan, **given))
                return
        with terminal.ProgressBars() as bars:
            session = Session(common, bars)
            with session.cluster:
                runs = work(session, **given)
        if runs:
            tables_of(runs)

    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__doc__ = work.__doc__
    run.__annotations__ = {}
    return run


def _parameters(options: type[Any]) -> list[inspect.Parameter]:
    """The fields of a dataclass as options of a command."""
    hints = get_type_hints(options, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]


def reproduce(
    session: Session,
    quick: Annotated[bool, typer.Option("--quick", help="Little of everything.")] = False,
) -> None:
    """Run every experiment of the study on one model and write one report."""
    from gazeheads.study.experiments import reproduce

    session.only_whole("reproduce")
    if quick:
        session = session.limited(reproduce.QUICK_STRIPS)
    runs = list(reproduce.run(session.context_of_all, quick, session.common.k is None))
    tell_headline(runs)
    _report(session, runs, "report.html")


def _plan_of_all(scale: Scale, quick: bool) -> list[Workload]:
    from gazeheads.study.experiments.reproduce import QUICK_STRIPS
    from gazeheads.study.planning.plan import work_of_all

    few = min(QUICK_STRIPS, scale.strips) if quick else scale.strips
    return work_of_all(replace(scale, strips=few, limit=few), quick)


experiments_app.command("reproduce")(with_options_in_common(reproduce, _plan_of_all))


@experiments_app.command("tune")
@with_options_in_common
def tune(
    session: Session,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The head set, as JSON; default: heads-MODEL.json in OUT."),
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Keep it for this model (gazeheads heads list).")
    ] = False,
) -> None:
    """Find how many heads to steer and how strongly; check it on other strips; store both."""
    from gazeheads.cli import terminal
    from gazeheads.cli.commands.heads import tell_heads
    from gazeheads.errors import GazeheadsError
    from gazeheads.files import file_name
    from gazeheads.heads_registry import add_heads
    from gazeheads.study.experiments import tune as tuning

    session.only_whole("tune")
    if session.common.k is not None:
        raise GazeheadsError("tune finds the number of heads itself: leave --k out")
    _, heads = tuning.run(session.context)
    path = to or session.common.out / f"heads-{file_name(session.vlm.name)}.json"
    heads.save(path)
    tell_heads(heads)
    terminal.out.print(f"Heads: {path.absolute()}", markup=False)
    if register:
        kept = add_heads(path, replace=True)
        terminal.out.print(f"Registered: {kept.path}", markup=False)


@experiments_app.command("models")
@with_options_in_common
def models(
    session: Session,
    names: Annotated[
        list[str] | None, typer.Argument(help="Models: comic-tiny, folders, hub ids.")
    ] = None,
) -> None:
    """Without names: the model families. With: the same on several models, and one report."""
    from gazeheads.cli.commands.models import list_families
    from gazeheads.errors import GazeheadsError
    from gazeheads.study.experiments import reproduce

    if not names:
        list_families()
        return
    session.only_whole("models")
    if twice := [name for name in names if names.count(name) > 1]:
        raise GazeheadsError(f"model {twice[0]!r} is named twice")
    contexts = (session.of(name).context_of_all for name in names)
    sweep_k = session.common.k is None
    runs = [run for context in contexts for run in reproduce.core(context, sweep_k)]
    _report(session, runs, "models.html")


def _report(session: Session, runs: list[RunFolder], name: str) -> None:
    """Writes the report of the runs and says where it is."""
    from gazeheads.cli import terminal
    from gazeheads.study.report.page import write_report

    with session.bars.busy("Drawing figures and the report"):
        report = write_report(runs, session.common.out / name)
    terminal.out.print(f"Report: {report.absolute()}", markup=False)
