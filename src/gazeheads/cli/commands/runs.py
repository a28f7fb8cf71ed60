"""``gazeheads run``, ``discover``, ``report`` and ``merge``: runs as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gazeheads.cli import judge_options as judges
from gazeheads.cli.cluster_options import Cluster, Ray, RayCores
from gazeheads.cli.service_options import Protocol

if TYPE_CHECKING:
    from gazeheads.cli.terminal import ProgressBars
    from gazeheads.data.strip import Strip
    from gazeheads.models import VLM
    from gazeheads.study.experiments.discover import DiscoverSettings
    from gazeheads.study.runs import RunFolder, RunOptions

runs_app = typer.Typer()
"""Registered without a name: its commands stand beside the others."""

Model = Annotated[str, typer.Option(help="comic-tiny, a model folder, or a hub id.")]
Strips = Annotated[
    Path | None, typer.Option(help="Folder of strips (comic1/p1.png ...); default: drawn ones.")
]
Out = Annotated[Path, typer.Option(help="Folder of all runs.")]
Limit = Annotated[int, typer.Option(min=1, help="Use so many strips.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")]
Runs = Annotated[list[Path], typer.Argument(help="Run folders, or folders of them.")]


@runs_app.command()
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
    draws: Annotated[int, typer.Option(min=1, help="Random head sets to compare with.")] = 20,
    draw_strips: Annotated[
        int | None,
        typer.Option(min=1, help="Measure them on so many strips; default: 10, of the sweep 4."),
    ] = None,
    ray: Ray = None,
    ray_cores: RayCores = None,
    fresh: Fresh = False,
) -> None:
    """The main job: find the gaze heads, steer them with controls, narrate, write a report."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.study.experiments import main_job
    from gazeheads.study.report.page import write_report
    from gazeheads.study.runs import check_writable

    check_writable(out)
    cluster = Cluster(ray, ray_cores)
    cluster.check_judge(judge == judges.Name.llm)
    with terminal.ProgressBars() as bars, cluster:
        given = resolve.strips_for(strips, limit, seed) if strips is not None else None
        choice = judges.Choice(judge, judge_service, judge_model, judge_base_url, judge_key_env)
        judging, workers = choice.judge_of(given or ()), cluster.workers
        vlm = terminal.load_quietly(model)
        resolve.check_k(vlm, k)
        with bars.busy("Drawing strips"):
            shown = given or resolve.strips_for(None, limit, seed)
            tuning = resolve.tuning_strips(shown, seed)
        terminal.print_resize_cost(vlm, shown[0].image)
        job = main_job.MainJob(
            k=k,
            seed=seed,
            fresh=fresh,
            judge=judging,
            draws=draws,
            draw_strips=draw_strips,
            workers=workers,
        )
        runs = main_job.run(vlm, tuning, shown, job, out, bars)
        with bars.busy("Drawing figures and the report"):
            report = write_report(runs, out / "report.html")
    tell_headline(runs)
    terminal.out.print(f"Report: {report.absolute()}", markup=False)


def tell_headline(runs: list[RunFolder]) -> None:
    """The headline of a report, as text."""
    from gazeheads.cli import terminal
    from gazeheads.study.report.sections import headline

    for tile in headline({run.experiment: run for run in runs}):
        note = f" ({tile.note})" if tile.note else ""
        terminal.out.print(f"{tile.value:>7} {tile.label}{note}", markup=False)


