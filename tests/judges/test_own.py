"""Judges and experiments of a user's own files."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from gazeheads import GazeheadsError
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.judges.own import own_judge
from gazeheads.own_code import module_of

FILE = """
from gazeheads.judges import Verdict

class Odd:
    name = "odd"
    def judge(self, strip, answers):
        return [Verdict(1 + len(a) % len(strip), "described") for a in answers]

class Short:
    def judge(self, strip, answers):
        return []

class Far:
    def judge(self, strip, answers):
        return [Verdict(99, "described") for _ in answers]

class Fails:
    def judge(self, strip, answers):
        raise KeyError("no\\nsuch")

class Label:
    name = "label"
    judge = Short.judge

class Wants:
    def __init__(self, what): ...
    judge = Short.judge

number = 3
ready = Odd()
def make(): return Odd()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("name", ["Odd", "ready", "make"])
def test_a_class_an_object_or_a_function(file: Path, name: str) -> None:
    judge = own_judge(f"{file}:{name}")
    (strip,) = draw_strips(1, 0)
    assert [v.panel for v in judge.judge(strip, ["", "ab", "abcdef"])] == [1, 3, 1]
    assert judge.name == "odd" and judge.about["judge"] == "own.py"
    again = pickle.loads(pickle.dumps(judge))  # as a worker elsewhere gets it
    assert (again.name, again.about) == (judge.name, judge.about)


def test_a_changed_file_is_another_judge(file: Path) -> None:
    before = own_judge(f"{file}:Odd").about
    file.write_text(FILE.replace("1 + len(a) % len(strip)", "2"))
    changed = own_judge(f"{file}:Odd")
    assert changed.about != before
    assert changed.judge(draw_strips(1, 0)[0], [""])[0].panel == 2  # not the code of before


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Short", "it gave 0 values"),
        ("Far", "panel 99"),
        ("Fails", "KeyError"),
        ("Label", "calls itself 'label'"),
        ("Wants", "cannot be made without arguments"),
        ("number", "no method judge"),
        ("absent", "defines no 'absent'"),
    ],
)
def test_what_is_no_judge_says_so_in_a_line(file: Path, name: str, told: str) -> None:
    (strip,) = draw_strips(1, 0)
    with pytest.raises(GazeheadsError, match=re.escape(told)) as error:
        own_judge(f"{file}:{name}").judge(strip, ["a dog"])
    assert "\n" not in str(error.value)


def test_a_run_is_judged_by_it(command: Command, model: str, file: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    about = ["--limit", "1", "--draws", "1", "--k", "2", "--model", model, "--out", runs]
    code, _, err = command("steer-vqa", *about, "--judge", f"{file}:Odd")
    assert code == 0, err
    (folder,) = (runs / "steer-vqa").iterdir()
    (record,) = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    for answer in record["answers"]:
        if answer["reason"] == "described":
            assert answer["panel"] == 1 + len(answer["text"]) % 6
    settings: dict[str, Any] = json.loads((folder / "settings.json").read_text())["settings"]
    assert settings["judge"] == "odd" and "code" in json.dumps(settings)
    code, _, err = command("steer-vqa", *about)
    assert code == 2 and "other settings" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--judge", "nobody"], "nor FILE.py:NAME"),
        (["--judge", "absent.py:X"], "no Python file absent.py"),
    ],
)
def test_a_wrong_name_is_one_line(
    command: Command, tmp_path: Path, words: list[str], told: str
) -> None:
    code, out, err = command("steer-vqa", "--out", tmp_path / "runs", *words)
    assert code == 2 and out == "" and told in err
    assert not (tmp_path / "runs").exists()


def test_a_file_that_fails_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise RuntimeError('not\\nyet')")
    with pytest.raises(GazeheadsError, match="fails when it is read: RuntimeError: not yet"):
        module_of(path)
    path.write_text("value = 1")
    assert module_of(path).value == 1
    assert module_of(path) is module_of(path)
