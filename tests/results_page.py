"""`docs/results.md` as tests read it, and the CSVs held against it."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

from gazeheads.study.report.columns import COLUMNS, ESTIMATE

PAGE = Path(__file__).parents[1] / "docs" / "results.md"


def table(head: str) -> dict[str, list[str]]:
    """By name in the first column of a table of the page the names in its second."""
    lines = iter(PAGE.read_text(encoding="utf-8").splitlines())
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(head):
            next(lines)  # the rule below the head
            for row in lines:
                if not row.startswith("|"):
                    break
                first, second = row.split("|")[1:3]
                for name in re.findall(r"`([^`]+)`", first):
                    found[name] = re.findall(r"`([^`]+)`", second)
    return found


def documented(path: Path) -> list[str]:
    """The columns that the page promises of a file."""
    name = re.sub(r"-\d+\.csv$", "-K.csv", path.name)
    return table("| file | columns")[name]


def check_csv(path: Path) -> None:
    """Every cell is one number or a plain text, under a column of the page."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    assert head == documented(path), path.name
    assert rows, path.name
    if "measure" in head:
        assert head[head.index("measure") + 1 :] == list(ESTIMATE)
    seen = set()
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        for name, cell in cells.items():
            if COLUMNS[name].number:
                assert cell == "" or not math.isnan(float(cell)), (path.name, name, cell)
            else:
                assert "%" not in cell or name in ("variant", "word"), (path.name, name, cell)
        if cells.get("value") and cells.get("low"):
            low, value, high = (float(cells[x]) for x in ("low", "value", "high"))
            assert low - 1e-6 <= value <= high + 1e-6
        seen.add(tuple(cell for name, cell in cells.items() if name not in ("strips", *ESTIMATE)))
    if "measure" in head:
        assert len(seen) == len(rows), f"{path.name}: two estimates of the same thing"
