"""The numbers behind the figures, as CSV or JSON files in the run folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gazeheads.files import write_json, write_text
from gazeheads.heads import HeadScores


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Writes a table, atomically."""
    return write_text(path, csv_text(head, rows))


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def write_estimates(
    path: Path, head: Sequence[str], rows: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]
) -> Path:
    """Estimates with one value per cell: value, low, high, and how many were counted.

    Args:
        path: of the CSV.
        head: of the cells that say what is estimated.
        rows: those cells, and the estimate of a share or a mean (see `stats`).
    """
    cells = (
        (*what, own["value"], own["low"], own["high"], own.get("total", own.get("count")))
        for what, own in rows
    )
    return write_csv(path, (*head, "value", "low", "high", "n"), cells)


def write_scores(folder: Path, scores: HeadScores) -> Path:
    """Every head with its score, best first."""
    rows = ((head.layer, head.head, f"{scores[head]:.6f}") for head in scores.ranking())
    return write_csv(folder / "head-scores.csv", ("layer", "head", "gaze_score"), rows)


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


def write_conditions(folder: Path, name: str, conditions: Sequence[dict[str, Any]]) -> Path:
    """Accuracy by condition, with intervals and counts."""
    head = (
        "condition", "heads", "accuracy", "low", "high", "content_only", "content_low",
        "content_high", "pairs", "junk", "ties", "baseline_matches",
        "unjudged", "clean", "clean_low", "clean_high", "mixed_hits", "repeating_hits", "draws",
        "draws_median", "draws_least", "draws_most", "draw_strips", "p",
    )  # fmt: skip
    rows = [
        [
            c["condition"], c["k"],
            *(f"{c['accuracy'][x]:.6f}" for x in ("value", "low", "high")),
            *(f"{c['content'][x]:.6f}" for x in ("value", "low", "high")),
            c["pairs"], c["junk"], c["ties"], c["baseline_matches"],
            c["unjudged"],
            *_clean(c), *_draws(c),
        ]
        for c in conditions
    ]  # fmt: skip
    return write_csv(folder / name, head, rows)


def _clean(condition: dict[str, Any]) -> list[Any]:
    own = condition.get("clean")
    shares = [f"{own[x]:.6f}" for x in ("value", "low", "high")] if own else [""] * 3
    counts = [condition.get(name) for name in ("mixed_hits", "repeating_hits")]
    return [*shares, *("" if count is None else count for count in counts)]


def _draws(condition: dict[str, Any]) -> list[Any]:
    own = condition.get("controls")
    if own is None:
        return [""] * 6
    p = "" if own["p"] is None else f"{own['p']:.6f}"
    range_ = (f"{own[x]:.6f}" for x in ("median", "least", "most"))
    return [len(own["draws"]), *range_, own["strips"], p]


def write_by_panel(folder: Path, conditions: Sequence[dict[str, Any]]) -> Path:
    """Accuracy by condition and target panel."""
    rows = [
        (c["condition"], c["k"], panel, *(f"{own[x]:.6f}" for x in ("value", "low", "high")))
        for c in conditions
        for panel, own in enumerate(c["by_panel"], 1)
    ]
    head = ("condition", "heads", "panel", "accuracy", "low", "high")
    return write_csv(folder / "by-panel.csv", head, rows)


def write_staircase(folder: Path, record: dict[str, Any]) -> Path:
    """One narration: its pieces, the panel narrated and the attention by panel at every step."""
    kept = ("unit", "text", "pieces", "narrated", "attention")
    return write_json(folder / "staircase.json", {key: record[key] for key in kept})
