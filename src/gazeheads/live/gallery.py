"""Strips for the page: the gallery that ships with it, and new ones drawn from a seed."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.files import write_json
from gazeheads.live.page import GALLERY

INDEX = "strips.json"
SEEDS = (3, 11, 24, 31, 42, 58)
"""Of the strips in the gallery."""
MOST_SEED = 2**31 - 1


def drawn_strip(seed: int) -> Strip:
    """The strip that the page calls by this seed: held-out, six panels."""
    return draw_strips(1, seed)[0]


def strip_json(seed: int, strip: Strip) -> dict[str, Any]:
    """What the page needs to know about a strip, without its picture."""
    captions = strip.captions or ((),) * len(strip)
    return {
        "seed": seed,
        "width": strip.image.width,
        "height": strip.image.height,
        "panels": [[int(x) for x in region.boxes[0]] for region in strip.regions],
        "captions": [each[0] if each else "" for each in captions],
    }


def strip_picture(strip: Strip) -> bytes:
    """The strip as the model sees it, as a WebP file."""
    file = io.BytesIO()
    strip.image.save(file, "WEBP", quality=92, method=6)
    return file.getvalue()


def drawn_json(seed: int) -> dict[str, Any]:
    """A strip drawn now, its picture included as a data URI."""
    strip = drawn_strip(seed)
    picture = base64.b64encode(strip_picture(strip)).decode()
    return {**strip_json(seed, strip), "picture": f"data:image/webp;base64,{picture}"}


def write_gallery(folder: Path = GALLERY) -> Path:
    """Draws the gallery: one WebP per strip, and their index, written last."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for seed in SEEDS:
        strip = drawn_strip(seed)
        name = f"{seed}.webp"
        (folder / name).write_bytes(strip_picture(strip))
        entries.append({**strip_json(seed, strip), "picture": name})
    return write_json(folder / INDEX, {"kind": "gallery", "strips": entries})
