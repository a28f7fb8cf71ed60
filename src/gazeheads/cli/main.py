"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from contextvars import copy_context
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from gazeheads import __version__, prompts
from gazeheads.cli import judge_options as judges
from gazeheads.cli import region_options as regions
from gazeheads.cli.commands import models
from gazeheads.cli.commands.demo import demo_command
from gazeheads.cli.commands.experiments import experiments_app
from gazeheads.cli.commands.export import export_app
from gazeheads.cli.commands.judge import judge_app
from gazeheads.cli.commands.strips import strips_app
from gazeheads.cli.commands.tiny import tiny_app
from gazeheads.cli.commands.watch import watch_command
from gazeheads.cli.heads_options import HeadsAnyway
from gazeheads.cli.notes import warnings_in_one_line
from gazeheads.cli.service_options import Protocol
from gazeheads.errors import GazeheadsError

INTERRUPTED = 130  # what a shell reports for a command that was stopped by Ctrl-C

app = typer.Typer(
    help="Find, watch and steer the attention heads a vision-language model looks with.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(strips_app, name="strips")
app.add_typer(tiny_app, name="tiny")
app.add_typer(judge_app)
app.add_typer(experiments_app)
app.command("tokens")(models.tokens_command)
app.add_typer(export_app, name="export")
app.command("demo")(demo_command)
app.command("watch")(watch_command)

Model = Annotated[str, typer.Option(help="comic-tiny, a model folder, or a hub id.")]
Strips = Annotated[
    Path | None, typer.Option(help="Folder of strips (comic1/p1.png ...); default: drawn ones.")
]
Out = Annotated[Path, typer.Option(help="Folder of all runs.")]
Limit = Annotated[int, typer.Option(min=1, help="Use so many strips.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")]
K = Annotated[int | None, typer.Option("--k", help="Number of heads.")]
Heads = Annotated[
    Path | None, typer.Option(help="Scores or a head set, as JSON; default: discovered now.")
]
Place = Annotated[Path, typer.Argument(help="An image, or a folder of strips.")]
Comic = Annotated[str | None, typer.Option(help="Id or number of the comic in a folder.")]
Panels = Annotated[int | None, typer.Option(min=1, help="Number of panels of an image.")]
Columns = Annotated[int | None, typer.Option(min=1, help="Panels per row; default: one row.")]


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


@app.command()
def run(
    model: Model = "comic-tiny",
    strips: Strips = None,
    out: Out = Path("runs"),
    limit: Limit = 20,
    seed: Seed = 0,
    k: Annotated[int | None, typer.Option("--k", help="Heads to steer; default: tried.")] = None,
    judge: judges.JudgeName = judges.Name.label,
    judge_service: judges.JudgeService = Protocol.openai,
    judge_model: judges.JudgeModel = None,
    judge_base_url: judges.JudgeBaseUrl = None,
    judge_key_env: judges.JudgeKeyEnv = None,
    fresh: Fresh = False,
) -> None:
    """The main job: find the gaze heads, steer them with controls, narrate, write a report."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.study.experiments import main_job
    from gazeheads.study.report.page import write_report
    from gazeheads.study.runs import check_writable

    check_writable(out)
    with terminal.Stages() as stages:
        given = resolve.strips_for(strips, limit, seed) if strips is not None else None
        choice = judges.Choice(judge, judge_service, judge_model, judge_base_url, judge_key_env)
        judging = choice.judge_of(given or ())
        vlm = terminal.load_quietly(model)
        resolve.check_k(vlm, k)
        with stages.busy("Drawing strips"):
            shown = given or resolve.strips_for(None, limit, seed)
            tuning = resolve.tuning_strips(shown, seed)
        terminal.tell_loss(vlm, shown[0].image)
        job = main_job.MainJob(k=k, seed=seed, fresh=fresh, judge=judging)
        runs = main_job.run(vlm, tuning, shown, job, out, stages)
        with stages.busy("Drawing figures and the report"):
            report = write_report(runs, out / "report.html")
    _tell_results(runs)
    terminal.out.print(f"Report: {report.absolute()}", markup=False)


def _tell_results(runs: list[Any]) -> None:
    """The headline of a report, as text."""
    from gazeheads.cli import terminal
    from gazeheads.study.report.sections import headline

    for tile in headline({run.experiment: run for run in runs}):
        note = f" ({tile.note})" if tile.note else ""
        terminal.out.print(f"{tile.value:>7} {tile.label}{note}", markup=False)


@app.command()
def discover(
    picture: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    box: Annotated[list[str] | None, typer.Option(hidden=True)] = None,
    model: Model = "comic-tiny",
    strips: Strips = None,
    out: Out = Path("runs"),
    limit: Limit = 20,
    seed: Seed = 0,
    k: Annotated[int, typer.Option("--k", min=1, help="List so many heads.")] = 12,
    fresh: Fresh = False,
) -> None:
    """Score every head by how much it looks at the panel a question is about."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.study.experiments import discover as experiment
    from gazeheads.study.runs import RunOptions, check_writable

    if picture is not None or box:
        raise GazeheadsError(
            "discover asks about the numbered panels of strips, not about a picture or boxes: name "
            "a folder of strips with --strips, or leave it out and drawn ones are used; the heads "
            "found so can be pointed at any picture by `gazeheads steer IMAGE --box x0,y0,x1,y1` "
            "and seen at work by `gazeheads watch IMAGE`"
        )
    check_writable(out)
    with terminal.Stages() as stages:
        given = resolve.strips_for(strips, limit, seed) if strips is not None else None
        vlm = terminal.load_quietly(model)
        resolve.check_k(vlm, k)
        shown = given or resolve.strips_for(None, limit, seed + resolve.TUNING_SEED)
        terminal.tell_loss(vlm, shown[0].image)
        settings = experiment.DiscoverSettings(seed=seed)
        options = RunOptions(out, stages("Finding gaze heads"), fresh)
        folder = experiment.run(vlm, shown, settings, options)
    scores = experiment.load_scores(folder.path)
    for number, head in enumerate(scores.ranking()[:k], 1):
        terminal.out.print(f"{number:>4}  {head!s:<8} {scores[head]:.3f}", markup=False)
    terminal.out.print(f"Scores: {folder.path / experiment.SCORES}", markup=False)


@app.command()
def steer(
    image: Place,
    question: Annotated[str, typer.Option(help="What to ask.")] = prompts.VQA,
    panel: Annotated[int | None, typer.Option(help="Look there; default: each in turn.")] = None,
    box: regions.BoxOption = None,
    units: regions.UnitsOption = None,
    rule: regions.RuleOption = regions.Rule.centre,
    threshold: regions.ThresholdOption = None,
    k: K = None,
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    model: Model = "comic-tiny",
    comic: Comic = None,
    panels: Panels = None,
    columns: Columns = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of answers.")] = 40,
    seed: Seed = 0,
) -> None:
    """Answer a question unsteered, and with the gaze heads pointed at panels or a box."""
    from gazeheads.cli import resolve, terminal

    shown = resolve.shown_at(image, comic, panels, columns)
    targets, share = shown.targets(panel, box, units), resolve.overlap_share(rule, threshold)
    with terminal.Stages() as stages:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, stages, heads_anyway)
        terminal.tell_loss(vlm, shown.image)
        encoded = vlm.encode(shown.image, question)
        steered = [(encoded, each) for each in resolve.steerings(chosen, targets, rule, share)]
        done = vlm.generate([encoded, *steered], max_new_tokens=max_new_tokens)
    names = ["unsteered", *(where.name for where in targets)]
    wide = max(map(len, names))
    for name, generation in zip(names, done, strict=True):
        terminal.out.print(f"{name:<{wide}}  ", terminal.plain(generation.text), sep="")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
) -> None:
    """One self-contained HTML page from run folders."""
    from gazeheads.cli import terminal
    from gazeheads.study.report.page import write_report
    from gazeheads.study.runs import check_writable, find_runs

    check_writable(out.parent)
    found = find_runs(runs)
    with terminal.Stages() as stages, stages.busy("Drawing figures and the report"):
        page = write_report(found, out)
    terminal.out.print(f"Report: {page.absolute()}", markup=False)


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
