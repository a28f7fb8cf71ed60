"""Options that say where in a picture to look, and which image tokens belong to it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from gazeheads.prompts import seen_while_read


class Units(StrEnum):
    """What the numbers of a box count (see `boxes.in_pixels`)."""

    pixels = "pixels"
    relative = "relative"
    per_mille = "per-mille"


class Rule(StrEnum):
    """Which image tokens belong to a region (see `ImageTokens.indices`)."""

    centre = "centre"
    overlap = "overlap"


class CloserLook(StrEnum):
    """How a small region gets more image tokens (see `models.closer.Closer`)."""

    none = "none"
    zoom = "zoom"
    crop = "crop"


class Steered(StrEnum):
    """Which passes are steered (see `Steering.when`)."""

    prefill = "prefill"
    decode = "decode"
    both = "both"


BoxOption = Annotated[
    str | None, typer.Option("--box", help="Look at x0,y0,x1,y1, in pixels or in --units.")
]
UnitsOption = Annotated[
    Units | None,
    typer.Option("--units", help="Of --box: pixels (default), relative 0-1, per-mille 0-1000."),
]
RuleOption = Annotated[
    Rule, typer.Option("--rule", help="Tokens whose centre lies inside, or that overlap.")
]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", help="Of --rule overlap: share of a token inside; default: 0.5."),
]
RegionsOption = Annotated[
    list[str] | None,
    typer.Option("--region", "--box", help="x0,y0,x1,y1, in pixels or --units; repeatable."),
]
MasksOption = Annotated[
    list[Path] | None,
    typer.Option("--mask", help="A black and white picture of the image's size; repeatable."),
]
GridOption = Annotated[
    str | None, typer.Option("--grid", help="Every cell of ROWSxCOLUMNS, such as 2x3.")
]
CloserOption = Annotated[
    CloserLook,
    typer.Option(
        "--closer",
        help="Of small regions: zoom shows the model a window around each, crop the whole picture "
        "and a cut-out as a second image.",
    ),
]
WhenOption = Annotated[
    Steered | None,
    typer.Option(
        "--when",
        help="Steer the reading of the question (prefill), the writing (decode), or both; default: "
        "prefill with the built-in question, both with another.",
    ),
]


def passes_of(when: Steered | None, prompt: str) -> Literal["prefill", "decode", "both"]:
    """Which passes are steered with a question; see `asking.when_to_steer`."""
    if when is not None:
        return when.value
    return "prefill" if seen_while_read(prompt) else "both"
