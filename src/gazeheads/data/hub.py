"""Strips of a data set in the layout of the study's: one row per strip, one column per panel.

The study's set is `baulab/openai-comic-strips` on the Hugging Face hub: 500 strips with columns
`comic_id`, `panel_1` to `panel_6` and `caption_1` to `caption_6`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from gazeheads.data.pictures import open_image
from gazeheads.data.strip import PANEL_HEIGHT, Strip
from gazeheads.errors import GazeheadsError


def dataset_strips(
    source: str, split: str = "train", limit: int | None = None, height: int | None = PANEL_HEIGHT
) -> Iterator[Strip]:
    """Reads strips one at a time.

    Args:
        source: Id of a data set on the hub, a parquet file, or a folder of them.
        split: Of a hub set.
        limit: At most so many, the first ones; a hub set is then streamed, not downloaded.
        height: Panels are brought to this height in pixels; None leaves them as they are. At the
            default the strip's image is the one that the panels in full size give.

    Raises:
        GazeheadsError: The set cannot be had, or has other columns.
    """
    rows = _open(source, split, limit)
    names = list(rows.column_names or [])
    panels = _numbered(names, "panel")
    captions = _numbered(names, "caption")
    if "comic_id" not in names or len(panels) < 2 or len(captions) not in (0, len(panels)):
        raise GazeheadsError(
            f"{source} needs the columns comic_id, panel_1, panel_2 ..., and caption_1 ... for all "
            f"panels or none; found {', '.join(names) or 'none'}"
        )
    import datasets  # noqa: PLC0415 - optional and slow; _open has told if it is missing

    for name in panels:
        rows = rows.cast_column(name, datasets.Image())
    seen: set[str] = set()
    for row in _read(source, islice(rows, limit)):
        strip = _strip(source, row, panels, captions, height)
        if strip.id in seen:
            raise GazeheadsError(f"{source} has comic_id {strip.id!r} twice")
        seen.add(strip.id)
        yield strip


def _open(source: str, split: str, limit: int | None) -> Any:
    try:
        import datasets  # noqa: PLC0415 - optional and slow
    except ImportError as error:
        raise GazeheadsError(
            "reading data sets needs the package 'datasets': "
            "install it with pip install 'gazeheads[data]'"
        ) from error
    path = Path(source)
    datasets.disable_progress_bars()
    try:
        if path.exists():
            files = [str(path)] if path.is_file() else sorted(map(str, path.rglob("*.parquet")))
            if not files:
                raise GazeheadsError(f"no parquet files in {path}")
            return datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
        return datasets.load_dataset(source, split=split, streaming=limit is not None)
    except GazeheadsError:
        raise
    except Exception as error:  # the library and those under it raise whatever they like
        raise GazeheadsError(_cannot_read(source, error)) from error


def _read(source: str, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while True:
        try:
            row = next(rows, None)
        except Exception as error:  # a broken file or connection, as above
            raise GazeheadsError(_cannot_read(source, error)) from error
        if row is None:
            return
        yield row


def _cannot_read(source: str, error: Exception) -> str:
    return f"cannot read the data set {source}: {type(error).__name__}: {str(error)[:200]}"


def _numbered(names: Sequence[str], stem: str) -> list[str]:
    """Columns `stem_1` to `stem_N`, in order; none if a number is missing."""
    found = sorted(int(match[1]) for n in names if (match := re.fullmatch(rf"{stem}_(\d+)", n)))
    return [f"{stem}_{k}" for k in found] if found == list(range(1, len(found) + 1)) else []


def _strip(
    source: str,
    row: dict[str, Any],
    panels: Sequence[str],
    captions: Sequence[str],
    height: int | None,
) -> Strip:
    name = str(row["comic_id"])
    if missing := [column for column in (*panels, *captions) if not row[column]]:
        raise GazeheadsError(f"{source}: comic {name} has an empty {missing[0]}")
    said = tuple((str(row[column]).strip(),) for column in captions)
    pictures = tuple(_at_height(open_image(row[column]), height) for column in panels)
    return Strip(name, pictures, captions=said or None)


def _at_height(panel: Image.Image, height: int | None) -> Image.Image:
    if height is None or panel.height == height:
        return panel
    width = max(1, round(panel.width * height / panel.height))
    return panel.resize((width, height), Image.Resampling.LANCZOS)
