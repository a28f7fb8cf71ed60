"""The sections about the strength of steering and about where the attention came from."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from gazeheads.figure_text import shown
from gazeheads.study.experiments import dose, mass_origin
from gazeheads.study.report.blocks import FigureBlock, Section, TableBlock
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.naming import called, heads_called
from gazeheads.study.report.numbers import Results, Runs, percent
from gazeheads.study.report.sections import section
from gazeheads.study.report.tables import Estimated, write_estimates
from gazeheads.study.report.theme import Theme, save

HEAD = ("variant", "mode", "delta", "measure")
_SHADES = ("gaze", "#6b5bd2", "#b08900", "#2f8f5b", "random", "all")


@section(dose.EXPERIMENT, place=61)
def dose_section(runs: Runs) -> Section:
    """Accuracy and quality over the strength, and the one recommended."""
    run = runs[dose.EXPERIMENT]
    results = run.summary["results"]
    doses, alone = results["doses"], results["alone"]
    rows = [row for own in doses for row in _numbers(own)]
    figure = FigureBlock(
        save(run.path, "dose", lambda theme: _figure(theme, doses, alone, results["chance"])),
        "Accuracy and quality of the text by strength.",
        "Above: answers that follow. Below: log-probability per token of the answers, by the "
        "unsteered model that sees the target panel alone; the dashed line is that of its own "
        "answers about single panels. 95% bootstrap intervals over strips.",
        (write_estimates(run.path / "dose.csv", HEAD, rows),),
    )
    cells = tuple(
        (
            own["name"],
            percent(own["accuracy"], interval=True),
            "not known" if own["clean"] is None else percent(own["clean"]),
            _value(own["quality"]["log_prob"], 2),
            _value(own["quality"]["distinct"], 2),
            _share(own["quality"]["loop"]),
        )
        for own in doses
    )
    head = (
        "strength (delta)", "follow", "follow, clean", "log-probability", "distinct words", "loops",
    )  # fmt: skip
    note = "Within: mass moves inside the image alone. Hard: the limit of infinite strength."
    return Section(
        "dose",
        "Dose and price",
        (_recommended(results), f"Measured on {results['strips']} strips."),
        (figure, TableBlock(head, cells, note)),
    )


def _recommended(results: Results) -> str:
    own = results["recommended"]
    if own is None:
        return "At no strength does a single answer follow, so none is recommended."
    return (
        f"A strength of {own['delta']:,.0f} is enough: {percent(own['accuracy'])} of the answers "
        f"follow, within 95% of the best ({100 * own['peak']:.1f}%). It is stored with the heads."
    )


def _numbers(own: Results) -> list[Estimated]:
    delta = math.inf if own["delta"] is None else own["delta"]
    measured = {"accuracy": own["accuracy"], "clean": own["clean"], **own["quality"]}
    return [((own["name"], own["mode"], delta, name), each) for name, each in measured.items()]


def _value(own: Results | None, digits: int) -> str:
    return "none" if own is None else f"{own['value']:.{digits}f}"


def _share(own: Results | None) -> str:
    return "none" if own is None else f"{100 * own['value']:.1f}%"


def _figure(theme: Theme, doses: list[Results], alone: Results, chance: float) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.4))
    top, bottom = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(doses))
    found = [(each["accuracy"], each["quality"]["log_prob"]) for each in doses]
    for axes, which, scale in ((top, 0, 100), (bottom, 1, 1)):
        for mode, colour in (("paper", theme.gaze), ("hard", theme.ink), ("within", theme.all)):
            own = [
                (place, values[which])
                for place, each, values in zip(places, doses, found, strict=True)
                if each["mode"] == mode and values[which] is not None
            ]
            x, y = [place for place, _ in own], [scale * value["value"] for _, value in own]
            spread = [
                [scale * (v["value"] - v["low"]) for _, v in own],
                [scale * (v["high"] - v["value"]) for _, v in own],
            ]
            joined = "o-" if mode == "paper" else "o"
            axes.errorbar(
                x, y, spread, fmt=joined, color=colour, markersize=5, linewidth=1.4, capsize=2.5
            )
        axes.grid(axis="y")
    top.axhline(100 * chance, color=theme.muted, linewidth=0.9, linestyle=":")
    top.set_ylim(0, 105)
    top.yaxis.set_major_formatter("{x:.0f}%")
    top.set_ylabel("answers that follow")
    if alone["log_prob"] is not None:
        level = alone["log_prob"]["value"]
        bottom.axhline(level, color=theme.muted, linewidth=0.9, linestyle=(0, (4, 2)))
    bottom.set_ylabel("log-probability")
    labels = [own["name"].replace(" ", "\n") for own in doses]
    bottom.set_xticks(places, labels, fontsize=8)
    bottom.set_xlabel("strength (delta)")
    return figure


@section(mass_origin.EXPERIMENT, place=62)
def mass_section(runs: Runs) -> Section:
    """Where the attention went and came from, by condition."""
    run = runs[mass_origin.EXPERIMENT]
    results = run.summary["results"]
    conditions, groups = results["conditions"], results["groups"]
    rows = [
        ((own["condition"], own["k"], moment, kind, group, "attention"), one)
        for own in conditions
        for moment in ("prompt_end", "writing")
        for kind in ("plain", "steered")
        for group, one in zip(groups, own[moment][kind], strict=True)
    ]
    head = ("condition", "k", "moment", "steering", "group", "measure")
    figure = FigureBlock(
        save(run.path, "masses", lambda theme: _bars(theme, conditions, groups)),
        "Shares of attention by group, plain and steered.",
        "Attention of the steered heads at the last prompt token, plain and steered, averaged over "
        "heads, targets and strips.",
        (write_estimates(run.path / "masses.csv", head, rows),),
    )
    cells = tuple(
        (
            f"{heads_called(own['condition'])} ({own['k']})",
            moment,
            f"{100 * own[key]['gained']:+.1f} points",
            *_sources(own[key]["from"], groups),
        )
        for own in conditions
        for moment, key in (("last prompt token", "prompt_end"), ("while writing", "writing"))
    )
    columns = ("heads", "when", "the target gains", *(f"from: {group}" for group in groups[1:]))
    note = (
        "Of what the target gains, the part that each group loses. An independent study of other "
        "models found 7% from other segments, 37% from the prompt and 56% from the sink."
    )
    return Section(
        "masses",
        "Where the attention came from",
        (_told(conditions, results["strips"]),),
        (figure, TableBlock(columns, cells, note, keys=2)),
    )


def _sources(parts: Results | None, groups: list[str]) -> tuple[str, ...]:
    if parts is None:
        return tuple("" for _ in groups[1:])
    return tuple(f"{100 * parts[group]:.0f}%" for group in groups[1:])


def _told(conditions: list[Results], strips: int) -> str:
    own = conditions[0]["prompt_end"]
    if own["from"] is None:
        return f"On {strips} strips the target gains nothing when these heads are steered."
    ranked = sorted(own["from"].items(), key=lambda pair: -pair[1])
    parts = ", ".join(f"{100 * share:.0f}% from {group}" for group, share in ranked[:3])
    return (
        f"On {strips} strips the target gains {100 * own['gained']:.0f} points of the attention of "
        f"the {heads_called()} at the last prompt token: {parts}."
    )


def _bars(theme: Theme, conditions: list[Results], groups: list[str]) -> Figure:
    figure = Figure(figsize=(WIDTH, 0.9 + 0.62 * len(conditions)))
    axes = figure.subplots()
    colours = [getattr(theme, shade, shade) for shade in _SHADES]
    labels, place = [], 0.0
    for own in conditions:
        for kind in ("plain", "steered"):
            left = 0.0
            for group, one, colour in zip(groups, own["prompt_end"][kind], colours, strict=True):
                width = 100 * max(0.0, one["value"])
                name = group if place == 0 else None
                axes.barh(place, width, 0.8, left=left, color=colour, label=name)
                left += width
            labels.append((place, f"{shown(called(own['condition']))}, {kind}"))
            place += 1.0
        place += 0.4
    axes.set_yticks([at for at, _ in labels], [label for _, label in labels], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.xaxis.set_major_formatter("{x:.0f}%")
    axes.set_xlabel("attention")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=3, fontsize=8)
    return figure
