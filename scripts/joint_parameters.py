"""For the reference: what a docstring says of several parameters at once is said of each.

Docstrings write `x0, y0, x1, y1: corners.` where one line does for all; the reference looks every
parameter up by its own name.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_JOINT = re.compile(r"^( {4,})(\w+(?:, \w+)+): (.*(?:\n\1 +\S.*)*)", re.MULTILINE)


class JointParameters(griffe.Extension):  # type: ignore[misc]
    """Takes joint lines of docstrings apart before they are read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Of every function, class and module that was found."""
        if obj.docstring is not None:
            obj.docstring.value = _JOINT.sub(_apart, obj.docstring.value)


def _apart(match: re.Match[str]) -> str:
    indent, names, text = match.groups()
    return "\n".join(f"{indent}{name}: {text}" for name in names.split(", "))
