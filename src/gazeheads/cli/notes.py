"""What the package warns of, on the command line: one line on stderr, without a place in code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gazeheads.errors import GazeheadsWarning


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Prints a warning of the package as a note, once each; leaves other warnings as they are."""
    before, told = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        said = " ".join(str(message).split())
        if issubclass(category, GazeheadsWarning):
            if said not in told:
                print(f"gazeheads: note: {said}", file=sys.stderr)
            told.add(said)
        else:
            before(message, category, *place, **more)

    with warnings.catch_warnings():
        warnings.simplefilter("always", GazeheadsWarning)
        warnings.showwarning = show
        yield
