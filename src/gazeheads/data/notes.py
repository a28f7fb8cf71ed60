"""What is known about the comics of a folder: `captions.jsonl`, one line per comic.

A line names the comic's folder and may hold its id, its columns and panel height, and per panel
the exact words of its truth, its captions and the label painted on it:
`{"comic": "comic1", "id": "x", "panels": [{"captions": ["A cat finds a map."]}, ...]}`.
"""

from __future__ import annotations

import difflib
import json
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from gazeheads.data.drawn.captions import captions
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.files import json_text, read_lines, write_text

CAPTIONS_FILE = "captions.jsonl"
_LINE_KEYS = ("comic", "id", "columns", "panel_height", "panels")
_PANEL_KEYS = ("truth", "captions", "label")
Known = TypeVar("Known")


@dataclass(frozen=True)
class Note:
    """What a line says about one comic.

    Attributes:
        line: its number in the file.
        comic: the name of the comic's folder.
        id: of the strip; None if the line gives none.
        truths, captions, labels: per panel; None if the line gives none.
        columns: panels per row; None for one row.
        panel_height: in pixels.
        panels: how many the line tells about.
    """

    line: int
    comic: str
    id: str | None
    truths: tuple[PanelTruth, ...] | None
    captions: tuple[tuple[str, ...], ...] | None
    labels: tuple[str, ...] | None
    columns: int | None
    panel_height: int
    panels: int


def write_captions(folder: Path, strips: Iterable[tuple[str, Strip]]) -> None:
    """Writes what is known about the comics of a folder.

    Args:
        folder: That holds the comics.
        strips: Name of the comic's folder, and the strip in it.
    """
    lines = [json_text(_record(comic, strip)) + "\n" for comic, strip in strips]
    write_text(folder / CAPTIONS_FILE, "".join(lines))


def read_notes(folder: Path, comics: Sequence[str]) -> dict[str, Note]:
    """The notes on the comics of a folder, by the names of their folders.

    A line about a comic that is not there, and a key that is not read, are told in a warning.

    Args:
        folder: That holds the comics; its `captions.jsonl` may be missing.
        comics: Names of the folders that are there.

    Raises:
        GazeheadsError: The file cannot be read, or a line of it is not as it should be.
    """
    path = folder / CAPTIONS_FILE
    if not path.exists():
        return {}
    # file systems differ in how they write the same letters
    by_form = {unicodedata.normalize("NFC", comic): comic for comic in comics}
    by_form |= {comic: comic for comic in comics}
    notes: dict[str, Note] = {}
    strange: list[Note] = []
    unread: list[str] = []
    for number, line in read_lines(path):
        note = _Line(path, number, line, unread).note()
        form = unicodedata.normalize("NFC", note.comic)
        comic = by_form.get(note.comic, by_form.get(form))
        if comic is None:
            strange.append(note)
        elif comic in notes:
            raise GazeheadsError(
                f"{path}, line {number} tells of {comic} again, which line {notes[comic].line} does"
            )
        else:
            notes[comic] = note
    if unread:
        warnings.warn(f"{path}: {listed(unread)}", GazeheadsWarning, stacklevel=3)
    if strange:
        free = [comic for comic in comics if comic not in notes]
        warnings.warn(_not_there(path, strange, free), GazeheadsWarning, stacklevel=3)
    return notes


def _not_there(path: Path, strange: Sequence[Note], free: Sequence[str]) -> str:
    """Of notes on comics that are not there; of those without a note, the one like the first."""
    first = strange[0]
    folded = {comic.casefold(): comic for comic in free}
    near = difflib.get_close_matches(first.comic.casefold(), folded, 1)
    meant = f" (is it about {folded[near[0]]}?)" if near else ""
    names = [f"{first.comic!r} on line {first.line}{meant}"]
    names += [f"{note.comic!r} on line {note.line}" for note in strange[1:]]
    return f"{path} tells of comics that are not in {path.parent}: {listed(names)}"


def listed(told: Sequence[str]) -> str:
    """The first few of what is told, and how many more there are."""
    shown = ", ".join(told[:3])
    return shown if len(told) <= 3 else f"{shown} and {len(told) - 3} more"


def _record(comic: str, strip: Strip) -> dict[str, Any]:
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


