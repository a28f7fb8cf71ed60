"""Putting the shards of runs together: from several machines' folders to one finished run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gazeheads.files import read_json
from gazeheads.study.disk import STRIPS, SUMMARY, RunError
from gazeheads.study.experiment import experiment_named
from gazeheads.study.identity import IDENTITY, differences
from gazeheads.study.runs import RunFolder, RunOptions, find_runs


def merge(
    paths: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], fresh: bool = False
) -> list[RunFolder]:
    """Merges all shards below the paths into whole runs.

    Args:
        paths: folders of runs, of every machine.
        out: folder of all runs to merge into.
        fresh: start over where a whole run is there already.

    Raises:
        RunError: a shard is missing, unfinished or there twice, or was run with other settings or
            software.
    """
    groups: dict[tuple[str, str], list[RunFolder]] = {}
    for shard in find_runs(paths, shards=True):
        groups.setdefault((shard.experiment, shard.model), []).append(shard)
    for shards in groups.values():
        _check(shards)
    return [_merged(shards, RunOptions(out, fresh=fresh)) for shards in groups.values()]


def _check(shards: Sequence[RunFolder]) -> None:
    first = shards[0]
    about = f"{first.experiment} on {first.model}"
    if not experiment_named(first.experiment).shards:
        raise RunError(f"{about}: shards of this experiment cannot be merged")
    for shard in shards:
        experiment_named(first.experiment).settings_of(shard)  # raises if they are damaged
    for shard in shards[1:]:
        if changed := differences(first.settings, shard.settings):
            raise RunError(
                f"{first.path} and {shard.path} were run with other settings ({changed})"
            )
        if changed := differences(first.versions, shard.versions, IDENTITY):
            raise RunError(
                f"{first.path} and {shard.path} were run with other software ({changed}): run "
                "one of them again with the other's, with --fresh"
            )
    counts = {_share(shard).count for shard in shards}
    if len(counts) > 1:
        raise RunError(f"{about}: shards of {sorted(counts)} were mixed")
    numbers = sorted(_share(shard).number for shard in shards)
    count = counts.pop()
    if len(set(numbers)) < len(numbers):
        raise RunError(f"{about}: a shard is there twice; found {numbers}")
    if missing := sorted(set(range(1, count + 1)) - set(numbers)):
        told = ", ".join(f"{number}/{count}" for number in missing)
        raise RunError(f"{about}: shards {told} are missing")
    for shard in shards:
        if not (shard.path / SUMMARY).exists():
            raise RunError(f"{shard.path} is not finished: run the same command again")


def _share(shard: RunFolder) -> Any:
    return shard.shard


def _merged(shards: Sequence[RunFolder], options: RunOptions) -> RunFolder:
    first = shards[0]
    # units that every shard needed are there several times
    units = {unit: record for shard in shards for unit, record in shard.records.items()}
    records = sorted(units.values(), key=lambda record: record["number"])
    planned = read_json(first.path / SUMMARY, "shard-summary")["planned"]
    if len(records) != planned:
        raise RunError(
            f"{first.experiment} on {first.model}: {len(records)} of {planned} units are there"
        )
    versions = _versions([shard.versions for shard in shards])
    with RunFolder.open(options, first.experiment, first.model, first.settings, versions) as folder:
        for record in records:
            if record["unit"] not in folder.records:
                folder.append(record["unit"], record)
        for shard in shards:
            _copy_pictures(shard.path / STRIPS, folder.path / STRIPS)
        folder.finish(experiment_named(first.experiment).summarise)
    return folder


def _versions(several: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Of every package the versions of all machines."""
    names = dict.fromkeys(name for own in several for name in own)
    return {
        name: " and ".join(dict.fromkeys(own[name] for own in several if name in own))
        for name in names
    }


def _copy_pictures(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise RunError(f"cannot copy {source} to {target}: {error}") from error
