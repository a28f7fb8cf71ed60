"""The CSVs: one value per cell, documented columns, and the page that documents the files."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from results_page import PAGE, table

from gazeheads.errors import GazeheadsError
from gazeheads.study import schema
from gazeheads.study.experiment import registry
from gazeheads.study.report.columns import COLUMNS
from gazeheads.study.report.tables import number, part, write_csv, write_estimates


def types_of(annotation: Any) -> set[type[BaseModel]]:
    """The types of stored parts in an annotation, and in their own fields."""
    found: set[type[BaseModel]] = set()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        found.add(annotation)
        for field in annotation.model_fields.values():
            found |= types_of(field.annotation)
    for each in typing.get_args(annotation):
        found |= types_of(each)
    return found


def test_the_page_names_every_field_of_every_record() -> None:
    told = table("| experiment | fields of a record")
    own = {name: set(each.record.model_fields) for name, each in registry().items()}
    assert {name: set(fields) for name, fields in told.items()} == {
        name: fields - {"unit", "number"} for name, fields in own.items()
    }
    parts = {t for each in registry().values() for t in types_of(each.record)}
    records = {each.record for each in registry().values()}
    files = {schema.SettingsFile, schema.SummaryFile, schema.ShardSummary}
    assert {name: set(fields) for name, fields in table("| type | fields").items()} == {
        part.__name__: set(part.model_fields) for part in (parts | files) - records
    }


def test_the_page_names_every_experiment_and_column() -> None:
    assert set(table("| experiment | its results")) == set(registry())
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for name, column in COLUMNS.items():
        kind = "number" if column.number else "text"
        assert f"| `{name}` | {kind} | {column.meaning} |" in lines
    used = {name for columns in table("| file | columns").values() for name in columns}
    assert used == set(COLUMNS)


def test_a_cell_holds_one_value_of_its_columns_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(GazeheadsError, match="no column 'accuracy'"):
        write_csv(path, ("condition", "accuracy"), [("gaze", 0.5)])
    with pytest.raises(GazeheadsError, match="value is a number, not '5 of 12'"):
        write_csv(path, ("condition", "value"), [("gaze", "5 of 12")])
    with pytest.raises(GazeheadsError, match="condition is a text"):
        write_csv(path, ("condition", "value"), [(3, 0.5)])
    assert not path.exists()
    share = {"value": 0.25, "low": 0.1, "high": 0.5, "hits": 1, "total": 4}
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0, "hits": 0, "total": 0}
    rows = [
        (("gaze", "accuracy"), share),
        (("all", "accuracy"), nothing),
        (("gaze", "junk"), part(1, 8)),
        (("gaze", "ties"), part(None, 8)),
        (("gaze", "p"), number(1 / 21, 20)),
    ]
    write_estimates(path, ("condition", "measure"), rows)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "condition,measure,value,low,high,n",
        "gaze,accuracy,0.25,0.1,0.5,4",
        "all,accuracy,,,,0",
        "gaze,junk,0.125,,,8",
        "gaze,p,0.047619,,,20",
    ]
