"""The options of every command that steers or watches: the model, its heads, the seed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="comic-tiny, a model folder, or a hub id.")]
Heads = Annotated[
    Path | None,
    typer.Option(
        help="Scores or a head set, as JSON, heads such as L3H1,L4H0, or 'discovered': found now. "
        "Default: those registered for the model (gazeheads heads list), else found now."
    ),
]
HeadsAnyway = Annotated[
    bool, typer.Option("--heads-anyway", help="Take --heads of other weights too.")
]
K = Annotated[int | None, typer.Option("--k", help="Number of heads.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.")]

DISCOVERED = Path("discovered")
"""Of --heads: found now, whatever is registered for the model."""
