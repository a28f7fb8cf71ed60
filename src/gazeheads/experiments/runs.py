"""Run folders: what was asked, what came out line by line, and the summary.

`runs/<experiment>/<model>/` holds `settings.json`, `records.jsonl` (one line per unit of work,
on the disk before the next unit starts) and `summary.json`. A run may be killed anywhere:
opening it again drops a line that was cut off and goes on after the last whole one.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gazeheads.atomic import read_json, write_json
from gazeheads.errors import GazeheadsError

SETTINGS, RECORDS, SUMMARY, STRIPS = "settings.json", "records.jsonl", "summary.json", "strips"

Progress = Callable[[int, int], None]
"""Called with (units done, units in all)."""
Item = TypeVar("Item")


class RunError(GazeheadsError):
    """A run folder that cannot be used as asked."""


def folder_of(out: str | os.PathLike[str], experiment: str, model: str) -> Path:
    """Where the run of an experiment on a model lives; a model id's "/" becomes "--"."""
    return Path(out) / experiment / model.replace("/", "--")


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Raises RunError unless `folder` can be created or written to; leaves nothing behind."""
    path = Path(folder).absolute()
    try:
        ancestor = next(p for p in (path, *path.parents) if os.path.lexists(p))
        with tempfile.TemporaryFile(dir=ancestor):
            pass
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}") from error


class RunFolder:
    """One experiment on one model, on the disk.

    Attributes:
        path: the folder.
        experiment, model: what was run on what.
        settings: everything the records depend on.
        versions: of the software the run was begun with.
        records: the finished units by name, in the order they were finished.
    """

    def __init__(self, path: Path, handle: int | None = None) -> None:
        data = read_json(path / SETTINGS, "run-settings")
        try:
            self.experiment, self.model = str(data["experiment"]), str(data["model"])
            self.settings, self.versions = dict(data["settings"]), dict(data["versions"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path / SETTINGS} is damaged: {error!r}") from error
        self.path = path
        self.records, self._whole = _read_records(path / RECORDS)
        self._handle = handle

    @classmethod
    def open(
        cls,
        out: str | os.PathLike[str],
        experiment: str,
        model: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        fresh: bool = False,
    ) -> RunFolder:
        """Begins a run, or goes on with one that was begun with the same settings.

        Args:
            out: folder of all runs.
            experiment, model: name the run.
            settings: everything the records depend on, as JSON values.
            versions: of the software.
            fresh: forget what an earlier run left.

        Raises:
            RunError: other settings, a damaged folder, or one that is not writable or in use.
        """
        path = folder_of(out, experiment, model)
        handle = _claim(path)
        try:
            if fresh:
                _forget(path, handle)
            asked = json.loads(json.dumps(dict(settings)))
            if not (path / SETTINGS).exists():
                if os.fstat(handle).st_size:
                    raise RunError(f"{path} has records but no {SETTINGS}: start over with --fresh")
                begun = {"experiment": experiment, "model": model, "settings": asked}
                about = {"kind": "run-settings", **begun, "versions": dict(versions)}
                write_json(path / SETTINGS, about)
            run = cls(path, handle)
            _refuse_changes(path, run.settings, asked)
            os.ftruncate(handle, run._whole)
        except BaseException:
            os.close(handle)
            raise
        return run

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets another process write."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def append(self, unit: str, record: Mapping[str, Any]) -> None:
        """Adds the record of a unit; when this returns it is on the disk."""
        if unit in self.records:
            raise RunError(f"{self.path}: unit {unit!r} is there already")
        whole = {"unit": unit, **record}
        line = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if self._handle is None:
            raise RunError(f"{self.path} was opened for reading only")
        try:
            left = line
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}") from error
        self.records[unit] = json.loads(line)

    def work(
        self,
        units: Sequence[tuple[str, Item]],
        do: Callable[[Sequence[Item]], Sequence[Mapping[str, Any]]],
        progress: Progress | None = None,
        at_once: int = 1,
    ) -> list[dict[str, Any]]:
        """Does every unit that has no record yet; returns the records of all, in order.

        Args:
            units: names and what is done.
            do: gives one record per item.
            progress: called with (units done, units in all).
            at_once: how many items `do` gets. The parts are always the same ones: a part that was
                cut short is done again whole, so that a rerun computes exactly what it would have.
        """
        names = [name for name, _ in units]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise RunError(f"two units of work have the same name: {twice[0]!r}")
        for start in range(0, len(units), at_once):
            part = units[start : start + at_once]
            if any(name not in self.records for name, _ in part):
                done = do([item for _, item in part])
                for (name, _), record in zip(part, done, strict=True):
                    if name not in self.records:
                        self.append(name, record)
            if progress is not None:
                progress(start + len(part), len(units))
        return [self.records[name] for name in names]

    def summarise(self, results: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the summary, whole or not at all, and returns it."""
        summary = {
            "kind": "run-summary",
            "experiment": self.experiment,
            "model": self.model,
            "seed": self.settings.get("seed"),
            "units": len(self.records),
            "settings": self.settings,
            "versions": self.versions,
            "results": json.loads(json.dumps(dict(results))),
        }
        write_json(self.path / SUMMARY, summary)
        return summary

    @property
    def summary(self) -> dict[str, Any]:
        """What `summarise` wrote.

        Raises:
            RunError: the run did not come to its end.
        """
        if not (self.path / SUMMARY).exists():
            raise RunError(f"{self.path} is not finished: run the same command again")
        return read_json(self.path / SUMMARY, "run-summary")


def find_runs(paths: Sequence[str | os.PathLike[str]]) -> list[RunFolder]:
    """The run folders at or below the paths, in the order of their paths.

    Raises:
        RunError: a path holds no run.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        own = sorted(settings.parent for settings in path.rglob(SETTINGS))
        if not own:
            raise RunError(f"no runs in {path}" if path.exists() else f"no folder {path}")
        found += [folder for folder in own if folder not in found]
    return [RunFolder(path) for path in found]


def _read_records(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Records by unit, and the length in bytes of the whole lines."""
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
            records[record["unit"]] = record
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # cut off by a kill or a full disk: this unit is redone
                break
            raise RunError(f"{path}, line {number} is damaged: {error}") from error
        whole += len(line)
    return records, whole


def _claim(path: Path) -> int:
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


def _forget(path: Path, handle: int) -> None:
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


def _refuse_changes(path: Path, there: dict[str, Any], asked: dict[str, Any]) -> None:
    changed = [key for key in {**there, **asked} if there.get(key) != asked.get(key)]
    if not changed:
        return
    told = ", ".join(
        f"{key} {_short(there.get(key))} -> {_short(asked.get(key))}" for key in changed
    )
    raise RunError(
        f"{path} holds a run with other settings ({told}): name another output folder, "
        "or start over with --fresh"
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
