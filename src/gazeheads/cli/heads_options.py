"""The option of every command that takes heads from a file."""

from __future__ import annotations

from typing import Annotated

import typer

HeadsAnyway = Annotated[
    bool, typer.Option("--heads-anyway", help="Take --heads of other weights too.")
]
