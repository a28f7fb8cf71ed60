"""Comic strips in folders: the study's `comicN/p1.png..pN.png`, and what is known about them.

`captions.jsonl` at the root (see `notes`) is optional when reading. `source.json`, where there,
says where the strips come from.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from PIL import Image

from gazeheads.data.drawn.mark import png_text
from gazeheads.data.notes import CAPTIONS_FILE, Note, listed, read_notes, write_captions
from gazeheads.data.panel_files import PanelFiles
from gazeheads.data.pictures import ImageError, open_image
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.files import write_json

SOURCE_FILE = "source.json"
ENDINGS = ("png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif")
"""Of files that are read as panels, in capitals or not."""
_PANEL = re.compile(r"p(\w+)\.[^.]+", re.IGNORECASE)
_NAMED = 5  # missing panels that a message names


def write_strips(
    folder: str | os.PathLike[str],
    strips: Iterable[Strip],
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Writes strips as `comic1/p1.png` and so on, with `captions.jsonl`; all of it or nothing.

    Args:
        folder: Must not exist yet, or be empty.
        strips: At least one, of two panels or more and with ids of their own; held in memory one
            at a time.
        source: Where they come from, as JSON values, for `source.json`.

    Returns:
        The folder.

    Raises:
        GazeheadsError: There is nothing to write, or the folder is taken or not writable.
    """
    target = Path(folder).absolute()
    whole = _at_least_one(strips)
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise GazeheadsError(f"{target} exists and is not an empty folder: name another one")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        write_captions(partial, _saved(partial, whole))
        if source is not None:
            write_source(partial, source)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    except OSError as error:
        raise GazeheadsError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def write_source(folder: Path, source: Mapping[str, Any]) -> None:
    """Writes where the strips of a folder come from."""
    write_json(folder / SOURCE_FILE, {"kind": "strips-source", **source})


def read_strips(folder: str | os.PathLike[str], limit: int | None = None) -> list[Strip]:
    """Reads the comics in a folder, `comic2` before `comic10`.

    Args:
        folder: Holds one folder per comic with panels `p1.png`, `p2.png`, ...; any of `ENDINGS`
            will do. `captions.jsonl`, when there, restores ids and truths.
        limit: Read the first so many; no picture of the others is opened.

    Raises:
        GazeheadsError: Something is missing, damaged or contradicts itself.
    """
    root = Path(folder)
    if not root.is_dir():
        raise GazeheadsError(f"no folder {root}" if not root.exists() else f"{root} is no folder")
    try:
        entries = sorted(root.iterdir(), key=_natural)
        comics = [entry for entry in entries if _is_comic(entry)]
        left_out = [_why_left_out(entry) for entry in entries if entry not in comics]
    except OSError as error:
        raise GazeheadsError(f"cannot read {root}: {error.strerror or error}") from error
    if not comics:
        raise GazeheadsError(f"no comics in {root}: expected folders like comic1 with p1.png")
    if told := [why for why in left_out if why]:
        warnings.warn(f"{root}: {listed(told)}", GazeheadsWarning, stacklevel=2)
    notes = read_notes(root, [comic.name for comic in comics])
    used = comics[:limit]
    strips = [_read_comic(comic, notes.get(comic.name)) for comic in used]
    names: dict[str, str] = {}
    for comic, strip in zip(used, strips, strict=True):
        if (other := names.setdefault(strip.id, comic.name)) != comic.name:
            raise GazeheadsError(
                f"{root}: {other} and {comic.name} have the same id {strip.id!r} in {CAPTIONS_FILE}"
            )
    return strips


def _at_least_one(strips: Iterable[Strip]) -> Iterable[Strip]:
    """The same strips; raises before anything is written if the first cannot be."""
    rest = iter(strips)
    first = next(rest, None)
    if first is None:
        raise GazeheadsError("no strips to write")
    _check_length(first.id, len(first))
    return chain([first], rest)


def _saved(folder: Path, strips: Iterable[Strip]) -> Iterator[tuple[str, Strip]]:
    """Saves the panels of each strip; then gives the comic's name with it."""
    seen: set[str] = set()
    for number, strip in enumerate(strips, 1):
        _check_length(strip.id, len(strip))
        if strip.id in seen:
            raise GazeheadsError(f"two strips have the same id {strip.id!r}")
        seen.add(strip.id)
        comic = folder / f"comic{number}"
        comic.mkdir()
        for k, panel in enumerate(strip.panels, 1):
            text = png_text(strip.truths is not None)
            open_image(panel).save(comic / f"p{k}.png", pnginfo=text)
        yield comic.name, strip


