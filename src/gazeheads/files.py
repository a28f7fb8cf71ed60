"""Files: named after ids without loss, written whole or not at all, read whatever an editor saved.

A file is written beside its target and then renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gazeheads.errors import GazeheadsError

LONGEST_NAME = 120
"""Bytes of a name made by `file_name`: room for endings on every file system."""
_READABLE = 60  # characters of an id that its name shows beside the mark
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9._-]*(?<!\.)")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names that Windows keeps for devices, with any ending."""


def file_name(name: str) -> str:
    """A file name for an id; different ids never share a file, on any file system.

    An id of lower-case letters, digits, ".", "_" and "-" is its own name. Any other (capitals,
    which some file systems do not tell apart; other scripts; spaces; slashes; names that are too
    long or mean something to a system) gives its readable part and "~" with a mark of the whole
    id. "~" is in no plain name, so that the two kinds never meet.

    Args:
        name: the id, any text.

    Returns:
        One path component of at most `LONGEST_NAME` bytes, never hidden, "." or "..".
    """
    if _PLAIN.fullmatch(name) and len(name) <= LONGEST_NAME and not _DEVICE.fullmatch(name):
        return name
    return marked_name(name)


def marked_name(name: str) -> str:
    """The readable part of an id and "~" with a mark of all of it; see `file_name`."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = "".join(c if c.isalnum() or c in "._-" else "-" for c in name[:_READABLE])
    room = LONGEST_NAME - len(digest) - 1
    readable = readable.encode()[:room].decode(errors="ignore").strip("._-")
    if _DEVICE.fullmatch(readable.lower()):
        readable = readable.replace(".", "-")
    return f"{readable}~{digest}"


def user_cache() -> Path:
    """What belongs to the user and to no run: `gazeheads` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gazeheads"


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Writes `data` to `path` atomically, creating the folder.

    Raises:
        GazeheadsError: the folder or the file can't be written.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = str(target.parent / f".{target.name}.{secrets.token_hex(4)}")
        # "x" and no mkstemp: the file gets the permissions of any new file, not 0600
        with open(temporary, "xb") as stream:
            stream.write(data)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise GazeheadsError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Writes `text` to `path` as UTF-8, atomically."""
    return write_bytes(path, text.encode())


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `folder` at the end.

    After an error nothing is left of it, and what was in `folder` is still there.

    Raises:
        GazeheadsError: it can't be made.
    """
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise GazeheadsError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: str | os.PathLike[str], data: Any) -> Path:
    """Writes `data` as JSON, atomically."""
    return write_text(path, json_text(data) + "\n")


def json_text(data: Any) -> str:
    """`data` as one line of JSON that can be written as UTF-8, whatever its texts hold."""
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as in the name of a file that is not UTF-8
        return json.dumps(data)
    return text


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a text file in UTF-8, with or without a byte order mark.

    Raises:
        GazeheadsError: it cannot be read, or is in another encoding.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        found = "UTF-16" if marked else f"byte {data[error.start]:#04x} at {error.start}"
        raise GazeheadsError(f"{path} is not UTF-8 text ({found}): save it as UTF-8") from error


def read_lines(path: str | os.PathLike[str]) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers from 1.

    Lines end at newlines only (with or without a carriage return before), not at the other
    characters that `str.splitlines` takes for an end and that texts may hold, such as U+2028.

    Raises:
        GazeheadsError: as `read_text`.
    """
    # a byte order mark may stand inside, where files were put together
    lines = [line.removeprefix("\ufeff") for line in read_text(path).split("\n")]
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_json(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """Reads a JSON object written by this package and checks its `kind` field."""
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise GazeheadsError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(data, dict) or data.get("kind") != kind:
        found = data.get("kind") if isinstance(data, dict) else type(data).__name__
        raise GazeheadsError(f"{path} is not a {kind} file (its kind is {found!r})")
    return data
