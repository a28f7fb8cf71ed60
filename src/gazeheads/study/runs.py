"""Run folders: what was asked, what came out line by line, and the summary.

`runs/<experiment>/<model>/` holds `settings.json`, `records.jsonl` (one line per unit of work,
on the disk before the next unit starts) and `summary.json`. A run may be killed anywhere:
opening it again drops a line that was cut off and goes on after the last whole one. A summary
follows from settings and records alone. One of several shards of a run lives in a folder
`shard-2-of-4` below that of the run until all are merged (see `merging`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gazeheads.files import read_json, write_json
from gazeheads.study.disk import (
    RECORDS,
    SETTINGS,
    SUMMARY,
    RunError,
    check_writable,
    claim,
    forget,
    read_records,
)
from gazeheads.study.folder_names import folder_of
from gazeheads.study.options import Progress, RunOptions, Shard

__all__ = [
    "Progress",
    "RunError",
    "RunFolder",
    "RunOptions",
    "Shard",
    "check_writable",
    "folder_of",
]

Item = TypeVar("Item")


class RunFolder:
    """One experiment on one model, on the disk.

    Attributes:
        path: the folder.
        experiment, model: what was run on what.
        settings: everything the records depend on.
        versions: of the software the run was begun with.
        shard: which share of a run this is; None: all of it.
        records: the finished units by name, in the order they were finished.
    """

    def __init__(self, path: Path, handle: int | None = None) -> None:
        data = read_json(path / SETTINGS, "run-settings")
        try:
            self.experiment, self.model = str(data["experiment"]), str(data["model"])
            self.settings, self.versions = dict(data["settings"]), dict(data["versions"])
            self.shard = Shard.parse(data.get("shard"))
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path / SETTINGS} is damaged: {error!r}") from error
        self.path = path
        self.records, self._whole = read_records(path / RECORDS)
        self._handle = handle
        self._planned = 0  # units of all calls of `work`

    @classmethod
    def open(
        cls,
        options: RunOptions,
        experiment: str,
        model: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
    ) -> RunFolder:
        """Begins a run, or goes on with one that was begun with the same settings.

        Args:
            options: see there.
            experiment, model: name the run.
            settings: everything the records depend on, as JSON values.
            versions: of the software.

        Raises:
            RunError: other settings, a damaged folder, or one that is not writable or in use.
        """
        path = folder_of(options.out, experiment, model)
        if options.shard is not None:
            path /= f"shard-{options.shard.number}-of-{options.shard.count}"
        handle = claim(path)
        try:
            if options.fresh:
                forget(path, handle)
            asked = json.loads(json.dumps(dict(settings)))
            if not (path / SETTINGS).exists():
                if os.fstat(handle).st_size:
                    raise RunError(f"{path} has records but no {SETTINGS}: start over with --fresh")
                about = settings_file(experiment, model, asked, versions, options.shard)
                write_json(path / SETTINGS, about)
            run = cls(path, handle)
            if changed := differences(run.settings, asked):
                raise RunError(
                    f"{path} holds a run with other settings ({changed}): name another output "
                    "folder, or start over with --fresh"
                )
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
        shared: bool = False,
    ) -> None:
        """Does every unit that has no record yet; a shard does only its share of them.

        A record also gets the number of its unit, counted over all calls on this run.

        Args:
            units: names and what is done.
            do: gives one record per item.
            progress: called with (units done, units in all).
            at_once: how many items `do` gets. The parts are always the same ones: a part that was
                cut short is done again whole, so that a rerun computes exactly what it would have.
            shared: every shard does all of these units, because its other work needs them.
        """
        names = [name for name, _ in units]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise RunError(f"two units of work have the same name: {twice[0]!r}")
        first = self._planned
        self._planned += len(units)
        starts = list(range(0, len(units), at_once))
        if self.shard is not None and not shared:
            starts = starts[self.shard.number - 1 :: self.shard.count]
        total = sum(len(units[start : start + at_once]) for start in starts)
        done = 0
        for start in starts:
            part = list(enumerate(units))[start : start + at_once]
            if any(name not in self.records for _, (name, _) in part):
                made = do([item for _, (_, item) in part])
                for (place, (name, _)), record in zip(part, made, strict=True):
                    if name not in self.records:
                        self.append(name, {"number": first + place, **record})
            done += len(part)
            if progress is not None:
                progress(done, total)

    def ordered(self) -> list[dict[str, Any]]:
        """The records in the order of their units, whichever was finished first."""
        return sorted(self.records.values(), key=lambda record: record.get("number", 0))

    def finish(self, results: Callable[[RunFolder], Mapping[str, Any]]) -> None:
        """Ends the run: writes the summary, or of a shard how much there is to merge.

        Args:
            results: of a whole run, from its settings and records.
        """
        if self.shard is None:
            self.summarise(results(self))
        else:
            about = {"kind": "shard-summary", "shard": str(self.shard), "planned": self._planned}
            write_json(self.path / SUMMARY, about)

    def summarise(self, results: Mapping[str, Any]) -> None:
        """Writes the summary, whole or not at all."""
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

    @property
    def summary(self) -> dict[str, Any]:
        """What `summarise` wrote.

        Raises:
            RunError: the run did not come to its end.
        """
        if not (self.path / SUMMARY).exists():
            raise RunError(f"{self.path} is not finished: run the same command again")
        return read_json(self.path / SUMMARY, "run-summary")


def settings_file(
    experiment: str,
    model: str,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    shard: Shard | None = None,
) -> dict[str, Any]:
    """What `settings.json` of a run holds."""
    own = {} if shard is None else {"shard": str(shard)}
    begun = {"experiment": experiment, "model": model, "settings": dict(settings)}
    return {"kind": "run-settings", **begun, "versions": dict(versions), **own}


def find_runs(paths: Sequence[str | os.PathLike[str]], shards: bool = False) -> list[RunFolder]:
    """The runs at or below the paths, in the order of their paths.

    Args:
        paths: folders.
        shards: find the shards of runs, and not whole runs.

    Raises:
        RunError: a path holds no run.
    """
    found: dict[Path, RunFolder] = {}
    for path in map(Path, paths):
        every = [RunFolder(settings.parent) for settings in sorted(path.rglob(SETTINGS))]
        own = [run for run in every if (run.shard is not None) == shards]
        if not own and not path.exists():
            raise RunError(f"no folder {path}")
        if not own and every:
            raise RunError(
                f"{path} holds only whole runs, no shards to merge"
                if shards
                else f"{path} holds only shards of runs: put them together with gazeheads merge"
            )
        if not own:
            raise RunError(f"no runs in {path}")
        found |= {run.path: run for run in own}
    return list(found.values())


def differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Which settings differ and how, in words; empty if none does."""
    return ", ".join(
        f"{key} {_short(there.get(key))} -> {_short(asked.get(key))}"
        for key in {**there, **asked}
        if there.get(key) != asked.get(key)
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
