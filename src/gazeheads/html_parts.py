"""Small pieces of HTML, of which values show themselves in notebooks: tables, pictures, maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

WIDEST = 960
"""Pixels of a picture that is shown."""
BEST = 8
"""Heads of a ranking that are shown."""
_COLOUR = np.array([53, 73, 160], dtype=np.float64)


def line(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    cells = ("".join(f"<td>{escape(_told(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def picture(image: Any, alt: str) -> str:
    """A PIL image, made smaller if it is wide."""
    shown = image.convert("RGB")
    shown.thumbnail((WIDEST, WIDEST))
    return img(image_uri(shown, "WEBP"), alt)


def heat(values: np.ndarray, alt: str, cell: int = 14) -> str:
    """A map of numbers, white for 0 and below, dark for the largest.

    Args:
        values: (rows, columns).
        alt: what it shows.
        cell: edge of a number in pixels.
    """
    from PIL import Image  # noqa: PLC0415 - values that are not shown need no pictures

    shares = np.clip(values / max(float(values.max()), 1e-12), 0, 1)[..., None]
    colours = (255 + shares * (_COLOUR - 255)).astype(np.uint8)
    rows, columns = values.shape
    more = f' width="{columns * cell}" height="{rows * cell}" style="image-rendering:pixelated"'
    return img(image_uri(Image.fromarray(colours), "PNG"), alt, more)


def outline(region: Any) -> str:
    """A region: its boxes, or its mask, in the rectangle from the picture's corner to its end."""
    alt = f"{region.called.rstrip(',')} of image {region.image}"
    if region.mask is not None:
        return line(alt) + heat(region.mask, alt, 1)
    width, height = (max(box[at] for box in region.boxes) for at in (2, 3))
    drawn = "".join(
        f'<rect x="{x0:g}" y="{y0:g}" width="{x1 - x0:g}" height="{y1 - y0:g}"/>'
        for x0, y0, x1, y1 in region.boxes
    )
    style = 'style="border:1px solid #999" fill="#3549a0" fill-opacity="0.35"'
    size = f'viewBox="0 0 {width:g} {height:g}" width="160"'
    svg = f'<svg role="img" aria-label="{escape(alt)}" {size} {style}>{drawn}</svg>'
    return line(alt) + svg


def scores_html(scores: Any) -> str:
    """Scores of heads: the best, all of them as a map, and the best head's matrix."""
    best = scores.ranking()[:BEST]
    rows = [(number, str(head), scores[head]) for number, head in enumerate(best, 1)]
    maps = heat(scores.scores, "score of every head: a row per layer")
    if scores.matrices is not None and best:
        maps += " " + heat(scores.matrices[best[0]], f"asked x looked at: {best[0]}")
    return line(repr(scores)) + table(("", "head", "score"), rows) + maps


def img(address: str, alt: str, more: str = "") -> str:
    """A picture by its address, which may hold it."""
    return f'<img alt="{escape(alt)}" src="{address}"{more}>'


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as an address that holds them.

    Args:
        data: what it holds.
        kind: such as "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image_uri(image: Any, kind: str = "PNG") -> str:
    """A picture as an address that holds it, in one of Pillow's formats."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return data_uri(buffer.getvalue(), f"image/{kind.lower()}")


def _told(cell: object) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
