"""``gazeheads judge`` and ``gazeheads calibrate``: other judges for answers that are stored."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads.cli.commands.runs import runs_below
from gazeheads.cli.judge_options import WORKERS, Choice, JudgeName
from gazeheads.cli.service_options import (
    BaseUrl,
    KeyEnv,
    Prices,
    Protocol,
    Service,
    Temperature,
    Workers,
    read_prices,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gazeheads.data.strip import Strip
    from gazeheads.judges.llm import LlmJudge
    from gazeheads.study.runs import RunFolder

judge_app = typer.Typer()


@judge_app.command("judge")
def judge_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders of them.")],
    judge: JudgeName,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs judged so; default: RUNS-by-JUDGE.")
    ] = None,
    strips: Annotated[
        Path | None, typer.Option(help="The strips; default: as the run kept them.")
    ] = None,
    service: Service = Protocol.openai,
    model: Annotated[str | None, typer.Option(help="Of the llm judge.")] = None,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    temperature: Temperature = None,
    prices: Prices = None,
    workers: Workers = WORKERS,
    cache: Annotated[
        Path | None, typer.Option(help="The llm judge's verdicts; default: in your cache folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many calls it would make; make none.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False,
) -> None:
    """Judge the stored answers of finished runs again, without the model."""
    from gazeheads.cli import terminal
    from gazeheads.data.folders import read_strips
    from gazeheads.judges.llm import LlmJudge
    from gazeheads.study import rejudge
    from gazeheads.study.runs import check_writable

    paid = read_prices(prices)
    found = rejudge.judged_runs(runs_below(runs))
    given = read_strips(strips) if strips is not None else None
    choice = Choice(
        judge, service, model, base_url, key_env, temperature, workers, cache, prefix="--"
    )
    llm = choice.llm()
    if dry_run:
        _tell_plan(found, given, llm)
        return
    with terminal.ProgressBars() as bars:
        chosen = choice.judge_of(())
        for run in found:
            target = out or rejudge.out_beside(run, chosen.name)
            check_writable(target)
            judged = rejudge.rejudge(
                run,
                chosen,
                target,
                strips=rejudge.strips_of(run, given),
                progress=bars(f"Judging {run.experiment} of {run.model}"),
                fresh=fresh,
            )
            _tell_results(run, judged)
    if isinstance(chosen, LlmJudge):
        terminal.out.print(f"Used: {chosen.chat.usage.told(paid)}", markup=False)
        if chosen.unusable:
            told = f"Unjudged: {chosen.unusable} questions got no usable reply; --fresh asks again"
            terminal.out.print(told, markup=False)


@judge_app.command("calibrate")
def calibrate_command(
    count: Annotated[int, typer.Option("--strips", min=1, help="Drawn strips, twice.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of strips and texts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers, as JSON.")] = None,
) -> None:
    """Fit the caption judge's limits on drawn strips and tell how far it agrees on others."""
    from gazeheads.cli import terminal
    from gazeheads.data.drawn.strips import draw_strips
    from gazeheads.files import write_json
    from gazeheads.judges import CaptionJudge
    from gazeheads.judges.calibration import agreement, best_limits, made_up, similarities
    from gazeheads.judges.embedding import EMBEDDER
    from gazeheads.study.identity import versions

    with terminal.ProgressBars() as bars:
        judge = CaptionJudge()
        with bars.busy("Fitting floor and margin"):
            fitting = made_up(draw_strips(count, seed, size=32), seed)
            floor, margin = best_limits(fitting, similarities(judge, fitting))
        with bars.busy("Judging other strips"):
            others = made_up(draw_strips(count, seed + 1, size=32), seed + 1)
            rows = similarities(judge, others)
    found = agreement(others, rows, judge.floor, judge.margin)
    terminal.out.print(f"best limits: floor {floor}, margin {margin}", markup=False)
    terminal.out.print(
        f"agreement with floor {judge.floor}, margin {judge.margin} on other strips:", markup=False
    )
    for one in found:
        share = f"{one.same / one.total:6.1%}"
        terminal.out.print(f"{one.kind:<16} {share}  of {one.total}", markup=False)
    if out is not None:
        write_json(
            out,
            {
                "kind": "caption-judge-agreement",
                "model": EMBEDDER,
                "versions": versions(),
                "settings": {"strips": count, "seed": seed, **judge.about},
                "best": {"floor": floor, "margin": margin},
                "agreement": [asdict(one) for one in found],
            },
        )


def _tell_plan(
    runs: Sequence[RunFolder], given: Sequence[Strip] | None, llm: LlmJudge | None
) -> None:
    from gazeheads.cli import terminal
    from gazeheads.study.rejudge import strips_of, texts_to_judge

    for run in runs:
        strips = strips_of(run, given)
        asked = texts_to_judge(run)
        told = f"{run.path}: {sum(map(len, asked.values()))} texts to judge"
        if llm is not None:
            calls = sum(llm.to_call(strips[unit], texts) for unit, texts in asked.items())
            told += f", {calls} calls to {llm.chat.endpoint.url}; the others are in the cache"
        terminal.out.print(told, markup=False)


def _tell_results(before: RunFolder, after: RunFolder) -> None:
    from gazeheads.cli import terminal

    results, was = after.summary["results"], before.summary["results"]
    old = _shares(was)
    clean = {
        c["key"]: f", clean {c['clean']['value']:.1%}" if c.get("clean") else ", clean: not known"
        for c in results.get("conditions", ())
    }
    for key, now in _shares(results).items():
        told = f"{key:<14} {now['value']:6.1%}  of {now['total']} (was {old[key]['value']:.1%})"
        terminal.out.print(told + clean.get(key, ""), markup=False)
    agreed = results["agreement"]
    terminal.out.print(
        f"same panel as judged before: {agreed['value']:.1%} of {agreed['total']}", markup=False
    )
    terminal.out.print(f"Run: {after.path}", markup=False)


def _shares(results: dict[str, Any]) -> dict[str, Any]:
    """What a judge decides of a summary: accuracies, tracking, or segments on schedule."""
    return {
        **{c["key"]: c["accuracy"] for c in results.get("conditions", ())},
        **results.get("tracking", {}),
        **{own["name"]: own["segments"] for own in results.get("sets", ())},
    }
