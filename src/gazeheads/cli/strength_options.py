"""Options that say how strongly heads are steered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads.cli.terminal import err
from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.head_set import HeadSet


class ModeName(StrEnum):
    """How a strength acts (see `Intervention`)."""

    soft = "soft"
    hard = "hard"
    paper = "paper"
    within = "within"


DeltaOption = Annotated[
    float | None,
    typer.Option("--delta", help="Strength, or inf; default: as the heads recommend, else inf."),
]
ModeOption = Annotated[
    ModeName | None,
    typer.Option(
        "--mode", help="How it acts; default: hard for an infinite strength, soft for another."
    ),
]


@dataclass(frozen=True)
class Strength:
    """How strongly heads are steered, as it was asked for.

    Attributes:
        delta: None: as the heads recommend.
        mode: None: follows from the strength.
    """

    delta: float | None = None
    mode: ModeName | None = None

    def __post_init__(self) -> None:
        if self.delta is not None and math.isnan(self.delta):
            raise GazeheadsError("--delta must be a number or inf, not nan")
        if self.mode == "soft" and self.delta == math.inf:
            raise GazeheadsError(
                "--mode soft needs a finite --delta; an infinite one is --mode hard"
            )
        if self.mode == "hard" and self.delta not in (None, math.inf):
            raise GazeheadsError(f"--mode hard means --delta inf, not {self.delta:g}: --mode soft?")

    def of(self, heads: HeadSet) -> dict[str, Any]:
        """`delta` and `mode` of a `Steering`; what the heads recommend is said on stderr.

        Raises:
            GazeheadsError: a finite strength is needed, and neither asked for nor recommended.
        """
        mode = None if self.mode is None else self.mode.value
        if self.delta is not None:
            return {"delta": self.delta, "mode": mode}
        if mode in ("hard", "paper", "within"):
            return {"delta": math.inf, "mode": mode}
        if heads.delta is None and mode == "soft":
            raise GazeheadsError(
                "these heads recommend no strength: name a --delta for --mode soft"
            )
        if heads.delta is None:
            return {"delta": math.inf, "mode": None}
        err.print(f"Strength: {heads.delta:g}, as the file of heads recommends", markup=False)
        return {"delta": heads.delta, "mode": mode}

    def asked(self) -> dict[str, Any]:
        """What was asked for, as JSON values."""
        delta = "inf" if self.delta == math.inf else self.delta
        return {"delta": delta, "mode": None if self.mode is None else self.mode.value}
