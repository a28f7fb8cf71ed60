"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from contextvars import copy_context
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from gazeheads import __version__
from gazeheads.cli.commands import models
from gazeheads.cli.commands.compare import compare_command
from gazeheads.cli.commands.composites import composites_command
from gazeheads.cli.commands.demo import demo_command
from gazeheads.cli.commands.describe import describe_command
from gazeheads.cli.commands.discover_pictures import discover_pictures_command
from gazeheads.cli.commands.doctor import doctor_command
from gazeheads.cli.commands.experiments import CommandsOfExperiments, experiments_app
from gazeheads.cli.commands.export import export_app
from gazeheads.cli.commands.heads import heads_app
from gazeheads.cli.commands.judge import judge_app
from gazeheads.cli.commands.locate import locate_command
from gazeheads.cli.commands.runs import runs_app
from gazeheads.cli.commands.serve import serve_command
from gazeheads.cli.commands.steer import steer_command
from gazeheads.cli.commands.strips import strips_app
from gazeheads.cli.commands.tiny import tiny_app
from gazeheads.cli.commands.watch import watch_command
from gazeheads.cli.notes import warnings_in_one_line
from gazeheads.errors import GazeheadsError
from gazeheads.own_code import module_of

INTERRUPTED = 130  # what a shell reports for a command that was stopped by Ctrl-C

app = typer.Typer(
    cls=CommandsOfExperiments,
    help="Find, watch and steer the attention heads a vision-language model looks with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(strips_app, name="strips")
app.add_typer(tiny_app, name="tiny")
app.add_typer(heads_app, name="heads")
app.add_typer(judge_app)
app.add_typer(experiments_app)
app.add_typer(runs_app)
app.command("discover-pictures")(discover_pictures_command)
app.command("tokens")(models.tokens_command)
app.add_typer(export_app, name="export")
app.command("doctor")(doctor_command)
app.command("demo")(demo_command)
app.command("serve")(serve_command)
app.command("steer")(steer_command)
app.command("watch")(watch_command)
app.command("describe")(describe_command)
app.command("compare")(compare_command)
app.command("locate")(locate_command)
app.command("composites")(composites_command)


def _read_own(files: list[Path] | None) -> list[Path] | None:
    for file in files or ():
        module_of(file)
    return files


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True),
    ] = False,
    own: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            help="A Python file that registers experiments of your own; repeatable.",
            callback=_read_own,
            is_eager=True,
        ),
    ] = None,
    device: models.Device = None,
    dtype: models.Dtype = None,
    device_map: models.DeviceMap = None,
    quantization: models.Quantization = None,
    fit: models.FitOption = None,
    offline: models.Offline = False,
    trust_remote_code: models.Trust = False,
    no_check: models.NoCheck = False,
    max_pixels: models.MaxPixels = None,
    processor: models.ProcessorOptions = None,
    template: models.TemplateOptions = None,
) -> None:
    """Find, watch and steer the attention heads a vision-language model looks with."""
    from gazeheads.cli.terminal import LOAD_OPTIONS

    LOAD_OPTIONS.set({
        "device": device, "dtype": dtype, "device_map": device_map, "quantization": quantization,
        "fit": fit, "offline": offline, "check": not no_check, "max_pixels": max_pixels,
        "trust_remote_code": trust_remote_code, **models.given(processor, template),
    })  # fmt: skip


def main() -> None:
    """Runs a command; a user's mistake is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without a character gets its code
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings_in_one_line():
            # options named before the command end with it
            code = copy_context().run(app, standalone_mode=False)
    except GazeheadsError as error:
        _stop(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _stop("interrupted", INTERRUPTED)
    except Exception as error:
        # click's exceptions, whichever package typer took them from
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
        if message.startswith("Usage:"):  # a group named without a command
            print(message)
            sys.exit(2)
        _stop(_told_where(error, message), 2)
    if code == INTERRUPTED:  # typer catches the interrupt itself
        _stop("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _told_where(error: Any, message: str) -> str:
    """Of an unknown option that is one of those named before the command: where it goes."""
    option = getattr(error, "option_name", None)
    root = typer.main.get_command(app)
    if option is None or not any(option in parameter.opts for parameter in root.params):
        return message
    return f"{option} goes before the command: gazeheads {option} ... COMMAND"


def _stop(message: str, code: int) -> None:
    print(f"gazeheads: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
