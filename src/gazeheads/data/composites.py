"""Composites of cut-out pictures at known boxes, written as a set in COCO's format.

The cut-outs are stamps of Tux Paint: PNG files with transparency, each with a text file beside it
whose first line says in English what it shows. They are the user's: none comes with this package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gazeheads.data.drawn.captions import with_article
from gazeheads.errors import GazeheadsError
from gazeheads.files import appearing, json_text, write_json, write_text

EDGE = 512
"""Of a composite, in pixels."""
CELLS = 2
"""Objects lie in different cells of so many by so many."""
MOST_OBJECTS = 4
SMALLEST, LARGEST = 0.5, 0.92
"""Longer side of an object, as a share of its cell."""
PACKAGE, USUAL = "tuxpaint-stamps-default", "/usr/share/tuxpaint/stamps"
ANNOTATIONS, PICTURES = "annotations/instances_val2017.json", "val2017"
_CAPTION = re.compile(r"(an?) ((?:[a-z]+ ){0,2})([a-z]+)", re.IGNORECASE)
_NO_OBJECTS = "symbols"  # letters, digits, coins: their folder
_SOLID = 128  # alpha from which a pixel belongs to the object


@dataclass(frozen=True)
class Stamp:
    """A cut-out.

    Attributes:
        path: of the PNG.
        name: the noun of its caption.
        caption: the first line of its text.
    """

    path: Path
    name: str
    caption: str


@dataclass(frozen=True)
class Placed:
    """A cut-out in a composite, and its box (x0, y0, x1, y1) in pixels, x1 and y1 exclusive."""

    stamp: Stamp
    box: tuple[int, int, int, int]


def read_stamps(folder: str | os.PathLike[str]) -> list[Stamp]:
    """The cut-outs of a folder whose caption is an article, at most two adjectives and a noun.

    Raises:
        GazeheadsError: there is no such folder, or nothing in it can be used.
    """
    root = Path(folder)
    if not root.is_dir():
        raise GazeheadsError(
            f"no folder {root}: the stamps come with the Debian package {PACKAGE}, in {USUAL}"
        )
    found = []
    for path in sorted(root.rglob("*.png")):
        caption = _caption(path.with_suffix(".txt"))
        match = _CAPTION.fullmatch(caption.rstrip("."))
        if match and _NO_OBJECTS not in path.relative_to(root).parts:
            found.append(Stamp(path, match[3].lower(), caption))
    if len({stamp.name for stamp in found}) < MOST_OBJECTS:
        raise GazeheadsError(
            f"{root} holds only {len(found)} PNG files with a one-line caption in a .txt file "
            f"beside them: the Debian package {PACKAGE} has them in {USUAL}"
        )
    return found


def _caption(path: Path) -> str:
    try:
        lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""


def composite(stamps: Sequence[Stamp], seed: int, number: int) -> tuple[Image.Image, list[Placed]]:
    """One composite; number i of a series depends on (seed, i) and the stamps only.

    Args:
        stamps: to choose from.
        seed: names the series.
        number: of the composite in it.

    Returns:
        The picture, RGB, and 2 to `MOST_OBJECTS` objects of different names, none overlapping.
    """
    rng = np.random.default_rng((seed, number))
    page = _backdrop(rng)
    cell = EDGE // CELLS
    wanted = int(rng.integers(2, MOST_OBJECTS + 1))
    cells = rng.permutation(CELLS**2)[:wanted]
    placed: list[Placed] = []
    for index in rng.permutation(len(stamps)).tolist():
        stamp = stamps[index]
        if stamp.name in {each.stamp.name for each in placed}:
            continue
        cut = _cut_out(stamp.path)
        if cut is None:
            continue
        scale = float(rng.uniform(SMALLEST, LARGEST)) * cell / max(cut.size)
        size = (max(1, round(cut.width * scale)), max(1, round(cut.height * scale)))
        cut = cut.resize(size, Image.Resampling.LANCZOS)
        row, column = divmod(int(cells[len(placed)]), CELLS)
        x = column * cell + int(rng.integers(0, cell - cut.width + 1))
        y = row * cell + int(rng.integers(0, cell - cut.height + 1))
        page.paste(cut, (x, y), cut)
        placed.append(Placed(stamp, (x, y, x + cut.width, y + cut.height)))
        if len(placed) == wanted:
            break
    return page, placed


def _backdrop(rng: np.random.Generator) -> Image.Image:
    """From one light colour at the top to another at the bottom."""
    top, bottom = rng.uniform(150, 245, (2, 3))
    share = np.linspace(0, 1, EDGE)[:, None]
    rows = (top * (1 - share) + bottom * share).astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], EDGE, 1))


def _cut_out(path: Path) -> Image.Image | None:
    """The solid part of a stamp; None if it cannot be read or has no background to cut off."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except Exception:  # one damaged stamp of hundreds: another one is taken
        return None
    solid = image.getchannel("A").point(lambda alpha: 255 if alpha >= _SOLID else 0)
    box = solid.getbbox()
    if box is None or solid.getextrema() == (255, 255):
        return None
    return image.crop(box)


def write_composites(
    stamps: Sequence[Stamp], folder: str | os.PathLike[str], count: int, seed: int
) -> Path:
    """Writes composites in the format of COCO val2017, all of them or nothing.

    `captions.jsonl` beside them has a line per picture: its file, a caption of all of it, and per
    object its name, its box and its stamp's own caption.

    Args:
        stamps: to choose from.
        folder: must not exist yet, or be empty.
        count: pictures.
        seed: of every choice.

    Raises:
        GazeheadsError: the folder is taken or cannot be written.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise GazeheadsError(f"{target} exists and is not an empty folder: name another one")
    names = sorted({stamp.name for stamp in stamps})
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    lines: list[str] = []
    with appearing(target.absolute()) as partial:
        (partial / PICTURES).mkdir()
        for number in range(count):
            picture, placed = composite(stamps, seed, number)
            file = f"{number:06}.png"
            picture.save(partial / PICTURES / file)
            images.append(
                {"id": number, "file_name": file, "width": EDGE, "height": EDGE, "seed": seed}
            )
            boxes += _annotations(placed, names, number, len(boxes))
            lines.append(json_text(_line(file, placed)) + "\n")
        categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
        data = {"images": images, "annotations": boxes, "categories": categories}
        write_json(partial / ANNOTATIONS, data)
        write_text(partial / "captions.jsonl", "".join(lines))
    return target


def _annotations(
    placed: Sequence[Placed], names: Sequence[str], picture: int, first: int
) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(placed, first + 1):
        x0, y0, x1, y1 = each.box
        yield {
            "id": number, "image_id": picture, "category_id": names.index(each.stamp.name) + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0,
        }  # fmt: skip


def _line(file: str, placed: Sequence[Placed]) -> dict[str, Any]:
    objects = [
        {"name": each.stamp.name, "box": list(each.box), "caption": each.stamp.caption}
        for each in placed
    ]
    parts = [with_article(each.stamp.name) for each in placed]
    caption = f"{', '.join(parts[:-1])} and {parts[-1]}."
    return {"picture": f"{PICTURES}/{file}", "caption": caption.capitalize(), "objects": objects}
