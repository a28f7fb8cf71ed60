"""The section about the dynamic narration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gazeheads.study import published
from gazeheads.study.experiments import steer_dynamic
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.controls import Distribution, controls_blocks
from gazeheads.study.report.naming import called
from gazeheads.study.report.numbers import Results, Runs, out_of, percent
from gazeheads.study.report.schedule import example_blocks
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import Estimated, number, part, write_estimates
from gazeheads.study.report.theme import save
from gazeheads.study.report.variants import ANOTHER_MODEL


@section(steer_dynamic.EXPERIMENT, place=90)
def dynamic_section(runs: Runs) -> Section:
    """Whether a text follows a gaze that moves while it is written."""
    run = runs[steer_dynamic.EXPERIMENT]
    results, segment = run.summary["results"], run.settings["segment"]
    sets = results["sets"]
    numbers = [str(n) for n in range(1, len(sets[0]["by_segment"]) + 1)]
    head = (
        "heads steered", "segments on schedule", "rho with schedule", "rho with natural order",
        "switches followed", "tokens until then", "segments about no panel",
        *(["unjudged"] if (unjudged := any(own["unjudged"] for own in sets)) else []), "published",
    )  # fmt: skip
    rows = tuple(_row(own, unjudged) for own in sets)
    figure = FigureBlock(
        save(
            run.path,
            "dynamic",
            lambda theme: charts.estimates(
                theme,
                numbers,
                {f"{own['name']} heads": own["by_segment"] for own in sets},
                xlabel=f"segment of {segment} tokens",
                ylabel="segments on schedule",
                reference=results["chance"],
            ),
        ),
        "Share of segments about the scheduled panel.",
        "Share of segments that describe the panel the heads were then pointed at. Dotted: chance.",
        (_numbers(run.path / "dynamic.csv", sets),),
    )
    note = (
        "rho: Spearman's, the mean over strips with at least three segments about single panels; "
        "where they all are about the same one (constant) it counts as 0. "
        f"Published: rho with the schedule, and what a judge blind to it found. {ANOTHER_MODEL}"
    )
    example = example_blocks(run, sets[0]["name"])
    distributions = {
        f"{own['name']} heads": Distribution("rho_schedule", own["k"], own["controls"])
        for own in sets
        if own.get("controls")
    }
    drawn = controls_blocks(run.path, distributions, None, "rho with the schedule", scale=1)
    return Section(
        "dynamic",
        "A gaze that moves while the text is written",
        (
            f"While the model narrates, its heads are pointed at another panel every {segment} "
            "tokens, in an order in which every panel has another place than its own. The judge "
            f"({run.settings['judge']}) sees the segments, not the schedule.",
        ),
        (*example, figure, *drawn, TableBlock(head, rows, note)),
    )


def _numbers(path: Path, sets: Sequence[Results]) -> Path:
    rows = [row for own in sets for row in _measured(own)]
    return write_estimates(path, ("condition", "k", "segment", "measure"), rows)


def _measured(own: Results) -> Iterator[Estimated]:
    who, total = (own["name"], own["k"]), own["segments"]["total"]
    for measure in ("segments", "rho_schedule", "rho_natural"):
        yield (*who, None, measure), own[measure]
    for measure in ("junk", "unjudged"):
        yield (*who, None, measure), part(own[measure], total)
    yield (*who, None, "followed"), part(own["followed"], own["switches"])
    delay = number(own["tokens_until_followed"], own["followed"])
    yield (*who, None, "tokens_until_followed"), delay
    for place, each in enumerate(own["by_segment"], 1):
        yield (*who, place, "segments"), each


def _row(own: Results, unjudged: bool) -> tuple[str, ...]:
    name, delay = own["name"], own["tokens_until_followed"]
    return (
        f"{called(name)} ({own['k']})",
        percent(own["segments"], interval=True),
        _rho_of(own),
        rho(own["rho_natural"]),
        out_of(own["followed"], own["switches"]),
        "never" if delay is None else f"{delay:g}",
        str(own["junk"]),
        *([str(own["unjudged"])] if unjudged else []),
        _published(name),
    )


def rho(own: Results | None) -> str:
    """A correlation with its interval."""
    if own is None:
        return "none"
    same = f", {own['constant']} of {own['count']} constant" if own.get("constant") else ""
    return f"{own['value']:+.2f} ({own['low']:+.2f} to {own['high']:+.2f}{same})"


def _rho_of(own: Results) -> str:
    """The correlation with the schedule; of many draws their median and range, and p."""
    drawn = own.get("controls")
    if drawn is None:
        return rho(own["rho_schedule"])
    p = "" if drawn["p"] is None else f", p = {drawn['p']:.3f}"
    return (
        f"{drawn['median']:+.2f} ({drawn['least']:+.2f} to {drawn['most']:+.2f}, "
        f"{len(drawn['draws'])} draws{p})"
    )


def _published(name: str) -> str:
    parts = []
    if name in published.RHO_DYNAMIC:
        parts.append(f"rho {published.RHO_DYNAMIC[name]:+.2f}")
    if blind := published.BLIND.get(name):
        parts.append(
            f"blind: {blind['segments']:.1f}%, {blind['rho_schedule']:+.2f} with the schedule, "
            f"{blind['rho_natural']:+.2f} with natural order"
        )
    return "; ".join(parts)
