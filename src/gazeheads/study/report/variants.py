"""Sections about the question with one thing changed: sweeps, narration, other head sets."""

from __future__ import annotations

from pathlib import Path

from gazeheads.study import published
from gazeheads.study.experiments import steer_vqa, sweeps
from gazeheads.study.report import charts, figures, tables
from gazeheads.study.report.blocks import Block, FigureBlock, Section, TableBlock
from gazeheads.study.report.controls import Distribution, controls_blocks, controls_told
from gazeheads.study.report.naming import called
from gazeheads.study.report.numbers import Results, Runs, counts
from gazeheads.study.report.sections import section
from gazeheads.study.report.theme import save

ANOTHER_MODEL = (
    f"Published: {published.MODEL}, another and far larger model on other comics with another "
    f"judge, from {published.STUDY}."
)
_SWEEPS = {
    sweeps.DELTA: ("How hard the heads are pushed", "delta", "strength (delta)"),
    sweeps.PROMPTS: ("Other wordings of the question", "prompts", "wording"),
    sweeps.POOLS: ("Where random heads come from", "pools", "pool of random heads"),
    sweeps.PANELS: ("Strips of other lengths", "panels", "panels of the strip"),
}


@section(steer_vqa.SWEEP, place=50)
def k_section(runs: Runs) -> Section:
    """Accuracy by the number of heads."""
    run = runs[steer_vqa.SWEEP]
    results = run.summary["results"]
    conditions, heads = results["conditions"], results["heads"]
    peak = results["peak"]
    picture = save(
        run.path,
        "k-curve",
        lambda theme: figures.k_curve(theme, conditions, heads, results["chance"]),
    )
    pairs = conditions[0]["pairs"]
    figure = FigureBlock(
        picture,
        f"Curve of accuracy by number of heads; the peak is {100 * peak['accuracy']:.0f}% at "
        f"{peak['k']} heads.",
        f"Accuracy by the study's rules against the number of heads steered, {pairs} answers each; "
        f"the dashed line is {published.MODEL} as published, by share of its own heads.",
        (tables.write_conditions(run.path / "k-curve.csv", conditions),),
    )
    return Section(
        "how-many",
        "How many heads it takes",
        (
            f"Steering {peak['k']} of {heads} heads ({100 * peak['k'] / heads:.1f}%) works best. "
            "That number was chosen here, on the strips the heads were found on; everything under "
            "the other headings was measured on other strips.",
        ),
        (figure,),
    )


def _registered(name: str, place: int) -> None:
    """Registers the section of one sweep."""

    @section(name, place)
    def build(runs: Runs) -> Section:
        run = runs[name]
        title, short, xlabel = _SWEEPS[name]
        variants = run.summary["results"]["variants"]
        theirs = _published(name, [variant["name"] for variant in variants])
        known = any(value is not None for value in theirs)
        own = [
            (variant["name"], c, _shown(value))
            for variant, value in zip(variants, theirs, strict=True)
            for c in variant["conditions"]
        ]
        named, cells = counts([c for _, c, _ in own])
        rows = tuple(
            (variant, f"{called(c['condition'])} ({c['k']})", *told, *([value] if known else []))
            for (variant, c, value), told in zip(own, cells, strict=True)
        )
        head = (xlabel, "heads steered", *named, *(["published"] if known else []))
        names = list(dict.fromkeys(c["condition"] for v in variants for c in v["conditions"]))
        series = {
            f"{each} heads": [
                next((shown_estimate(c) for c in v["conditions"] if c["condition"] == each), None)
                for v in variants
            ]
            for each in names
        }
        labels = [
            str(i) if name == sweeps.PROMPTS else v["name"] for i, v in enumerate(variants, 1)
        ]
        chances = {variant["chance"] for variant in variants}
        chance = chances.pop() if len(chances) == 1 else None
        figure = FigureBlock(
            save(
                run.path,
                short,
                lambda theme: charts.estimates(
                    theme,
                    labels,
                    series,
                    theirs,
                    xlabel=xlabel,
                    reference=chance,
                ),
            ),
            f"Accuracy by {xlabel}.",
            "Share of answers that follow, with 95% bootstrap intervals over strips; of random "
            "heads the median of all draws with their range.",
            (tables.write_variants(run.path / f"{short}.csv", variants),),
        )
        note = ANOTHER_MODEL if known else ""
        return Section(short, title, (), (figure, TableBlock(head, rows, note, keys=2)))


for _place, _name in enumerate(_SWEEPS, 60):
    _registered(_name, _place)


def shown_estimate(condition: Results) -> Results:
    """What a figure shows of a condition: its accuracy, or the median and range of its draws."""
    drawn = condition.get("controls")
    if drawn is None:
        return dict(condition["accuracy"])
    return {"value": drawn["median"], "low": drawn["least"], "high": drawn["most"]}


def _published(sweep: str, names: list[str]) -> list[float | None]:
    theirs = sweeps.SWEEPS[sweep].published["accuracy"]
    return [theirs.get(name) for name in names]


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}%"


@section(steer_vqa.NARRATION, place=80)
def narration_section(runs: Runs) -> Section:
    """Static narration: a hundred tokens about "this panel"."""
    run = runs[steer_vqa.NARRATION]
    results = run.summary["results"]
    table = conditions_table(run.path, results, published.NARRATION_ACCURACY)
    distributions = {
        f"{c['k']} random heads": Distribution("accuracy", c["k"], c["controls"])
        for c in results["conditions"]
        if c.get("controls")
    }
    drawn = controls_blocks(run.path, distributions, results["chance"], "texts that follow")
    figure = _by_panel(run.path, run.summary["results"])
    text = (
        f"Asked “{run.settings['prompt']}” without being told which panel, the model describes "
        "the panel its heads are pointed at, or not."
    )
    told = tuple(
        each
        for c in results["conditions"]
        if c["condition"] == "random"
        for each in controls_told(c, "of the texts follow")
    )
    blocks: tuple[Block, ...] = (figure, *drawn, table)
    return Section("narration", "“This panel”: steering a longer text", (text, *told), blocks)


def conditions_table(
    folder: Path,
    results: Results,
    theirs: dict[str, float],
    k: int | None = None,
    size: int = published.PEAK_K,
) -> TableBlock:
    """What became of the answers, with the published accuracies at the study's `size`."""
    own = [c for c in results["conditions"] if k is None or c["k"] in (k, results["heads"])]
    named, cells = counts(own)
    rows = tuple(
        (f"{called(c['condition'])} ({c['k']})", *told, _shown(theirs.get(c["condition"])))
        for c, told in zip(own, cells, strict=True)
    )
    head = ("heads steered", *named, f"published, K = {size}")
    tables.write_conditions(folder / f"conditions{'' if k is None else f'-{k}'}.csv", own)
    return TableBlock(head, rows, ANOTHER_MODEL)


def _by_panel(folder: Path, results: Results) -> FigureBlock:
    conditions = results["conditions"]
    panels = [str(n) for n in range(1, len(conditions[0]["by_panel"]) + 1)]
    series = {f"{c['condition']} heads": c["by_panel"] for c in conditions}
    return FigureBlock(
        save(
            folder,
            "by-panel",
            lambda theme: charts.estimates(
                theme, panels, series, xlabel="panel steered to", reference=results["chance"]
            ),
        ),
        "Accuracy by panel.",
        "Share of narrations that describe the panel steered to, by panel. Dotted: chance.",
        (tables.write_by_panel(folder, conditions),),
    )
