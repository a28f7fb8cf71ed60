"""Comic strips in folders: the study's `comicN/p1.png..pN.png`, and what is known about them.

`captions.jsonl` at the root holds one line per comic: its id, and per panel the exact words
of its truth, its captions and the label painted on it. It is optional when reading.
`source.json`, where there, says where the strips come from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from gazeheads.data.drawn.captions import captions
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.panel_files import PanelFiles
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.files import write_json, write_text

CAPTIONS_FILE, SOURCE_FILE = "captions.jsonl", "source.json"
_PANEL = re.compile(r"p(\d+)\.(png|jpe?g|webp)", re.IGNORECASE)


def write_strips(
    folder: str | os.PathLike[str],
    strips: Iterable[Strip],
    source: Mapping[str, Any] | None = None,
) -> Path:
    """Writes strips as `comic1/p1.png` and so on, with `captions.jsonl`; all of it or nothing.

    Args:
        folder: Must not exist yet, or be empty.
        strips: At least one, of two panels or more; held in memory one at a time.
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


def write_captions(folder: Path, strips: Iterable[tuple[str, Strip]]) -> None:
    """Writes what is known about the comics of a folder.

    Args:
        folder: That holds the comics.
        strips: Name of the comic's folder, and the strip in it.
    """
    lines = [json.dumps(_note(comic, strip), ensure_ascii=False) + "\n" for comic, strip in strips]
    write_text(folder / CAPTIONS_FILE, "".join(lines))


def read_strips(folder: str | os.PathLike[str], limit: int | None = None) -> list[Strip]:
    """Reads the comics in a folder, `comic2` before `comic10`.

    Args:
        folder: Holds one folder per comic with panels `p1.png`, `p2.png`, ...; `.jpg` and
            `.webp` will do as well. `captions.jsonl`, when there, restores ids and truths.
        limit: Read the first so many; no picture of the others is opened.

    Raises:
        GazeheadsError: Something is missing, damaged or contradicts itself.
    """
    root = Path(folder)
    if not root.is_dir():
        raise GazeheadsError(f"no folder {root}" if not root.exists() else f"{root} is no folder")
    try:
        comics = [entry for entry in sorted(root.iterdir(), key=_natural) if _is_comic(entry)]
    except OSError as error:
        raise GazeheadsError(f"cannot read {root}: {error.strerror or error}") from error
    if not comics:
        raise GazeheadsError(f"no comics in {root}: expected folders like comic1 with p1.png")
    notes = _read_notes(root / CAPTIONS_FILE)
    return [_read_comic(comic, notes.get(comic.name)) for comic in comics[:limit]]


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
    for number, strip in enumerate(strips, 1):
        _check_length(strip.id, len(strip))
        comic = folder / f"comic{number}"
        comic.mkdir()
        for k, panel in enumerate(strip.panels, 1):
            panel.convert("RGB").save(comic / f"p{k}.png")
        yield comic.name, strip


def _note(comic: str, strip: Strip) -> dict[str, Any]:
    said = strip.captions
    if said is None and strip.truths is not None:
        said = tuple(captions(truth) for truth in strip.truths)
    panels: list[dict[str, Any]] = [{} for _ in strip.panels]
    for k, panel in enumerate(panels):
        if strip.truths is not None:
            panel["truth"] = strip.truths[k].attributes()
        if said is not None:
            panel["captions"] = list(said[k])
        if strip.labels is not None:
            panel["label"] = strip.labels[k]
    return {
        "comic": comic,
        "id": strip.id,
        "columns": strip.columns,
        "panel_height": strip.panel_height,
        "panels": panels,
    }


def _read_notes(path: Path) -> dict[str, dict[str, Any]]:
    """Notes by the name of the comic's folder."""
    if not path.exists():
        return {}
    notes = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GazeheadsError(f"cannot read {path}: {error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                note = json.loads(line)
                notes[str(note["comic"])] = note
            except (ValueError, KeyError, TypeError) as error:
                raise GazeheadsError(f"{path}, line {number} is damaged: {error}") from error
    return notes


def _read_comic(comic: Path, note: dict[str, Any] | None) -> Strip:
    panels = PanelFiles(_panel_files(comic), read_panel)
    if note is None:
        return Strip(comic.name, panels)
    try:
        known = note["panels"]
        return Strip(
            id=str(note["id"]),
            panels=panels,
            truths=_all_or_none([_read_truth(entry.get("truth")) for entry in known]),
            captions=_all_or_none([_read_captions(entry.get("captions")) for entry in known]),
            columns=note.get("columns"),
            labels=_all_or_none([entry.get("label") for entry in known]),
            panel_height=note.get("panel_height", Strip.panel_height),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise GazeheadsError(f"{CAPTIONS_FILE} on {comic.name} is damaged: {error}") from error


def _read_truth(words: dict[str, str] | None) -> PanelTruth | None:
    return None if words is None else PanelTruth(**words)


def _read_captions(wordings: list[str] | None) -> tuple[str, ...] | None:
    return None if wordings is None else tuple(wordings)


def _all_or_none(entries: list[Any]) -> tuple[Any, ...] | None:
    return tuple(entries) if entries and None not in entries else None


def _panel_files(comic: Path) -> list[Path]:
    """Paths of panels 1 to N."""
    found: dict[int, Path] = {}
    for path in sorted(comic.iterdir()):
        if match := _PANEL.fullmatch(path.name):
            number = int(match[1])
            if number in found:
                raise GazeheadsError(f"{comic}: {found[number].name} and {path.name} are the same")
            found[number] = path
    if 0 in found:
        raise GazeheadsError(f"{comic}: panels are numbered from 1, found {found[0].name}")
    if missing := [k for k in range(1, max(found) + 1) if k not in found]:
        names = ", ".join(f"p{k}.png" for k in missing)
        raise GazeheadsError(f"{comic}: {names} is missing (panels go up to p{max(found)})")
    _check_length(str(comic), len(found))
    return [found[k] for k in sorted(found)]


def _check_length(name: str, panels: int) -> None:
    if panels < 2:
        raise GazeheadsError(f"{name} has only one panel: a strip needs at least 2")


def read_panel(path: Path) -> Image.Image:
    """Reads a picture as RGB, on white where it is transparent.

    Raises:
        GazeheadsError: It is no readable image.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if not image.has_transparency_data:
                panel = image.convert("RGB")
            else:
                panel = Image.new("RGB", image.size, "white")
                panel.paste(image, mask=image.convert("RGBA").getchannel("A"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise GazeheadsError(f"{path} is not a readable image: {error}") from error
    panel.info.clear()
    return panel


def _is_comic(entry: Path) -> bool:
    return entry.is_dir() and any(_PANEL.fullmatch(path.name) for path in entry.iterdir())


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers inside names by value."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