@runs_app.command()
def discover(
    picture: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    box: Annotated[list[str] | None, typer.Option(hidden=True)] = None,
    model: Model = "comic-tiny",
    strips: Strips = None,
    out: Out = Path("runs"),
    limit: Limit = 20,
    seed: Seed = 0,
    k: Annotated[int, typer.Option("--k", min=1, help="List so many heads.")] = 12,
    ray: Ray = None,
    ray_cores: RayCores = None,
    fresh: Fresh = False,
    source: Annotated[
        Literal["image", "text"],
        typer.Option("--from", help="Show the strip, or tell it as numbered lines of text."),
    ] = "image",
) -> None:
    """Score every head by how much it looks at the panel a question is about."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.errors import GazeheadsError
    from gazeheads.heads_by_default import TUNING_SEED
    from gazeheads.study.experiments import discover as experiment
    from gazeheads.study.runs import RunOptions, check_writable

    if picture is not None or box:
        raise GazeheadsError(
            "discover asks about the numbered panels of strips: name a folder of strips with "
            "--strips, or leave it out and drawn ones are used. Pictures of your own with regions "
            "and a question of your own: `gazeheads discover-pictures`. Heads found in either way "
            "can be pointed at any picture by `gazeheads describe`"
        )
    check_writable(out)
    with terminal.ProgressBars() as bars, Cluster(ray, ray_cores) as cluster:
        given = resolve.strips_for(strips, limit, seed) if strips is not None else None
        workers = cluster.workers
        vlm = terminal.load_quietly(model)
        resolve.check_k(vlm, k)
        shown = given or resolve.strips_for(None, limit, seed + TUNING_SEED)
        settings = experiment.DiscoverSettings(seed=seed)
        options = RunOptions(out, bars("Finding gaze heads"), fresh, workers=workers)
        if source == "text":
            _discover_in_text(vlm, shown, settings, options, bars, k)
            return
        terminal.print_resize_cost(vlm, shown[0].image)
        folder = experiment.run(vlm, shown, settings, options)
    scores = experiment.load_scores(folder.path)
    for number, head in enumerate(scores.ranking()[:k], 1):
        terminal.out.print(f"{number:>4}  {head!s:<8} {scores[head]:.3f}", markup=False)
    results = folder.summary["results"]
    if "null" in results:
        terminal.out.print(experiment.count_text(results), markup=False)
        terminal.out.print(experiment.stability_text(results), markup=False)
    terminal.out.print(f"Scores: {folder.path / experiment.SCORES}", markup=False)


def _discover_in_text(
    vlm: VLM,
    strips: Sequence[Strip],
    settings: DiscoverSettings,
    options: RunOptions,
    bars: ProgressBars,
    k: int,
) -> None:
    """Text heads, and what they share with the heads found on the same strips' images."""
    from gazeheads.cli import terminal
    from gazeheads.study.experiments import discover, text_heads

    text_heads.check_told(strips)
    image = discover.for_others(vlm, strips, settings, options)
    folder = text_heads.run(
        vlm,
        strips,
        discover.load_scores(image.path),
        text_heads.TextHeadsSettings(settings.seed),
        replace(options, progress=bars("Finding text heads")),
    )
    scores = text_heads.load_scores(folder)
    for number, head in enumerate(scores.living_ranking()[:k], 1):
        terminal.out.print(f"{number:>4}  {head!s:<8} {scores[head]:.3f}", markup=False)
    for own in folder.summary["results"]["overlaps"]:
        terminal.out.print(text_heads.overlap_text(own), markup=False)
    terminal.out.print(f"Scores: {folder.path / discover.SCORES}", markup=False)


@runs_app.command()
def report(
    runs: Runs,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
) -> None:
    """One self-contained HTML page from run folders."""
    from gazeheads.cli import terminal
    from gazeheads.study.report.page import write_report
    from gazeheads.study.runs import check_writable

    check_writable(out.parent)
    found = runs_below(runs)
    with terminal.ProgressBars() as bars, bars.busy("Drawing figures and the report"):
        page = write_report(found, out)
    terminal.out.print(f"Report: {page.absolute()}", markup=False)


def runs_below(paths: list[Path]) -> list[RunFolder]:
    """The runs at or below folders; says which are left out because others only built on them."""
    from gazeheads.cli import terminal
    from gazeheads.study.runs import find_runs
    from gazeheads.study.shared import one_of_each

    found, spare = one_of_each(find_runs(paths), paths)
    for run in spare:
        told = f"Left out: {run.path}, made for other runs; name it to have it too"
        terminal.err.print(told, markup=False)
    return found


@runs_app.command("merge")
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, of every machine.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs to merge into.")] = Path("runs"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Replace whole runs there.")] = False,
) -> None:
    """Put the shards of runs together into whole runs."""
    from gazeheads.study.merging import merge
    from gazeheads.study.runs import check_writable

    check_writable(out)
    tables_of(merge(runs, out, fresh))


def tables_of(runs: list[RunFolder]) -> None:
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
    tell_headline(list(whole.values()))
    for run in runs:
        what = "Run" if run.shard is None else f"Shard {run.shard}, to be merged"
        terminal.out.print(f"{what}: {run.path}", markup=False)
