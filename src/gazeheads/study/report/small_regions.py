"""The section about small regions."""

from __future__ import annotations

from gazeheads.study.experiments import small_regions
from gazeheads.study.experiments.small_regions import OTHERS, WAYS
from gazeheads.study.report import charts
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.numbers import Runs, percent
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import write_estimates
from gazeheads.study.report.theme import save

_SHOWN = ("pointed at", "zoom", "crop as second image", "crop alone")


@section(small_regions.EXPERIMENT, place=142)
def small_regions_section(runs: Runs) -> Section:
    """Named objects by tokens in the box, by remedy."""
    run = runs[small_regions.EXPERIMENT]
    classes = run.summary["results"]["classes"]
    own = [each for each in classes if each["boxes"]]
    head = ("way", *(f"{each['name']} tokens ({each['boxes']})" for each in own))
    rows = tuple(
        (
            f"{way}, unsteered" if way in OTHERS else way,
            *(percent(each["named"][way], interval=True) for each in own),
        )
        for way in WAYS
    )
    numbers = [((each["name"], way, "named"), each["named"][way]) for each in own for way in WAYS]
    series = {way: [each["named"][way] for each in own] for way in _SHOWN}
    figure = FigureBlock(
        save(
            run.path,
            "small-regions",
            lambda theme: charts.estimates(
                theme,
                [each["name"] for each in own],
                series,
                xlabel="image tokens whose centre lies in the box",
                ylabel="objects named",
            ),
        ),
        "Objects named, by how many image tokens their box holds.",
        f"{run.settings['pictures']} drawn scenes of 448 x 448 pixels.",
        (write_estimates(run.path / "small-regions.csv", ("tokens", "way", "measure"), numbers),),
    )
    text = (
        "A box without the centre of an image token cannot be pointed at. “Wider”: the box and "
        "half its longer side around it. “Zoom”: the model sees a window around the box and is "
        "pointed at it there. “Crop as second image”: whole picture and cut-out, the heads pointed "
        "at the cut-out. Unsteered: the cut-out alone, the box drawn into the picture, its corners "
        "named in the question.",
    )
    note = (
        "What cannot be done counts as missed. A cut-out alone names the object too, but loses "
        "the rest of the picture, several regions at once, and a gaze that moves in mid-text."
    )
    return Section("small-regions", "Small regions", text, (figure, TableBlock(head, rows, note)))
