"""The files of a run folder: claimed by one process, forgotten, read back line by line."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gazeheads.errors import GazeheadsError

SETTINGS, RECORDS, SUMMARY, STRIPS = "settings.json", "records.jsonl", "summary.json", "strips"


class RunError(GazeheadsError):
    """A run folder that cannot be used as asked."""


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Raises RunError unless `folder` can be created or written to; leaves nothing behind."""
    path = Path(folder).absolute()
    try:
        ancestor = next(p for p in (path, *path.parents) if os.path.lexists(p))
        with tempfile.TemporaryFile(dir=ancestor):
            pass
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}") from error


def read_records(
    path: Path, check: Callable[[dict[str, Any]], dict[str, Any]]
) -> tuple[dict[str, dict[str, Any]], int]:
    """Records by unit, and the length in bytes of the whole lines.

    Args:
        path: of the file.
        check: gives a record as it is used; raises ValueError if it cannot be.

    Raises:
        RunError: a line is damaged; one that was cut off at the end is left out instead.
    """
    if not path.exists():
        return {}, 0
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    records: dict[str, dict[str, Any]] = {}
    whole = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("it has no end")
            record = json.loads(line)
            unit = record["unit"]
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # cut off by a kill or a full disk: this unit is redone
                break
            raise RunError(f"{path}, line {number} is damaged: {error}") from error
        try:
            records[unit] = check(record)
        except ValueError as error:
            raise RunError(f"{path}, line {number} is damaged: {error}") from error
        whole += len(line)
    return records, whole


def claim(path: Path) -> int:
    """A handle at the end of the folder's records; only one process may hold it."""
    check_writable(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / RECORDS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise RunError(f"cannot write to {path}: {error.strerror or error}") from error
    try:
        _lock(handle, path)
    except RunError:
        os.close(handle)
        raise
    return handle


def forget(path: Path, handle: int) -> None:
    """Deletes what an earlier run left in its folder, and nothing else."""
    try:
        os.ftruncate(handle, 0)
        for name in (SUMMARY, SETTINGS):
            (path / name).unlink(missing_ok=True)
        shutil.rmtree(path / STRIPS, ignore_errors=True)
    except OSError as error:
        raise RunError(f"cannot start over in {path}: {error.strerror or error}") from error


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise RunError(f"another process is writing to {path}") from error
