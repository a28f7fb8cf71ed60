"""Where a run goes and how it is carried out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gazeheads.progress import Progress
from gazeheads.study.disk import RunError
from gazeheads.study.workers import ThisProcess, Workers


@dataclass(frozen=True)
class Shard:
    """One machine's share of a run: every `count`-th part of the work, from the `number`-th.

    Attributes:
        number: from 1 to `count`.
        count: shards in all.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise RunError(f"shard {self.number}/{self.count} does not exist: use 1/2, 2/2 ...")

    @classmethod
    def parse(cls, text: str | None) -> Shard | None:
        """From "2/4"; None stays None."""
        if text is None:
            return None
        try:
            number, count = (int(part) for part in text.split("/"))
        except ValueError as error:
            raise RunError(f"a shard is written like 2/4, not {text!r}") from error
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes and how it is carried out; nothing that its records depend on.

    Attributes:
        out: folder of all runs.
        progress: called with (units done, units in all).
        fresh: start over instead of going on with an earlier run.
        batch_size: rows generated at once; halved when memory runs out.
        shard: do only this share of the work.
        place: a folder below that of the run, for one that other runs build on.
        renewed: folders that were started over already: once, however many runs build on one.
        workers: who does the units of work.
        heads_from: the name of the ranking that heads are taken from, and its provenance (see
            `head_rankings.told`), for the settings of runs that steer or watch them.
    """

    out: str | os.PathLike[str]
    progress: Progress | None = None
    fresh: bool = False
    batch_size: int = 64
    shard: Shard | None = None
    place: str | None = None
    renewed: set[Path] = field(default_factory=set, compare=False, repr=False)
    workers: Workers = field(default_factory=ThisProcess, compare=False, repr=False)
    heads_from: Mapping[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # a worker elsewhere reports to nobody, and has no workers of its own
        return {**self.__dict__, "progress": None, "workers": ThisProcess()}
