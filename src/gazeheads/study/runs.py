"""Run folders: what was asked, what came out line by line, and the summary.

`runs/<experiment>/<model>/` holds `settings.json`, `records.jsonl` (one line per unit of work,
on the disk before the next unit starts) and `summary.json`. A run may be killed anywhere:
opening it again drops a line that was cut off and goes on after the last whole one. A summary
follows from settings and records alone. One of several shards of a run lives in a folder
`shard-2-of-4` below that of the run until all are merged (see `merging`); a run that others build
on may live in a folder `for-1a2b...` there, named by its settings (see `shared`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from gazeheads.files import read_json, write_json
from gazeheads.progress import GoesOn, Progress
from gazeheads.study import schema
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
from gazeheads.study.identity import IDENTITY, differences
from gazeheads.study.options import RunOptions, Shard
from gazeheads.study.schema import SettingsFile, ShardSummary, SummaryFile
from gazeheads.study.workers import ThisProcess, Workers

__all__ = ["RunError", "RunFolder", "RunOptions", "Shard", "check_writable", "folder_of"]

Item = TypeVar("Item")


class RunFolder:
    """One experiment on one model, on the disk.

    Attributes:
        path: the folder.
        experiment, model: what was run on what.
        settings: everything the records depend on.
        versions: of the software the run was begun with.
        schema_version: of its files.
        shard: which share of a run this is; None: all of it.
        derived: whether it was made only because others build on it.
        records: the finished units by name, in the order they were finished.
    """

    def __init__(self, path: Path, handle: int | None = None) -> None:
        data = read_json(path / SETTINGS, "run-settings")
        begun = schema.read_file(SettingsFile, data, path / SETTINGS)
        self.experiment, self.model, self.schema_version = (
            begun.experiment,
            begun.model,
            begun.schema_version,
        )
        self.settings, self.versions = begun.settings, begun.versions
        self.shard, self.derived = Shard.parse(begun.shard), begun.derived
        self.path = path
        self._check = partial(schema.check_record, schema.record_type(self.experiment))
        self.records, self._whole = read_records(path / RECORDS, self._check)
        self._handle = handle
        self._workers: Workers = ThisProcess()
        self._planned = 0  # units of all calls of `work`

    @classmethod
    def open(
        cls,
        options: RunOptions,
        experiment: str,
        model: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
        identity: Sequence[str] = IDENTITY,
    ) -> RunFolder:
        """Begins a run, or goes on with one that was begun with the same settings and software.

        Args:
            options: see there.
            experiment, model: name the run.
            settings: everything the records depend on, as JSON values.
            versions: of the software.
            identity: packages that a run goes on with in the same version only; none: whatever
                wrote what is there.

        Raises:
            RunError: other settings or software, a damaged folder, or one that is not writable or
                in use.
        """
        path = folder_of(options.out, experiment, model)
        if options.place is not None:
            path /= options.place
        if options.shard is not None:
            path /= f"shard-{options.shard.number}-of-{options.shard.count}"
        handle = claim(path)
        try:
            if options.fresh and path not in options.renewed:
                forget(path, handle)
                options.renewed.add(path)
            asked = json.loads(json.dumps(dict(settings)))
            if not (path / SETTINGS).exists():
                if os.fstat(handle).st_size:
                    raise RunError(f"{path} has records but no {SETTINGS}: start over with --fresh")
                begun = SettingsFile(
                    experiment=experiment,
                    model=model,
                    settings=asked,
                    versions=dict(versions),
                    shard=None if options.shard is None else str(options.shard),
                    derived=options.place is not None,
                )
                write_json(path / SETTINGS, schema.file_of(begun))
            run = cls(path, handle)
            run._workers = options.workers
            run._check_same(asked, versions, identity)
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
        if self._handle is None:
            raise RunError(f"{self.path} was opened for reading only")
        line = schema.line_of({"unit": unit, **record})
        try:
            whole = self._check(json.loads(line))
        except ValueError as error:
            raise RunError(f"{self.path}: the record of {unit!r} is wrong: {error}") from error
        try:
            left = line
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}") from error
        self.records[unit] = whole

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
        every = list(enumerate(units))
        parts = [every[start : start + at_once] for start in range(0, len(units), at_once)]
        if self.shard is not None and not shared:
            parts = parts[self.shard.number - 1 :: self.shard.count]
        total = sum(map(len, parts))
        parts = [part for part in parts if any(name not in self.records for _, (name, _) in part)]
        done = total - sum(map(len, parts))
        if progress is not None and done:
            if isinstance(progress, GoesOn):
                progress.going_on(done, total)
            progress(done, total)
        for which, made in self._workers.done(do, [[unit[1] for _, unit in p] for p in parts]):
            for (place, (name, _)), record in zip(parts[which], made, strict=True):
                if name not in self.records:
                    self.append(name, {"number": first + place, **record})
            done += len(parts[which])
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
            about = ShardSummary(shard=str(self.shard), planned=self._planned)
            write_json(self.path / SUMMARY, schema.file_of(about))

    def summarise(self, results: Mapping[str, Any]) -> None:
        """Writes the summary, whole or not at all."""
        summary = SummaryFile(
            experiment=self.experiment,
            model=self.model,
            seed=self.settings.get("seed"),
            units=len(self.records),
            settings=self.settings,
            versions=self.versions,
            results=json.loads(json.dumps(dict(results))),
        )
        write_json(self.path / SUMMARY, schema.file_of(summary))

    @property
    def summary(self) -> dict[str, Any]:
        """What `summarise` wrote.

        Raises:
            RunError: the run did not come to its end.
        """
        if not (self.path / SUMMARY).exists():
            raise RunError(f"{self.path} is not finished: run the same command again")
        data = read_json(self.path / SUMMARY, "run-summary")
        return schema.read_file(SummaryFile, data, self.path / SUMMARY).model_dump()

    def _check_same(
        self, settings: Mapping[str, Any], versions: Mapping[str, str], identity: Sequence[str]
    ) -> None:
        """Raises RunError unless the run may go on with these settings and this software."""
        way_out = "name another --out, or start over with --fresh"
        if identity and self.schema_version != schema.SCHEMA_VERSION:
            raise RunError(
                f"{self.path} was begun by gazeheads {self.versions.get('gazeheads', '0.1')}, "
                f"which wrote other files, and can be read but not gone on with: {way_out}"
            )
        if changed := differences(self.settings, settings):
            raise RunError(f"{self.path} holds a run with other settings ({changed}): {way_out}")
        if changed := differences(self.versions, versions, identity):
            raise RunError(f"{self.path} was begun with other software ({changed}): {way_out}")


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
