"""The sections about narrations that nobody steers: free and in reverse, weighted and raw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gazeheads.study.experiments import staircase
from gazeheads.study.experiments.tracking import CONTROL, GAZE
from gazeheads.study.report import figures, tables
from gazeheads.study.report.blocks import (
    Block,
    FigureBlock,
    NarrationBlock,
    Section,
    TableBlock,
    Tile,
    colour_of,
)
from gazeheads.study.report.controls import Distribution, controls_blocks
from gazeheads.study.report.naming import called, heads_called
from gazeheads.study.report.numbers import Results, Runs, percent
from gazeheads.study.report.sections import headline_of, section
from gazeheads.study.report.theme import save

_NAMES = {CONTROL: "random"}
_TITLES = {
    staircase.EXPERIMENT: "Nobody steering: where the heads look during a narration",
    staircase.REVERSE: "The same in reverse order",
}


@headline_of(staircase.EXPERIMENT, place=20)
def tracking_tiles(runs: Runs) -> list[Tile]:
    """How much of a narration is written with the gaze heads on the panel it tells."""
    tracking = runs[staircase.EXPERIMENT].summary["results"]["tracking"]
    return [
        Tile(
            percent(tracking[GAZE]),
            f"of a free narration is written with the {heads_called()} on the panel it tells",
            _random_told(runs[staircase.EXPERIMENT].summary["results"]),
        )
    ]


def _random_told(results: Results) -> str:
    own, alone = results.get("controls"), results["tracking"].get(CONTROL)
    if own is not None:
        p = "" if own["p"] is None else f", p = {own['p']:.3f}"
        return (
            f"{len(own['draws'])} sets of random heads: median {100 * own['median']:.1f}%, "
            f"{100 * own['least']:.1f} to {100 * own['most']:.1f}%{p}"
        )
    return f"random heads: {percent(alone)}" if alone else ""


def _registered(name: str, place: int) -> None:
    """Registers the section of one kind of narration."""

    @section(name, place)
    def build(runs: Runs) -> Section:
        run = runs[name]
        results = run.summary["results"]
        record = _telling(run.ordered())
        figure = FigureBlock(
            save(run.path, "staircase", lambda theme: figures.staircase(theme, record)),
            "Attention by panel over the words of a narration.",
            f"Strip {record['unit']}, the first of those that tell most panels: share of attention "
            "on each panel (rows) as each new token is written. The outline is the panel the "
            "words are about.",
            (tables.write_staircase(run.path, record),),
        )
        pieces = tuple(
            (piece, colour_of(panel))
            for piece, panel in zip(record["pieces"], record["narrated"], strict=True)
            if piece
        )
        told = NarrationBlock(
            pieces, "The narration, coloured by the panel each sentence is about."
        )
        drawn = {
            label: Distribution(measure, len(results["heads"][GAZE]), own)
            for label, measure, own in (
                ("weighted", "tracking", results.get("controls")),
                ("raw attention", "tracking_raw", results.get("controls_raw")),
            )
            if own is not None
        }
        what = "tokens on the panel told"
        controls = controls_blocks(run.path, drawn, results["chance"], what)
        blocks: tuple[Block, ...] = (figure, told, *controls, _table(results))
        return Section(name, _TITLES[name], _told(results), blocks)


_registered(staircase.EXPERIMENT, 100)
_registered(staircase.REVERSE, 110)


def _told(results: Results) -> tuple[str, ...]:
    tracking = {name: percent(own, interval=True) for name, own in results["tracking"].items()}
    random = _random_told(results)
    against = f" ({random})" if random else ""
    return (
        f"Asked to tell the whole strip, the model is only watched. For {tracking['gaze']} of "
        f"the tokens that describe a panel the {heads_called()} look at that panel more than at "
        f"any other{against}; chance is {100 * results['chance']:.0f}%.",
        f"{results['in_order']} of {results['strips']} narrations go through their panels in "
        f"order, {results['in_reverse']} in reverse order; {results['panels_narrated']} of "
        f"{results['panels_shown']} panels are told.",
    )


def _table(results: Results) -> TableBlock:
    rows = tuple(
        (
            f"{_NAMES.get(name, called(name))} ({len(results['heads'][name])})",
            percent(own, interval=True),
            percent(results["tracking_raw"][name], interval=True),
            str(own["total"]),
        )
        for name, own in results["tracking"].items()
    )
    head = ("heads watched", "most on the panel told", "by raw attention", "tokens")
    note = "Attention is weighted by the norms of the value vectors, as in the study, or raw."
    return TableBlock(head, rows, note)


def _telling(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first narration that tells most of its panels."""
    return max(records, key=lambda record: len(set(record["order"])))