def _read_comic(comic: Path, note: Note | None) -> Strip:
    panels = PanelFiles(_panel_files(comic), read_panel)
    if note is None:
        return Strip(comic.name, panels)
    where = f"{comic.parent / CAPTIONS_FILE}, line {note.line}"
    if note.panels != len(panels):
        said = "captions" if note.captions is not None else "entries of panels"
        raise GazeheadsError(
            f"{where}: {comic.name} has {len(panels)} panels but {note.panels} {said}"
        )
    try:
        return Strip(
            id=comic.name if note.id is None else note.id,
            panels=panels,
            truths=note.truths,
            captions=note.captions,
            columns=note.columns,
            labels=note.labels,
            panel_height=note.panel_height,
        )
    except GazeheadsError as error:
        raise GazeheadsError(f"{where}: {error}") from error


def _panel_files(comic: Path) -> list[Path]:
    """Paths of panels 1 to N.

    Raises:
        GazeheadsError: One is missing, there twice, or in a format that is not read.
    """
    found: dict[int, Path] = {}
    others: dict[int, Path] = {}
    for path in sorted(comic.iterdir()):
        number = _panel_number(path)
        if number is None:
            continue
        if not _readable(path):
            others.setdefault(number, path)
        elif number in found:
            raise GazeheadsError(f"{comic}: {found[number].name} and {path.name} are the same")
        else:
            found[number] = path
    if 0 in found:
        raise GazeheadsError(f"{comic}: panels are numbered from 1, found {found[0].name}")
    # a file that stands where a panel is wanted, such as p2.heic between p1.png and p3.png
    if unread := [path.name for number, path in sorted(others.items()) if number not in found]:
        raise GazeheadsError(
            f"{comic}: {unread[0]} is in a format that is not read as a panel: save it as one of "
            f"{', '.join(ENDINGS)}, or move it away"
        )
    last = max(found)
    if len(found) < last:
        missing = list(islice((k for k in range(1, last + 1) if k not in found), _NAMED + 1))
        names = ", ".join(f"p{k}.png" for k in missing[:_NAMED])
        more = " and more" if len(missing) > _NAMED else ""
        raise GazeheadsError(f"{comic}: {names}{more} is missing (panels go up to p{last})")
    _check_length(str(comic), len(found))
    return [found[k] for k in sorted(found)]


def _panel_number(path: Path) -> int | None:
    """The number of a panel's file, of whatever format; None if it is none.

    Raises:
        GazeheadsError: The number is written in signs that are no digits, such as "²".
    """
    match = _PANEL.fullmatch(path.name)
    if match is None or not match[1].isnumeric():
        return None
    if not match[1].isdecimal():
        raise GazeheadsError(f"{path}: number panels with the digits 0 to 9, as in p1.png")
    return int(match[1])


def _readable(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in ENDINGS


def _check_length(name: str, panels: int) -> None:
    if panels < 2:
        raise GazeheadsError(f"{name} has only one panel: a strip needs at least 2")


def read_panel(path: Path) -> Image.Image:
    """Reads a picture as every other one is read (see `pictures.open_image`).

    Raises:
        GazeheadsError: It is no readable image.
    """
    try:
        return open_image(path)
    except ImageError as error:
        raise GazeheadsError(f"{path} is not a readable image: {error}") from error


def _is_comic(entry: Path) -> bool:
    if entry.name.startswith(".") or not entry.is_dir():
        return False
    return any(_readable(path) and _panel_number(path) is not None for path in entry.iterdir())


def _why_left_out(entry: Path) -> str | None:
    """Of something in a folder of comics that looks like a part of it and is none."""
    name = entry.name
    if name.startswith("."):
        return None
    if entry.is_file():
        meant = name.lower().startswith("caption") and name != CAPTIONS_FILE
        if meant and not (entry.parent / CAPTIONS_FILE).exists():
            return f"{name} is not read, as only {CAPTIONS_FILE} is"
    elif entry.is_dir() and any(_readable(path) for path in entry.iterdir()):
        return f"{name} is left out, as none of its pictures is named like p1.png"
    return None


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts numbers inside names by value; names alike but for that, as they are written."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
