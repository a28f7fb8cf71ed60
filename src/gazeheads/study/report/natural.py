"""The section about pointing at single objects of a picture."""

from __future__ import annotations

from gazeheads.study import published
from gazeheads.study.experiments import natural
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.numbers import Runs, percent
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import write_csv
from gazeheads.study.report.theme import save
from gazeheads.study.report.variants import ANOTHER_MODEL


@section(natural.EXPERIMENT, place=140)
def natural_section(runs: Runs) -> Section:
    """Accuracy by the size of the box pointed at."""
    run = runs[natural.EXPERIMENT]
    results, source = run.summary["results"], run.settings["source"]
    classes = results["classes"]
    names = list(classes[0]["accuracy"])
    rows = tuple(
        (
            own["name"],
            str(own["boxes"]),
            str(own["without_tokens"]),
            *(percent(own["accuracy"][name], interval=True) for name in names),
            " / ".join(f"{value:.1f}%" for value in published.COCO[own["name"]]),
        )
        for own in classes
    )
    heads = [f"{n} ({results['heads'][n]})" if n in results["heads"] else n for n in names]
    head = ("box", "boxes", "too small for a token", *heads, "published, gaze / random")
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
        (write_csv(run.path / "objects.csv", head, rows),),
    )
    note = (
        "Size classes are COCO's, of the box in pixels. A box that holds the centre of no image "
        "token cannot be pointed at and counts as missed."
    )
    return Section(
        "objects",
        "Pointing at one object of a picture",
        (f"Asked “{run.settings['prompt']}”, with the heads pointed at the box of one object.",),
        (figure, TableBlock(head, rows, f"{note} {ANOTHER_MODEL}")),
    )
