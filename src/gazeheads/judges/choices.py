"""The form of the llm judge's answers, and how they are read as models write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gazeheads.judges.verdict import JUNK, Verdict

_PANEL = re.compile(r"(?:(?:panel|frame|picture|number|no\.?)\s*)?#?([0-9]{1,6})(?:\.0+)?\.?", re.I)


def schema(panels: int) -> dict[str, Any]:
    """Of the answer: reasons first, so that the choice follows from them."""
    return {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "description": "one sentence"},
            "junk": {"type": "boolean"},
            "panel": {"type": "integer", "enum": list(range(1, panels + 1))},
        },
        "required": ["reasoning", "junk", "panel"],
        "additionalProperties": False,
    }


def read_choice(data: Mapping[str, Any], panels: int) -> tuple[Verdict, str]:
    """Verdict and reasoning of an answer.

    Raises:
        KeyError, TypeError, ValueError: it is not of the schema.
    """
    reasoning = data["reasoning"]
    if not isinstance(reasoning, str):
        raise TypeError("wrong type")
    if _as_bool(data["junk"]):
        return JUNK, reasoning
    panel = as_panel(data["panel"])
    if not 1 <= panel <= panels:
        raise ValueError(f"no panel {panel}")
    return Verdict(panel, "described"), reasoning


def as_panel(value: Any) -> int:
    """The number of a panel as models write it: 2, 2.0, "2", "Panel 2", [2].

    Raises:
        TypeError: it names no panel, or several.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str) and (match := _PANEL.fullmatch(value.strip())):
        value = int(match[1])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise TypeError("the panel is no number")
    return value


def _as_bool(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def text_schema(segments: int, panels: int) -> dict[str, Any]:
    """Of the answer about a text: a panel per segment, 0 for none."""
    panel = {"type": "integer", "enum": list(range(panels + 1))}
    names = [f"segment_{n}" for n in range(1, segments + 1)]
    return {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "description": "one sentence"},
            **{name: panel for name in names},
        },
        "required": ["reasoning", *names],
        "additionalProperties": False,
    }


def read_choices(data: Mapping[str, Any], segments: int, panels: int) -> tuple[list[Verdict], str]:
    """Verdicts on the segments of a text, and the reasoning.

    Raises:
        KeyError, TypeError, ValueError: it is not of the schema.
    """
    listed = data.get("segments")
    if isinstance(listed, list):
        if len(listed) != segments:
            raise ValueError(f"{len(listed)} segments instead of {segments}")
        data = {**data, **{f"segment_{n}": panel for n, panel in enumerate(listed, 1)}}
    verdicts = []
    for n in range(1, segments + 1):
        panel = as_panel(data[f"segment_{n}"])
        choice = {"reasoning": data["reasoning"], "junk": panel == 0, "panel": panel}
        verdicts.append(read_choice(choice, panels)[0])
    return verdicts, data["reasoning"]