class _Line:
    """One line being read; every complaint names the file, the line and the comic."""

    def __init__(self, path: Path, number: int, text: str, unread: list[str]) -> None:
        self._where = f"{path}, line {number}"
        self._number, self._unread = number, unread
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise GazeheadsError(f"{self._where} is damaged: {error}") from error
        self._data: dict[str, Any] = self._object(data, "the line")
        self._comic = ""

    def note(self) -> Note:
        """What the line says, checked."""
        data = self._data
        self._keys(data, _LINE_KEYS, "the line")
        self._comic = self._name(data.get("comic"), "the name of the comic (comic)")
        if "panels" not in data:
            raise self._damaged("it has no panels")
        panels = [
            self._object(entry, f"panel {k}")
            for k, entry in enumerate(self._list(data["panels"], "panels"), 1)
        ]
        for k, panel in enumerate(panels, 1):
            self._keys(panel, _PANEL_KEYS, f"panel {k}")
        name = data.get("id")
        return Note(
            line=self._number,
            comic=self._comic,
            id=None if name is None else self._name(name, "the id"),
            truths=self._of_all(panels, "truth", self._truth),
            captions=self._of_all(panels, "captions", self._wordings),
            labels=self._of_all(panels, "label", self._text),
            columns=self._number_at("columns", None),
            panel_height=self._number_at("panel_height", Strip.panel_height) or Strip.panel_height,
            panels=len(panels),
        )

    def _of_all(self, panels: Sequence[Mapping[str, Any]], key: str, read: Any) -> Any:
        """One value per panel, or None if no panel has any; raises if only some have."""
        having = [k for k, panel in enumerate(panels, 1) if key in panel]
        if not having:
            return None
        for k, panel in enumerate(panels, 1):
            if key not in panel:
                raise self._damaged(f"panel {k} has no {key}, but panel {having[0]} has")
        return tuple(read(panel[key], f"{key} of panel {k}") for k, panel in enumerate(panels, 1))

    def _wordings(self, value: Any, what: str) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self._damaged(f"{what} must be a list of texts, not {_kind(value)}")
        return tuple(self._text(each, what) for each in value)

    def _truth(self, value: Any, what: str) -> PanelTruth:
        words = self._object(value, what)
        known = [field.name for field in fields(PanelTruth)]
        if strange := [key for key in words if key not in known]:
            raise self._damaged(f"{what} has {strange[0]!r}; known are {', '.join(known)}")
        given = [(key, word) for key, word in words.items() if (key, word) != ("weather", None)]
        try:
            return PanelTruth(**{key: self._text(word, f"{key} in {what}") for key, word in given})
        except TypeError as error:
            raise self._damaged(f"{what}: {error}") from error

    def _number_at(self, key: str, default: int | None) -> int | None:
        value = self._data.get(key, default)
        if value is not None and type(value) is not int:
            raise self._damaged(f"{key} must be a whole number, not {_kind(value)}")
        return value

    def _text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise self._damaged(f"{what} must be a text, not {_kind(value)}")
        return value

    def _name(self, value: Any, what: str) -> str:
        """A text, or a number that stands for one."""
        return str(value) if type(value) is int else self._text(value, what)

    def _list(self, value: Any, what: str) -> list[Any]:
        if not isinstance(value, list):
            raise self._damaged(f"{what} must be a list, not {_kind(value)}")
        return value

    def _object(self, value: Any, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self._damaged(f"{what} must be an object in braces, not {_kind(value)}")
        return value

    def _keys(self, found: Mapping[str, Any], known: Sequence[str], what: str) -> None:
        """Refuses a key that is a misspelt one, and remembers others that are not read."""
        for key in found:
            if key in known:
                continue
            if near := difflib.get_close_matches(key.strip().casefold(), known, 1, 0.75):
                raise self._damaged(f"{what} has the key {key!r}: it is {near[0]!r}")
            self._unread.append(f"{key!r} of {what} on line {self._number} is not read")

    def _damaged(self, why: str) -> GazeheadsError:
        about = f" on {self._comic}" if getattr(self, "_comic", "") else ""
        return GazeheadsError(f"{self._where}{about} is damaged: {why}")


def _kind(value: Any) -> str:
    """What a JSON value is, in words, with its beginning."""
    kinds = {str: "the text", bool: "the truth value", int: "the number", float: "the number"}
    if value is None:
        return "null"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value, ensure_ascii=True)
    return f"{kinds[type(value)]} {text if len(text) <= 40 else text[:37] + '...'}"
