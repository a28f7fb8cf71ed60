"""What a page may send to the server engine: JSON messages, checked, as plain values.

A page sends pictures as binary frames and everything else as JSON objects with a `type`:

| type | fields | meaning |
|---|---|---|
| start | text, prompt, panels, region, heads, delta, maxTokens | write about the last picture |
| next | | ready for the next token |
| steer | region | look there from the next token on |
| heads | heads, delta | steer these heads, so strongly, from the next token on |
| stop | | no more of this text |

`text` numbers the page's texts: what the server says about one carries its number, so that a page
can tell late words of an old text from the new one's. A region is null, `{"panel": n}` (from 1, of
the panels in `start`) or `{"box": [x0, y0, x1, y1]}` in pixels of the picture. A delta of null is
infinite: JSON has no infinity.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from gazeheads.errors import GazeheadsError
from gazeheads.regions import Box, Region

MOST_PANELS = 64
MOST_PROMPT = 1000
"""Characters."""


class MessageError(GazeheadsError):
    """A message that is not understood; the page is sent its text and may go on."""


@dataclass(frozen=True)
class Start:
    """Begin a text.

    Attributes:
        text: the page's number for it.
        prompt: the question.
        panels: boxes of the panels, in pixels of the picture.
        region: where to look from the first token on.
        heads: (layer, head) pairs to steer.
        delta: strength; infinite means that only the target counts.
        max_tokens: at most so many.
    """

    text: int
    prompt: str
    panels: tuple[Box, ...]
    region: Region | None
    heads: tuple[tuple[int, int], ...]
    delta: float
    max_tokens: int


@dataclass(frozen=True)
class Next:
    """The page has shown the last token and wants another."""


@dataclass(frozen=True)
class Steer:
    """Look elsewhere; the region is read by `region_of`, which knows the text's panels."""

    region: Any


@dataclass(frozen=True)
class Heads:
    """Steer other heads, or with another strength."""

    heads: tuple[tuple[int, int], ...]
    delta: float


@dataclass(frozen=True)
class Stop:
    """End the text."""


PageMessage = Start | Next | Steer | Heads | Stop


def parse(text: str) -> PageMessage:
    """The message in a text frame.

    Raises:
        MessageError: it is not one of those above.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError("a message must be a JSON object") from error
    if not isinstance(data, dict):
        raise MessageError("a message must be a JSON object")
    match data.get("type"):
        case "start":
            return _start(data)
        case "next":
            return Next()
        case "steer":
            return Steer(data.get("region"))
        case "heads":
            return Heads(_heads(data.get("heads")), _delta(data.get("delta")))
        case "stop":
            return Stop()
    raise MessageError("unknown type of message: use start, next, steer, heads or stop")


def region_of(value: Any, panels: tuple[Box, ...]) -> Region | None:
    """A region named by a page; panels count from 1."""
    if value is None:
        return None
    if isinstance(value, dict) and set(value) == {"panel"}:
        number = _whole(value["panel"], "panel", 1, max(1, len(panels)))
        if not panels:
            raise MessageError("no panel 1: the text was started without panels")
        return Region.from_box(*panels[number - 1], name=f"panel {number}")
    if isinstance(value, dict) and set(value) == {"box"}:
        corners = _box(value["box"])
        return Region.from_box(*corners, name="box " + ",".join(map(str, corners)))
    raise MessageError('a region is null, {"panel": n} or {"box": [x0, y0, x1, y1]}')


def region_json(region: Region | None, panels: tuple[Box, ...]) -> dict[str, Any] | None:
    """A region in the page's words."""
    if region is None:
        return None
    for number in range(1, len(panels) + 1):
        if region.name == f"panel {number}":
            return {"panel": number}
    return {"box": list(region.boxes[0])}


def _start(data: dict[str, Any]) -> Start:
    prompt = data.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip() or len(prompt) > MOST_PROMPT:
        raise MessageError(f"the prompt must be a text of 1 to {MOST_PROMPT} characters")
    boxes = data.get("panels")
    if not isinstance(boxes, list) or len(boxes) > MOST_PANELS:
        raise MessageError(f"panels must be a list of at most {MOST_PANELS} boxes")
    panels = tuple(_box(box) for box in boxes)
    return Start(
        text=_whole(data.get("text"), "text", 0, 2**53),
        prompt=prompt,
        panels=panels,
        region=region_of(data.get("region"), panels),
        heads=_heads(data.get("heads")),
        delta=_delta(data.get("delta")),
        max_tokens=_whole(data.get("maxTokens"), "maxTokens", 1, 10_000),
    )


def _heads(value: Any) -> tuple[tuple[int, int], ...]:
    if not isinstance(value, list):
        raise MessageError("heads must be a list of [layer, head] pairs")
    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise MessageError("heads must be a list of [layer, head] pairs")
        pairs.append((_whole(pair[0], "layer", 0, 9999), _whole(pair[1], "head", 0, 9999)))
    return tuple(dict.fromkeys(pairs))


def _delta(value: Any) -> float:
    if value is None:
        return math.inf
    if not _is_number(value):
        raise MessageError("delta must be a finite number, or null for infinity")
    return float(value)


def _box(value: Any) -> Box:
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        raise MessageError("a box is four finite numbers [x0, y0, x1, y1]")
    x0, y0, x1, y1 = map(float, value)
    return x0, y0, x1, y1


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MessageError(f"{name} must be a whole number from {least} to {most}")
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 1e9  # also refuses NaN and infinity
