"""The section about pointing at single objects of a picture."""

from __future__ import annotations

from pathlib import Path

from gazeheads.study import published
from gazeheads.study.experiments import natural
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.naming import called
from gazeheads.study.report.numbers import Results, Runs, percent
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import Estimated, part, write_estimates
from gazeheads.study.report.theme import save
from gazeheads.study.report.variants import ANOTHER_MODEL

NO_BOXES = "no boxes"


@section(natural.EXPERIMENT, place=140)
def natural_section(runs: Runs) -> Section:
    """Accuracy by the size of the box pointed at."""
    run = runs[natural.EXPERIMENT]
    results, source = run.summary["results"], run.settings["source"]
    classes = results["classes"]
    names = list(classes[0]["accuracy"])
    cropped = any(own.get("cropped") for own in classes)
    rows = tuple(
        (
            own["name"],
            str(own["boxes"]),
            str(own["without_tokens"]),
            *((str(own["cropped"]),) if cropped else ()),
            *(_share(own, name) for name in names),
            " / ".join(f"{value:.1f}%" for value in published.COCO[own["name"]]),
        )
        for own in classes
    )
    heads = [f"{called(n)} ({results['heads'][n]})" if n in results["heads"] else n for n in names]
    head = (
        "box", "boxes", "too small for a token", *(("not in the crop",) if cropped else ()),
        *heads, "published, gaze / random",
    )  # fmt: skip
    series = {
        name: [own["accuracy"][name] if own["boxes"] else None for own in classes] for name in names
    }
    figure = FigureBlock(
        save(
            run.path,
            "objects",
            lambda theme: charts.estimates(
                theme,
                [own["name"] for own in classes],
                series,
                [published.COCO[own["name"]][0] for own in classes],
                xlabel="size of the box",
                ylabel="answers that name the object",
                theirs="gaze heads as published (another model)",
            ),
        ),
        "Accuracy by size of the box.",
        f"Share of answers that name the object in the box pointed at; {source}.",
        (_numbers(run.path / "objects.csv", results),),
    )
    note = (
        "Size classes are COCO's, of the box in pixels. A box that holds the centre of no image "
        "token cannot be pointed at and counts as missed"
        + (", and so does one that the model's processor cut off." if cropped else ".")
    )
    return Section(
        "objects",
        "Pointing at one object of a picture",
        (f"Asked “{run.settings['prompt']}”, with the heads pointed at the box of one object.",),
        (figure, TableBlock(head, rows, f"{note} {ANOTHER_MODEL}"), *_left_out(results)),
    )


def _numbers(path: Path, results: Results) -> Path:
    """By size and heads how many objects are named; without heads what cannot be pointed at."""
    rows: list[Estimated] = []
    for own in results["classes"]:
        named = own["accuracy"].items() if own["boxes"] else ()
        size, heads = own["name"], results["heads"]
        rows += [((size, name, heads.get(name), "named"), each) for name, each in named]
        rows += [
            ((size, None, None, measure), part(own.get(measure), own["boxes"]))
            for measure in ("without_tokens", "cropped")
        ]
    return write_estimates(path, ("size", "condition", "k", "measure"), rows)


def _share(own: Results, name: str) -> str:
    """The cell of a size class, which has no accuracy without boxes."""
    return percent(own["accuracy"][name], interval=True) if own["boxes"] else NO_BOXES


def _left_out(results: Results) -> list[TableBlock]:
    """What of the data set could not be used, or not as it is, if anything."""
    rows = tuple(
        (f"{each['what']} {each['reason']}", str(each["count"]), each["first"])
        for each in results.get("left_out", ())
    )
    note = "What could not be used counts for nothing; what was cut off counts as it was cut."
    head = ("left out or cut off", "how many", "the first of them")
    return [TableBlock(head, rows, note)] if rows else []
