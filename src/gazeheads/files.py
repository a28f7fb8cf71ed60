"""Files appear whole or not at all: write beside the target, then rename."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gazeheads.errors import GazeheadsError


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
    return write_text(path, json.dumps(data, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """Reads a JSON object written by this package and checks its `kind` field."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise GazeheadsError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise GazeheadsError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(data, dict) or data.get("kind") != kind:
        found = data.get("kind") if isinstance(data, dict) else type(data).__name__
        raise GazeheadsError(f"{path} is not a {kind} file (its kind is {found!r})")
    return data
