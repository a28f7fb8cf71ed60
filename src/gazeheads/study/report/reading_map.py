"""Where the order of reading passes through: the patching map, and directions by panel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gazeheads.figure_text import shown
from gazeheads.study.report.blocks import FigureBlock
from gazeheads.study.report.figures import WIDTH
from gazeheads.study.report.numbers import Results
from gazeheads.study.report.tables import number, part, write_estimates
from gazeheads.study.report.theme import Theme, save

FLIPPING, STILL = 0.9, 0.05
"""A layer turns the order from this share of flips on, and does nothing up to this share."""


def layer_sentence(by_layer: Sequence[Results]) -> str:
    """Which layers turn the order, which do nothing, and what lies between."""
    rates = [rate["value"] for rate in by_layer]
    turning = [layer for layer, rate in enumerate(rates) if rate >= FLIPPING]
    still = [layer for layer, rate in enumerate(rates) if rate <= STILL]
    between = [layer for layer in range(len(rates)) if layer not in (*turning, *still)]
    parts = [f"At least {FLIPPING:.0%} flip after {_layers(turning)}"]
    if still:
        parts.append(f"at most {STILL:.0%} after {_layers(still)}")
    parts += [f"{rates[layer]:.0%} after layer {layer}" for layer in between]
    return f"{'; '.join(parts)}."


def _layers(layers: Sequence[int]) -> str:
    if not layers:
        return "no layer"
    spans: list[list[int]] = []
    for layer in layers:
        if spans and layer == spans[-1][-1] + 1:
            spans[-1].append(layer)
        else:
            spans.append([layer])
    named = [f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans]
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(named)}"


def flips_by_panel(folder: Path, tried: Sequence[Results]) -> FigureBlock:
    """Directions by the panel they were found on: flips by layer."""
    rows = [
        ((own["name"], layer, "flips"), rate)
        for own in tried
        for layer, rate in enumerate(own["by_layer"])
    ]
    head = ("direction", "layer", "measure")
    others = [
        f"{own['name']}: at most {max(rate['value'] for rate in own['by_layer']):.0%} of "
        f"{own['by_layer'][0]['total']}"
        for own in tried
        if not own["name"].removeprefix("panel ").isdigit()
    ]
    return FigureBlock(
        save(folder, "flips_by_panel", lambda theme: _tried_figure(theme, tried)),
        "Flips by the panel a direction was found on, and by layer.",
        "A direction means one panel, not reverse reading in general: found on questions about a "
        "panel and tried on questions about the same panel of other strips, layer by layer. "
        f"Tried elsewhere ({'; '.join(others)}).",
        (write_estimates(folder / "flips_by_panel.csv", head, rows),),
    )


def _tried_figure(theme: Theme, tried: Sequence[Results]) -> Figure:
    figure = Figure(figsize=(WIDTH, 0.8 + 0.3 * len(tried)))
    axes = figure.subplots()
    rates = [[100 * rate["value"] for rate in own["by_layer"]] for own in tried]
    picture = axes.imshow(rates, cmap=theme.heat, vmin=0, vmax=100, aspect="auto")
    _bar(figure, axes, picture, "flips, %")
    axes.set_ylabel("direction of")
    axes.set_xlabel("layer")
    axes.set_yticks(range(len(tried)), [_short(own["name"]) for own in tried], fontsize=7.5)
    return figure


def _short(name: str) -> str:
    return name.replace(", asked about", ",\non").replace("the mean of all", "all, averaged")


def patching_map(folder: Path, patching: Results) -> FigureBlock:
    """Which token's state carries the order from the reverse prompt into the plain one."""
    asked = patching["asked"]
    rows = [
        ((layer, place, word, measure), own)
        for layer in range(len(patching["flips"]))
        for place, word in enumerate(patching["words"])
        for measure, own in (
            ("flips", part(patching["flips"][layer][place], asked)),
            ("logit_difference", number(patching["gap"][layer][place], asked)),
        )
    ]
    head = ("layer", "place", "word", "measure")
    flips = np.array(patching["flips"])
    last = ", ".join(str(n) for n in flips[:, -1])
    others = int(flips[:, :-1].sum())
    return FigureBlock(
        save(folder, "patching", lambda theme: _figure(theme, patching)),
        "One token's state moved from the reverse prompt into the plain one.",
        "The residual stream of one token after one layer is taken from the prompt that asks to "
        f"read in reverse; image tokens are the same in both. Of {patching['asked']} answers flip "
        f"by layer, at the last token: {last}; at all other tokens together: {others}. Below: the "
        "logit of the reverse label over the plain one.",
        (write_estimates(folder / "patching.csv", head, rows),),
    )


def _figure(theme: Theme, patching: Results) -> Figure:
    figure = Figure(figsize=(WIDTH, 5.2))
    above, below = figure.subplots(2, 1, sharex=True)
    rates = 100 * np.array(patching["flips"]) / patching["asked"]
    first = above.imshow(rates, cmap=theme.heat, vmin=0, vmax=100, aspect="auto")
    _bar(figure, above, first, "flips, %")
    gaps = np.array(patching["gap"])
    most = max(1e-6, float(np.abs(gaps).max()))
    second = below.imshow(gaps, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    _bar(figure, below, second, "logit difference")
    words = [_word(word) for word in patching["words"]]
    below.set_xticks(range(len(words)), words, rotation=90, fontsize=7.5)
    return figure


def _bar(figure: Figure, axes: Axes, picture: object, label: str) -> None:
    figure.colorbar(picture, ax=axes, label=label, pad=0.015)  # type: ignore[arg-type]
    axes.set_ylabel("layer")
    axes.grid(visible=False)


def _word(token: str) -> str:
    return shown(token.replace("\n", "\\n").strip(" ") or "space")
