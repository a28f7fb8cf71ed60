"""From run folders to the sections of a report: each is registered by the module that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gazeheads.study.modules import import_all
from gazeheads.study.report.blocks import Section, Tile
from gazeheads.study.report.naming import named_by
from gazeheads.study.report.numbers import Runs

_MODULES = "gazeheads.study.report"
Build = Callable[[Runs], Section]
Tiles = Callable[[Runs], list[Tile]]


@dataclass(frozen=True)
class _Entry:
    """A section: of which experiment, where in reading order, and how it is drawn."""

    experiment: str
    place: int
    build: Build


_SECTIONS: list[_Entry] = []
_TILES: dict[str, tuple[int, Tiles]] = {}


def section(experiment: str, place: int = 1000) -> Callable[[Build], Build]:
    """Registers what draws a section from the runs of one model.

    Args:
        experiment: name of the one that fills it; without a run of it there is no section.
        place: in reading order; the smallest comes first, equal ones as they were registered.
    """

    def registered(build: Build) -> Build:
        _SECTIONS.append(_Entry(experiment, place, build))
        return build

    return registered


def headline_of(experiment: str, place: int = 1000) -> Callable[[Tiles], Tiles]:
    """Registers what an experiment adds to the numbers to see first, in the order of places."""

    def registered(tiles: Tiles) -> Tiles:
        _TILES[experiment] = place, tiles
        return tiles

    return registered


def sections_of(runs: Runs) -> list[Section]:
    """The sections that the runs of one model fill; draws their figures into the run folders."""
    _load()
    entries = sorted(_SECTIONS, key=lambda entry: entry.place)
    sections = []
    for entry in entries:
        if entry.experiment in runs:
            with named_by(runs[entry.experiment].settings):
                sections.append(entry.build(runs))
    return sections


def headline(runs: Runs) -> list[Tile]:
    """The numbers to see first."""
    _load()
    found = sorted((place, name) for name, (place, _) in _TILES.items() if name in runs)
    tiles: list[Tile] = []
    for _, name in found:
        with named_by(runs[name].settings):
            tiles += _TILES[name][1](runs)
    return tiles


def _load() -> None:
    """Imports every module of the report, so that it registers what it draws."""
    import_all(_MODULES)
