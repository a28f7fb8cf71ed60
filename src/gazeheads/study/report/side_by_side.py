"""Runs of the same experiment side by side: what differs between them, and what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gazeheads.study.experiment import registry
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import Block, FigureBlock, Section, TableBlock
from gazeheads.study.report.chapters import Bundle, differing
from gazeheads.study.report.naming import heads_called, named_by, ranking_of
from gazeheads.study.report.numbers import Results, followed, percent
from gazeheads.study.report.tables import write_runs
from gazeheads.study.report.theme import save
from gazeheads.study.report.variants import shown_estimate
from gazeheads.study.runs import RunFolder

STEERED = "heads steered"
SEVERAL = "several rankings"
"""What the heads under test come from where the runs do not agree."""
_LABELS_FIT = 22  # characters of a label under a chart


@dataclass
class InFewNumbers:
    """What a run found, in a few numbers.

    Attributes:
        cells: by column of a table.
        conditions: shown in a figure.
    """

    cells: dict[str, str] = field(default_factory=dict)
    conditions: list[Results] = field(default_factory=list)


def side_by_side(bundles: Sequence[Bundle], folder: Path) -> Section | None:
    """Every experiment that was run more than once; None if none was.

    Args:
        bundles: of the report.
        folder: for figures and their numbers.
    """
    rankings = {ranking_of(run.settings) for bundle in bundles for run in bundle.runs.values()}
    shared = rankings.pop() if len(rankings) == 1 else SEVERAL
    with named_by({"ranking": shared}):
        return _side_by_side(bundles, folder)


def _side_by_side(bundles: Sequence[Bundle], folder: Path) -> Section | None:
    several = {
        name: having
        for name in dict.fromkeys(name for bundle in bundles for name in bundle.runs)
        if len(having := [bundle for bundle in bundles if name in bundle.runs]) > 1
    }
    found = {
        name: [in_few_numbers(bundle.runs[name]) for bundle in having]
        for name, having in several.items()
    }
    if not several:
        return None
    data = write_runs(
        folder / "side-by-side.csv",
        (
            (bundle.title, name, own.conditions)
            for name, having in several.items()
            for bundle, own in zip(having, found[name], strict=True)
        ),
    )
    blocks: list[Block] = []
    for name, having in several.items():
        blocks += _compared(name, having, found[name])
        if any(own.conditions for own in found[name]):
            blocks.append(_figure(name, having, found[name], data))
    text = (
        "Experiments that were run more than once: in which settings the runs differ, and what "
        "came out. Each has its own chapter below."
    )
    return Section("side-by-side", "Runs side by side", (text,), tuple(blocks))


def _compared(
    name: str, having: Sequence[Bundle], found: Sequence[InFewNumbers]
) -> list[TableBlock]:
    """A row per run: what differs, and what came out; nothing if there is nothing to tell."""
    changed = differing([bundle.runs[name] for bundle in having])
    columns = list(dict.fromkeys(column for own in found for column in own.cells))
    if "K" in changed and STEERED in columns:
        columns.remove(STEERED)
    if not columns and not changed:
        return []
    rows = tuple(
        (
            bundle.title,
            *(values[i] for values in changed.values()),
            *(own.cells.get(column, "") for column in columns),
        )
        for i, (bundle, own) in enumerate(zip(having, found, strict=True))
    )
    known = registry().get(name)
    title = name if known is None else known.title
    return [TableBlock(("run", *changed, *columns), rows, title=title)]


def _figure(
    name: str, having: Sequence[Bundle], found: Sequence[InFewNumbers], data: Path
) -> FigureBlock:
    labels = [bundle.label or bundle.model for bundle in having]
    short = max(map(len, labels)) <= _LABELS_FIT and len(set(labels)) == len(labels)
    shown = labels if short else [str(i) for i in range(1, len(labels) + 1)]
    estimates = [{c["condition"]: shown_estimate(c) for c in own.conditions} for own in found]
    lines = {
        f"{each} heads": [own.get(each) for own in estimates]
        for each in (GAZE, RANDOM, ALL)
        if any(each in own for own in estimates)
    }
    numbered = "" if short else " Runs are numbered as in the table."
    return FigureBlock(
        save(data.parent, name, lambda theme: charts.estimates(theme, shown, lines, xlabel="run")),
        "What came out of every run, side by side.",
        "Answers that follow, run by run, with 95% intervals over strips; of random heads the "
        f"median and range of all draws.{numbered}",
        (data,),
    )


def in_few_numbers(run: RunFolder) -> InFewNumbers:
    """A run in a few numbers, by what its summary holds; empty for what has no such numbers."""
    results = run.summary["results"]
    if "conditions" in results and "peak" in results:
        return _steered(results)
    if "variants" in results:
        return _varied(results)
    cells: dict[str, str] = {}
    if "tracking" in results:
        own = results["tracking"]
        cells = {f"on the panel told, {n}": percent(own[n], interval=True) for n in own}
    elif "sets" in results:
        for own in results["sets"]:
            cells[f"on schedule, {own['name']}"] = percent(own["segments"], interval=True)
    elif "top" in results:
        best = results["top"][0]
        cells = {"best head": best["head"], "its score": f"{best['score']:.2f}"}
    return InFewNumbers(cells)


def _steered(results: Results) -> InFewNumbers:
    """The gaze heads where they do best, the random heads of that number, and all heads."""
    best = results["peak"]["k"] if results["peak"] else None
    found = InFewNumbers()
    for name in (GAZE, RANDOM, ALL):
        own = [c for c in results["conditions"] if c["condition"] == name]
        alone = own[0] if len(own) == 1 else None
        chosen = next((c for c in own if c["k"] == best), alone)
        if chosen is not None:
            found.cells.setdefault(STEERED, str(chosen["k"]))
            found.cells[heads_called(name)] = followed(chosen)
            found.conditions.append(chosen)
    return found


def _varied(results: Results) -> InFewNumbers:
    """The gaze heads under every variant; long names of variants are numbered."""
    cells = {}
    for number, variant in enumerate(results["variants"], 1):
        own = next((c for c in variant["conditions"] if c["condition"] == GAZE), None)
        if own is not None:
            name = variant["name"]
            column = name if len(name) <= _LABELS_FIT else f"variant {number}"
            cells[column] = followed(own)
    return InFewNumbers(cells)
