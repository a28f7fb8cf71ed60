"""Writes the transcript page, one self-contained HTML file."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from gazeheads.errors import GazeheadsError
from gazeheads.files import json_text, write_text
from gazeheads.html_parts import data_uri
from gazeheads.regions import Region
from gazeheads.spans import Span, SpanKind, spans_of
from gazeheads.trace import GazeTrace

if TYPE_CHECKING:
    from gazeheads.discovery.sinks import Sinks

SinkChoice = Literal["keep", "drop", "show"]
LONGEST_EDGE = 1600
"""Pixels of the picture in the page; larger ones are made smaller."""
_HERE = Path(__file__).parent
_STEPS = 65535  # of the scale that attention is stored in


def write_transcript(
    trace: GazeTrace,
    path: str | os.PathLike[str],
    *,
    spans: SpanKind | Sequence[str | Span] = "phrases",
    sinks: Sinks | None = None,
    sink_choice: SinkChoice = "drop",
    regions: Sequence[Region] = (),
    title: str = "",
    prompt: str = "",
    about: Mapping[str, str] | None = None,
    image: Image.Image | None = None,
) -> Path:
    """Writes the page of one text about one picture.

    Args:
        trace: where the heads looked.
        path: of the page.
        spans: see `gazeheads.spans.spans_of`.
        sinks: those of the picture, if they were looked for.
        sink_choice: how the page opens: with their attention, without it, or with it and the
            sinks outlined. A switch in the page changes that.
        regions: shares of these are told with every phrase.
        title, prompt: shown above the text.
        about: what else is to be said of model and heads, shown at the end.
        image: the picture; default: the one that the trace knows.

    Raises:
        GazeheadsError: the text has no such span, the picture is not known or is not the one the
            trace is of, or the file cannot be written.
    """
    picture = image if image is not None else trace.known_image()
    if picture.size != trace.tokens.sizes[0]:
        raise GazeheadsError(
            f"the picture has {picture.width} x {picture.height} pixels, the trace is of one of "
            f"{trace.tokens.sizes[0][0]} x {trace.tokens.sizes[0][1]}"
        )
    if not trace.text.strip():
        raise GazeheadsError("nothing was written, so there is nothing to point at")
    told = spans_of(trace.text, spans)
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        title=title or "Where it looked",
        prompt=prompt,
        about=dict(about or {}),
        picture=_data_uri(picture),
        size=picture.size,
        parts=_parts(trace.text, told),
        sinks=sinks is not None and len(sinks) > 0,
        told=sinks.told() if sinks is not None else "",
        drop=sink_choice == "drop",
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
        data=_script_safe(_data(trace, told, sinks, sink_choice, regions)),
    )
    return write_text(path, page)


def _parts(text: str, spans: Sequence[Span]) -> list[tuple[str, int | None]]:
    """The text in order: pieces with the number of their span, or None between spans."""
    parts: list[tuple[str, int | None]] = []
    at = 0
    for number, (start, stop) in enumerate(spans):
        parts += [(text[at:start], None), (text[start:stop], number)]
        at = stop
    return [part for part in (*parts, (text[at:], None)) if part[0]]


def _data(
    trace: GazeTrace,
    spans: Sequence[Span],
    sinks: Sinks | None,
    sink_choice: SinkChoice,
    regions: Sequence[Region],
) -> dict[str, Any]:
    """What the page's script draws from."""
    own = trace.tokens.image_index == 0
    values = trace.values(value_weighted=False) / max(len(trace.heads), 1)
    most = float(values.max()) or 1.0
    scaled = np.rint(values / most * _STEPS).astype("<u2")
    boxes = np.where(own[:, None], trace.tokens.boxes, np.nan)
    steps = [trace.steps_between(*span) for span in spans]
    return {
        "size": list(trace.tokens.sizes[0]),
        "boxes": [None if np.isnan(b[0]) else [round(float(x), 1) for x in b] for b in boxes],
        "steps": [[each.start, each.stop] for each in steps],
        "attention": base64.b64encode(scaled.tobytes()).decode(),
        "most": most,
        "written": len(trace),
        "sinks": [] if sinks is None else [int(token) for token in sinks.tokens],
        "outline": sink_choice != "keep",
        "regions": [
            {"name": region.name or str(number), "tokens": trace.tokens.indices(region).tolist()}
            for number, region in enumerate(regions, 1)
        ],
    }


def _script_safe(data: Mapping[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json_text(data) if data else json.dumps({})
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _data_uri(picture: Image.Image) -> str:
    shown = picture.copy()
    shown.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
    png, jpeg = io.BytesIO(), io.BytesIO()
    shown.save(png, "PNG", optimize=True)
    shown.save(jpeg, "JPEG", quality=88)
    # drawings are smaller, and exact, as PNG
    kind, best = ("png", png) if png.tell() <= 2 * jpeg.tell() else ("jpeg", jpeg)
    return data_uri(best.getvalue(), f"image/{kind}")
