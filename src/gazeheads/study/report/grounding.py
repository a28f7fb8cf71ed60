"""The section about phrases located in pictures."""

from __future__ import annotations

from gazeheads.locating.located import LIKELY, METHODS
from gazeheads.study.experiments import grounding
from gazeheads.study.experiments.grounding_summary import ENOUGH
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.naming import heads_called
from gazeheads.study.report.numbers import Results, Runs, percent
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import write_estimates
from gazeheads.study.report.theme import save

TOLD = {
    "naming": "what is named where the {heads} are pointed",
    "attention": "where the {heads} look when the phrase is asked for",
    "localization": "the same of 3 localization heads (Kang et al.)",
}
_MEASURES = ("point", "peak", "found")
_HEAD = ("method", "middle of the box", "strongest cell", f"IoU at least {ENOUGH}", "mean IoU")


@section(grounding.EXPERIMENT, place=145)
def grounding_section(runs: Runs) -> Section:
    """Pointing and boxes by method, and the control."""
    run = runs[grounding.EXPERIMENT]
    results, source = run.summary["results"], run.settings["source"]
    methods = results["methods"]
    rows = tuple(
        (
            TOLD[name].format(heads=heads_called()),
            *(percent(methods[name][measure], interval=True) for measure in _MEASURES),
            f"{methods[name]['iou']['value']:.2f}" if methods[name]["iou"] else "",
        )
        for name in METHODS
    )
    numbers = [
        ((name, measure), methods[name][measure])
        for name in METHODS
        for measure in (*_MEASURES, "iou")
        if methods[name][measure]
    ]
    series = {name: [methods[name][measure] for measure in _MEASURES] for name in METHODS}
    figure = FigureBlock(
        save(
            run.path,
            "grounding",
            lambda theme: charts.estimates(
                theme, list(_HEAD[1:4]), series, xlabel="", ylabel="phrases located"
            ),
        ),
        "Phrases located, by method.",
        f"{results['phrases']} phrases in {run.settings['pictures']} pictures; {source}.",
        (write_estimates(run.path / "grounding.csv", ("method", "measure"), numbers),),
    )
    text = (
        "Where in a picture is “the cow”? The heads are pointed at one cell after another, with a "
        "question that does not name it; a cell is worth the probability that the answer begins "
        "with the phrase. Beside that stands what the attention itself shows.",
    )
    note = (
        "A point counts if it lies in the box of what the phrase names; the middle of the box is "
        "that of the method's own box."
    )
    said = [each for each in (_unsayable(results), _control(results), _presence(results)) if each]
    return Section(
        "grounding",
        "Locating a phrase",
        text,
        (figure, TableBlock(_HEAD, rows, " ".join([note, *said]))),
    )


def _unsayable(results: Results) -> str:
    count = results["unsayable"]
    return f"{count} phrases the model has no word for; they count as missed." if count else ""


def _control(results: Results) -> str:
    own = results["random"]
    if not own:
        return ""
    return (
        f"{own['draws']} sets of random heads, pointed instead on {own['phrases']} of the phrases, "
        f"put the middle of the box inside for {100 * own['median']:.1f}% (median; "
        f"{100 * own['least']:.1f} to {100 * own['most']:.1f}), the {heads_called()} there for "
        f"{100 * own['gaze']:.1f}% (p = {own['p']:.3f}). The phrase gets a probability of at least "
        f"{LIKELY} somewhere for {100 * own['named_gaze']:.1f}% with the {heads_called()}, for "
        f"{100 * own['named_median']:.1f}% with the median random set (at most "
        f"{100 * own['named_most']:.1f}; p = {own['named_p']:.3f})."
    )


def _presence(results: Results) -> str:
    there, not_there = results["named_where_present"], results["named_where_absent"]
    if not not_there["total"]:
        return ""
    return (
        f"At a probability of at least {LIKELY} somewhere, {percent(there)} of what is there "
        f"counts as there, and {percent(not_there)} of {not_there['total']} things that are not."
    )
