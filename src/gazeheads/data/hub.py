"""Strips of a data set in the layout of the study's: one row per strip, one column per panel.

The study's set is `baulab/openai-comic-strips` on the Hugging Face hub: 500 strips with columns
`comic_id`, `panel_1` to `panel_6` and `caption_1` to `caption_6`. Columns named `panel_01`,
`panel1` or `Panel 1` will do as well, and so will one column `panels` with a list of pictures and
one `captions` with a list of texts. A caption may be a text or a list of wordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    columns = _columns(source, list(rows.column_names or []))
    import datasets  # noqa: PLC0415 - optional and slow; _open has told if it is missing

    picture = datasets.Image()
    for name in columns.panels:
        rows = rows.cast_column(name, datasets.List(picture) if columns.listed else picture)
    seen: set[str] = set()
    for row in _read(source, islice(rows, limit)):
        strip = _strip(source, row, columns, height)
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


@dataclass(frozen=True)
class _Columns:
    """Which columns of a set hold what.

    Attributes:
        panels, captions: names in the order of the panels; one name each if they hold lists.
        listed: whether panels are one column of lists.
        listed_captions: whether captions are.
    """

    panels: tuple[str, ...]
    captions: tuple[str, ...]
    listed: bool
    listed_captions: bool


def _columns(source: str, names: Sequence[str]) -> _Columns:
    """Finds the columns.

    Raises:
        GazeheadsError: Some are missing, or could be meant twice.
    """
    panels, captions = _numbered(source, names, "panel"), _numbered(source, names, "caption")
    listed, listed_captions = _list_column(names, "panels"), _list_column(names, "captions")
    for numbered, whole in ((panels, listed), (captions, listed_captions)):
        if numbered and whole:
            raise GazeheadsError(f"{source} has both {whole} and {numbered[0]}: keep one of them")
    complete = listed is not None or len(panels) >= 2
    matching = listed is not None or len(captions) in (0, len(panels))
    if "comic_id" not in names or not complete or not matching:
        raise GazeheadsError(
            f"{source} needs the columns comic_id, panel_1, panel_2 ..., and caption_1 ... for all "
            f"panels or none; found {', '.join(names) or 'none'}"
        )
    return _Columns(
        (listed,) if listed else tuple(panels),
        (listed_captions,) if listed_captions else tuple(captions),
        listed is not None,
        listed_captions is not None,
    )


def _list_column(names: Sequence[str], wanted: str) -> str | None:
    return next((name for name in names if name.strip().lower() == wanted), None)


def _numbered(source: str, names: Sequence[str], stem: str) -> list[str]:
    """Columns `stem_1` to `stem_N` in order, however the number is joined on and padded.

    Raises:
        GazeheadsError: A number is there twice or missing.
    """
    found: dict[int, str] = {}
    for name in names:
        if match := re.fullmatch(rf"{stem}[ _.-]?([0-9]{{1,6}})", name.strip(), re.IGNORECASE):
            number = int(match[1])
            if number in found:
                raise GazeheadsError(f"{source}: {found[number]} and {name} are the same column")
            found[number] = name
    ordered = [found[number] for number in sorted(found)]
    if found and sorted(found) != list(range(1, len(found) + 1)):
        missing = next(k for k in range(1, max(found) + 2) if k not in found)
        raise GazeheadsError(
            f"{source} needs the columns {stem}_1, {stem}_2 ... without a gap: number {missing} is "
            f"missing, found {', '.join(ordered)}"
        )
    return ordered


def _strip(source: str, row: dict[str, Any], columns: _Columns, height: int | None) -> Strip:
    name = row["comic_id"]
    if not isinstance(name, str | int) or isinstance(name, bool) or name == "":
        raise GazeheadsError(f"{source}: a row has no comic_id but {name!r}")
    where = f"{source}: comic {name}"
    panels = _cells(where, row, columns.panels, columns.listed)
    captions = _cells(where, row, columns.captions, columns.listed_captions)
    if captions and len(captions) != len(panels):
        raise GazeheadsError(f"{where} has {len(panels)} panels but {len(captions)} captions")
    said = tuple(_wordings(f"{where}, {column}", value) for column, value in captions)
    pictures = tuple(_at_height(open_image(value), height) for _, value in panels)
    return Strip(str(name), pictures, captions=said or None)


def _cells(
    where: str, row: dict[str, Any], columns: Sequence[str], listed: bool
) -> list[tuple[str, Any]]:
    """Name and value of every panel's cell, or of every entry of a list.

    Raises:
        GazeheadsError: One is empty.
    """
    cells = [(column, row[column]) for column in columns]
    if listed:
        ((column, values),) = cells
        if not isinstance(values, list):
            raise GazeheadsError(f"{where}: {column} holds no list")
        cells = [(f"{column}, number {k}", value) for k, value in enumerate(values, 1)]
    for column, value in cells:
        if value is None or value in ("", []):
            raise GazeheadsError(f"{where} has an empty {column}")
    return cells


def _wordings(where: str, value: Any) -> tuple[str, ...]:
    """One caption or a list of them."""
    wordings = value if isinstance(value, list) else [value]
    if strange := [each for each in wordings if not isinstance(each, str)]:
        raise GazeheadsError(f"{where}: a caption must be a text, not {strange[0]!r}")
    if blank := [each for each in wordings if not each.strip()]:
        raise GazeheadsError(f"{where} has an empty caption {blank[0]!r}")
    return tuple(each.strip() for each in wordings)


def _at_height(panel: Image.Image, height: int | None) -> Image.Image:
    if height is None or panel.height == height:
        return panel
    width = max(1, round(panel.width * height / panel.height))
    return panel.resize((width, height), Image.Resampling.LANCZOS)
