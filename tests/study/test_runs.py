"""Run folders survive kills, full disks and torn lines, and never mix settings."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gazeheads.study.runs import (
    RunError,
    RunFolder,
    RunOptions,
    check_writable,
    find_runs,
)

SETTINGS = {"k": 12, "prompt": "What?", "seed": 3}
UNITS = [(f"strip-{i}", i) for i in range(5)]


def open_run(
    out: Path,
    settings: dict[str, Any] = SETTINGS,
    fresh: bool = False,
    versions: dict[str, str] | None = None,
) -> RunFolder:
    options = RunOptions(out, fresh=fresh)
    software = {"python": "3"} if versions is None else versions
    return RunFolder.open(options, "steer", "org/model", settings, software)


def square(part: Sequence[int]) -> list[dict[str, Any]]:
    return [{"square": number**2, "said": "é\n" * number} for number in part]


def total(run: RunFolder) -> dict[str, Any]:
    return {"total": sum(record["square"] for record in run.ordered())}


def whole_run(out: Path) -> Path:
    with open_run(out) as run:
        run.work(UNITS, square)
        run.finish(total)
    return run.path


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_a_run_leaves_settings_records_and_a_summary(tmp_path: Path) -> None:
    path = whole_run(tmp_path)
    assert path == tmp_path / "steer" / "org--model"
    assert sorted(contents(path)) == ["records.jsonl", "settings.json", "summary.json"]
    run = RunFolder(path)
    assert run.records["strip-2"] == {
        "unit": "strip-2",
        "number": 2,
        "square": 4,
        "said": "é\né\n",
    }
    assert run.summary["results"] == {"total": 30}
    assert run.summary["settings"] == SETTINGS
    assert (run.summary["seed"], run.summary["units"], run.summary["model"]) == (3, 5, "org/model")
    assert run.summary["versions"] == {"python": "3"}


def test_finished_units_are_not_done_again(tmp_path: Path) -> None:
    whole_run(tmp_path)
    with open_run(tmp_path) as run:
        seen = []
        run.work(UNITS, lambda i: pytest.fail("redone"), lambda *args: seen.append(args))
    assert [record["unit"] for record in run.ordered()] == [name for name, _ in UNITS]
    assert seen == [(5, 5)]  # told once: nothing is left to wait for


def test_units_done_together_are_done_again_together(tmp_path: Path) -> None:
    parts: list[list[int]] = []

    def do(part: Sequence[int]) -> list[dict[str, Any]]:
        parts.append(list(part))
        return square(part)

    with open_run(tmp_path) as run:
        run.append("strip-2", {"number": 2, **square([2])[0]})
        run.work(UNITS, do, at_once=2)
        records = run.ordered()
    assert parts == [[0, 1], [2, 3], [4]]
    assert [record["square"] for record in records] == [0, 1, 4, 9, 16]


def test_a_line_cut_anywhere_is_redone_and_the_result_is_the_same(tmp_path: Path) -> None:
    expected = contents(whole_run(tmp_path / "whole"))
    lines = expected["records.jsonl"].splitlines(keepends=True)
    for cut in range(len(lines[2])):
        out = tmp_path / f"cut-{cut}"
        with open_run(out) as run:
            pass
        (run.path / "records.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:cut])
        assert list(RunFolder(run.path).records) == ["strip-0", "strip-1"]
        assert contents(whole_run(out)) == expected


def test_zeros_after_a_power_cut_are_a_torn_line_too(tmp_path: Path) -> None:
    expected = contents(whole_run(tmp_path))
    path = tmp_path / "steer" / "org--model" / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + b"\0" * 40 + b"\n")
    assert contents(whole_run(tmp_path)) == expected


def test_damage_before_the_last_line_is_an_error(tmp_path: Path) -> None:
    path = whole_run(tmp_path) / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"unit": \n' + lines[2])
    with pytest.raises(RunError, match="line 2 is damaged"):
        open_run(tmp_path)


def test_a_full_disk_is_one_error_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contents(whole_run(tmp_path / "whole"))
    write = os.write

    def half(handle: int, data: bytes) -> int:
        if b"strip-3" not in data:
            return write(handle, data)
        write(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_run(tmp_path) as run:
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(RunError, match="No space left"):
            run.work(UNITS, square)
    monkeypatch.undo()
    assert contents(whole_run(tmp_path)) == expected


KILLED = """
import sys, time
sys.path.insert(0, {here!r})
from pathlib import Path
import test_runs
def slow(part):
    print(*part, flush=True)
    if part == [3]:
        time.sleep(60)
    return test_runs.square(part)
