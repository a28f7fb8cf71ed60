"""The numbers behind the figures, as CSV or JSON files in the run folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gazeheads.errors import GazeheadsError
from gazeheads.files import write_json, write_text
from gazeheads.heads import HeadScores
from gazeheads.study.report.columns import COLUMNS, ESTIMATE
from gazeheads.study.report.naming import called

Estimated = tuple[tuple[Any, ...], Mapping[str, Any] | None]
"""The cells that say what is estimated, and the estimate: a share or mean as a summary has it (see
`stats`), or one of `part` and `number`; None leaves the row out."""
_OUTCOMES = ("junk", "ties", "baseline_matches", "unjudged", "mixed_hits", "repeating_hits")
"""Counts of answers in a summary; missing where the judge cannot tell."""


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a table with one value per cell, atomically.

    Args:
        path: of the file.
        head: names of `COLUMNS`.
        rows: cells; None leaves one empty.

    Raises:
        GazeheadsError: a column is not one of `COLUMNS`, or a cell is not of its kind.
    """
    if unknown := [name for name in head if name not in COLUMNS]:
        raise GazeheadsError(f"{path.name}: no column {unknown[0]!r} is known")
    cells = ([_cell(path, *pair) for pair in zip(head, row, strict=True)] for row in rows)
    return write_text(path, csv_text(head, cells))


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def _cell(path: Path, name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("condition", "other"):
        value = called(value)
    if isinstance(value, str) == COLUMNS[name].number:
        kind = "a number" if COLUMNS[name].number else "a text"
        raise GazeheadsError(f"{path.name}: {name} is {kind}, not {value!r}")
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def write_estimates(path: Path, head: Sequence[str], rows: Iterable[Estimated]) -> Path:
    """Estimates with one value per cell: value, low, high, and how many were counted.

    Args:
        path: of the CSV.
        head: of the cells that say what is estimated; the last is `measure`.
        rows: see `Estimated`.
    """
    cells = ((*what, *_numbers(own)) for what, own in rows if own is not None)
    return write_csv(path, (*head, *ESTIMATE), cells)


def _numbers(own: Mapping[str, Any]) -> tuple[Any, ...]:
    total = own.get("total", own.get("count"))
    if own.get("total") == 0:  # a share of nothing is no share
        return None, None, None, 0
    return own["value"], own.get("low"), own.get("high"), total


def part(count: int | None, total: int) -> dict[str, Any] | None:
    """A share of which only counts are kept: without an interval. None if it was not counted."""
    return None if count is None else {"value": count / total if total else None, "total": total}


def number(value: float | None, count: int | None = None) -> dict[str, Any] | None:
    """A number without an interval, of so many observations. None if there is none."""
    return None if value is None else {"value": value, "count": count}


def write_scores(folder: Path, scores: HeadScores) -> Path:
    """Every head with its score, best first."""
    rows = ((head.layer, head.head, scores[head]) for head in scores.ranking())
    return write_csv(folder / "head-scores.csv", ("layer", "head", "score"), rows)


def write_matrices(folder: Path, scores: HeadScores, shown: int) -> Path:
    """The matrices of the best and the lowest heads."""
    assert scores.matrices is not None
    ranking = scores.ranking()
    parts = {"best": ranking[:shown], "lowest": ranking[-shown:][::-1]}
    data = {
        name: [
            {"head": str(head), "score": scores[head], "matrix": scores.matrices[head].tolist()}
            for head in heads
        ]
        for name, heads in parts.items()
    }
    return write_json(folder / "matrices.json", {"rows": "panel asked about", **data})


def write_conditions(path: Path, conditions: Iterable[Mapping[str, Any]]) -> Path:
    """What became of the answers, condition by condition."""
    rows = (row for condition in conditions for row in _outcomes(condition))
    return write_estimates(path, ("condition", "k", "measure"), rows)


def write_variants(path: Path, variants: Iterable[Mapping[str, Any]]) -> Path:
    """The same for every variant of a sweep."""
    rows = (
        ((variant["name"], *what), own)
        for variant in variants
        for condition in variant["conditions"]
        for what, own in _outcomes(condition)
    )
    return write_estimates(path, ("variant", "condition", "k", "measure"), rows)


def write_runs(path: Path, runs: Iterable[tuple[str, str, Iterable[Mapping[str, Any]]]]) -> Path:
    """The same for conditions of several runs: (title of the run, experiment, conditions)."""
    rows = (
        ((title, experiment, *what), own)
        for title, experiment, conditions in runs
        for condition in conditions
        for what, own in _outcomes(condition)
    )
    return write_estimates(path, ("run", "experiment", "condition", "k", "measure"), rows)


def _outcomes(condition: Mapping[str, Any]) -> Iterator[Estimated]:
    who, pairs = (condition["condition"], condition["k"]), condition["pairs"]
    for measure in ("accuracy", "content", "clean"):
        yield (*who, measure), condition.get(measure)
    for measure in _OUTCOMES:
        yield (*who, measure), part(condition.get(measure), pairs)
    if (drawn := condition.get("controls")) is not None:
        for measure in ("median", "least", "most"):
            yield (*who, f"draws_{measure}"), number(drawn[measure], len(drawn["draws"]))
        yield (*who, "p"), number(drawn["p"], len(drawn["draws"]))


def write_by_panel(folder: Path, conditions: Iterable[Mapping[str, Any]]) -> Path:
    """Accuracy by condition and panel steered to."""
    rows = (
        ((c["condition"], c["k"], panel, "accuracy"), own)
        for c in conditions
        for panel, own in enumerate(c["by_panel"], 1)
    )
    return write_estimates(folder / "by-panel.csv", ("condition", "k", "target", "measure"), rows)


def write_staircase(folder: Path, record: dict[str, Any]) -> Path:
    """One narration: its pieces, the panel narrated and the attention by panel at every step."""
    kept = ("unit", "text", "pieces", "narrated", "attention")
    return write_json(folder / "staircase.json", {key: record[key] for key in kept})
