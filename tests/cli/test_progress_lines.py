"""What a log without a terminal says while work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gazeheads.cli.terminal import PlainReport
from gazeheads.study.runs import RunFolder, RunOptions


def test_a_line_every_half_minute_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    report = PlainReport("Steering", lambda: now)
    for done in range(1, 101):
        now += 1.0
        report(done, 100)
    assert capsys.readouterr().err.splitlines() == [
        "Steering: 30 of 100 after 30 s",
        "Steering: 60 of 100 after 60 s",
        "Steering: 90 of 100 after 90 s",
        "Steering: 100 in 100 s",
    ]


def test_a_run_that_goes_on_says_how_much_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [(f"u{i}", i) for i in range(5)]

    def do(part: Any) -> list[dict[str, Any]]:
        return [{"value": item} for item in part]

    told = []
    for count in (2, 5, 5):
        with RunFolder.open(RunOptions(tmp_path), "own", "m", {}, {}) as run:
            run.work(units[:count], do, PlainReport("Work"))
        told.append(capsys.readouterr().err.splitlines()[:-1])
    assert told == [
        [], ["Work: going on, 2 of 5 were there"], ["Work: going on, 5 of 5 were there"],
    ]  # fmt: skip
