"""What the files of a run folder hold: typed, with a version, and readable from 0.1 on.

`settings.json`, every line of `records.jsonl` and `summary.json` say the version of this schema
that they follow. Files of 0.1 say none and are read as version 1: brought to the present one in
memory, never changed on the disk. A record's type stands beside its experiment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gazeheads.judges.verdict import Reason
from gazeheads.study.disk import RunError
from gazeheads.study.modules import import_all

SCHEMA_VERSION = 2
"""Of what is written now."""
FIRST_VERSION = 1
"""Of files that say none: those of 0.1."""
_EXPERIMENTS = "gazeheads.study.experiments"


class Stored(BaseModel):
    """A part of what is stored; fields that are not its own are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SettingsFile(Stored):
    """`settings.json`: what was begun.

    Attributes:
        experiment, model: what is run on what.
        settings: everything the records depend on.
        versions: of the software it was begun with.
        shard: such as "2/4"; None: all of the run.
        derived: made because other runs build on it, in a place of its own.
    """

    kind: Literal["run-settings"] = "run-settings"
    schema_version: int = FIRST_VERSION
    experiment: str
    model: str
    settings: dict[str, Any]
    versions: dict[str, str]
    shard: str | None = None
    derived: bool = False


class SummaryFile(Stored):
    """`summary.json` of a finished run."""

    kind: Literal["run-summary"] = "run-summary"
    schema_version: int = FIRST_VERSION
    experiment: str
    model: str
    seed: int | None
    units: int
    settings: dict[str, Any]
    versions: dict[str, str]
    results: dict[str, Any]


class ShardSummary(Stored):
    """`summary.json` of a finished shard: how many units there are in all shards together."""

    kind: Literal["shard-summary"] = "shard-summary"
    schema_version: int = FIRST_VERSION
    shard: str
    planned: int


class Record(Stored):
    """What a record of any experiment has.

    Attributes:
        unit: name of the unit of work.
        number: its place among all units of the run, from 0.
    """

    unit: str
    number: int = Field(0, ge=0)


class AnyRecord(Record):
    """A record of an experiment that is not registered: nothing more is known of it."""

    model_config = ConfigDict(extra="allow")


class PackedArray(Stored):
    """An array inside a record; see `arrays`."""

    shape: list[int]
    kind: str
    data: str


class KeptStrip(Stored):
    """What a record says about its strip; see `pictures.keep_picture`."""

    picture: str
    aspect: float
    panels: list[tuple[float, float, float, float]]
    captions: list[str] | None
    truths: list[dict[str, str]] | None = None


class JudgedText(Stored):
    """A text and the verdict on it; see `Verdict`. Runs of before tell no `mixed` and `repeats`."""

    text: str
    panel: int | None
    reason: Reason
    mixed: bool | None = None
    repeats: bool | None = None


_TYPES: dict[str, type[Record]] = {}
File = TypeVar("File", bound=Stored)


def declare(experiment: str, record: type[Record]) -> None:
    """Says which type the records of an experiment have."""
    _TYPES[experiment] = record


def record_type(experiment: str) -> type[Record]:
    """The type of an experiment's records; `AnyRecord` if it is not registered."""
    import_all(_EXPERIMENTS)
    return _TYPES.get(experiment, AnyRecord)


def check_record(kind: type[Record], record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it is used: of the present version and its type, without the version.

    Raises:
        ValueError: it does not fit; in one line.
    """
    fields = dict(record)
    _check_version(fields.pop("schema_version", FIRST_VERSION))
    try:
        kind.model_validate(fields)
    except ValidationError as error:
        raise ValueError(in_a_line(error)) from error
    return fields


def read_file(kind: type[File], data: Mapping[str, Any], path: object) -> File:
    """A file as it was read from JSON.

    Raises:
        RunError: it does not fit; in one line.
    """
    try:
        read = kind.model_validate(dict(data))
        _check_version(getattr(read, "schema_version", FIRST_VERSION))
    except ValidationError as error:
        raise RunError(f"{path} is damaged: {in_a_line(error)}") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    return read


def file_of(stored: Stored) -> dict[str, Any]:
    """A file as JSON values, without what is not set; says the version."""
    kind = {"kind": getattr(stored, "kind")}  # noqa: B009 - every file has one
    return {**kind, "schema_version": SCHEMA_VERSION, **stored.model_dump(exclude_defaults=True)}


def line_of(record: Mapping[str, Any]) -> bytes:
    """A record as a line; says the version."""
    whole = {"schema_version": SCHEMA_VERSION, **record}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def in_a_line(error: ValidationError) -> str:
    """The first thing that does not fit."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place or 'it'}: {first['msg']}"


def _check_version(version: Any) -> None:
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ValueError(
            f"it follows version {version} of the run files and this gazeheads reads up to "
            f"{SCHEMA_VERSION}: update gazeheads"
        )