with test_runs.open_run(Path({out!r})) as run:
    run.work(test_runs.UNITS, slow)
"""


def test_a_run_killed_with_9_and_run_again_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    expected = contents(whole_run(tmp_path / "whole"))
    script = KILLED.format(here=str(Path(__file__).parent), out=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != b"3":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    path = tmp_path / "steer" / "org--model"
    assert list(RunFolder(path).records) == ["strip-0", "strip-1", "strip-2"]
    with pytest.raises(RunError, match="not finished"):
        _ = RunFolder(path).summary
    assert contents(whole_run(tmp_path)) == expected


def test_changed_settings_are_refused_and_told(tmp_path: Path) -> None:
    before = contents(whole_run(tmp_path))
    with pytest.raises(RunError, match=r'k 12 -> 16, prompt "What\?" -> null, extra null -> 1'):
        open_run(tmp_path, {"k": 16, "seed": 3, "extra": 1})
    assert contents(tmp_path / "steer" / "org--model") == before


@pytest.mark.parametrize("package", ["gazeheads", "torch", "transformers"])
def test_other_software_is_refused_by_name_and_fresh_starts_over(
    tmp_path: Path, package: str
) -> None:
    software = {"gazeheads": "1", "torch": "2", "transformers": "5", "numpy": "2", "python": "3.11"}
    with open_run(tmp_path, versions=software) as run:
        run.work(UNITS[:2], square)
    before = contents(run.path)
    with pytest.raises(RunError, match=rf'other software \({package} "\d" -> "9"\).*--fresh'):
        open_run(tmp_path, versions={**software, package: "9"})
    assert contents(run.path) == before
    # what cannot change a record is no part of a run
    open_run(tmp_path, versions={**software, "numpy": "3", "python": "3.12"}).close()
    open_run(tmp_path, versions={**software, package: "9"}, fresh=True).close()
    assert RunFolder(run.path).versions[package] == "9"


def test_fresh_forgets_the_earlier_run_only(tmp_path: Path) -> None:
    path = whole_run(tmp_path)
    (path / "mine.txt").write_text("keep")
    with open_run(tmp_path, {"k": 16}, fresh=True) as run:
        assert run.records == {} and run.settings == {"k": 16}
    assert sorted(contents(path)) == ["mine.txt", "records.jsonl", "settings.json"]


def test_records_without_settings_are_refused(tmp_path: Path) -> None:
    path = whole_run(tmp_path)
    (path / "settings.json").unlink()
    with pytest.raises(RunError, match="--fresh"):
        open_run(tmp_path)


def test_only_one_process_may_write(tmp_path: Path) -> None:
    with open_run(tmp_path), pytest.raises(RunError, match="another process"):
        open_run(tmp_path)
    open_run(tmp_path).close()


def test_a_run_opened_for_reading_takes_no_records(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="reading only"):
        RunFolder(whole_run(tmp_path)).append("more", {})


def test_units_have_names_of_their_own(tmp_path: Path) -> None:
    with open_run(tmp_path) as run:
        with pytest.raises(RunError, match="'a'"):
            run.work([("a", 1), ("b", 2), ("a", 3)], square)
        run.append("a", {})
        with pytest.raises(RunError, match="there already"):
            run.append("a", {})


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match="cannot write"):
        check_writable(file / "runs")
    with pytest.raises(RunError, match="cannot write"):
        open_run(file)
    assert list(tmp_path.iterdir()) == [file]


def test_runs_are_found_below_a_folder(tmp_path: Path) -> None:
    path = whole_run(tmp_path)
    assert [run.path for run in find_runs([tmp_path, path])] == [path]
    with pytest.raises(RunError, match="no folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(RunError, match="no runs"):
        find_runs([_empty(tmp_path)])


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def test_damaged_settings_are_an_error(tmp_path: Path) -> None:
    path = whole_run(tmp_path)
    data = json.loads((path / "settings.json").read_text())
    del data["settings"]
    (path / "settings.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match="damaged"):
        open_run(tmp_path)
