"""The files of a run: typed, with a version, and those of 0.1 are read as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from scripted_model import ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.judges import LabelJudge
from gazeheads.study import schema
from gazeheads.study.experiment import registry
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.discover import load_scores
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.identity import versions
from gazeheads.study.rejudge import judged_runs, rejudge, strips_of
from gazeheads.study.report.page import write_report
from gazeheads.study.runs import RunError, RunFolder, RunOptions, find_runs

OLD = Path(__file__).parent / "data" / "runs-0.1"
"""Two strips each, written by gazeheads 0.1."""
EXPERIMENTS = ("discover", "staircase", "steer-dynamic", "steer-vqa")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def differing(stored: Any, told: Any, where: str = "") -> list[str]:
    """Where a summary tells otherwise than one of 0.1; it may tell more.

    An interval without any width is Wilson's now, which is wider.
    """
    if isinstance(stored, dict):
        ends = {"low", "high"} if stored.get("low") == stored.get("high", ...) else set()
        wider = all(told["low"] <= stored["low"] and told["high"] >= stored["high"] for _ in ends)
        own = [key for key in stored if key not in ends]
        inside = [
            each for key in own for each in differing(stored[key], told[key], f"{where}.{key}")
        ]
        return inside if wider else [*inside, f"{where}: interval"]
    if isinstance(stored, list) and len(stored) == len(told):
        parts = enumerate(zip(stored, told, strict=True))
        return [each for i, pair in parts for each in differing(*pair, f"{where}.{i}")]
    return [] if stored == told else [where]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_of_0_1_is_read_and_gives_its_own_summary(old: Path, name: str) -> None:
    run = RunFolder(old / name / "comic-tiny")
    assert (run.schema_version, run.experiment, len(run.records)) == (1, name, 2)
    assert run.versions["gazeheads"] == "0.1.0" and not run.derived
    told = json.loads(json.dumps(registry()[name].summarise(run)))
    assert differing(run.summary["results"], told) == []


def test_runs_of_0_1_are_reported_and_judged_again_and_left_as_they_are(
    old: Path, tmp_path: Path
) -> None:
    before = contents(old)
    runs = find_runs([old])
    page = write_report(runs, tmp_path / "report.html").read_text()
    for part in ("answers", "heads", "dynamic", "staircase"):
        assert f'id="{part}"' in page
    judged = judged_runs(runs)
    assert {run.experiment for run in judged} == {*EXPERIMENTS} - {"discover"}
    for run in judged:
        again = rejudge(run, LabelJudge(), tmp_path / "again", strips=strips_of(run))
        results = again.summary["results"]
        assert results.pop("agreement")["value"] == 1
        assert differing(run.summary["results"], results) == []
        assert again.schema_version == schema.SCHEMA_VERSION
    assert load_scores(old / "discover" / "comic-tiny").shape == (10, 16)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_of_0_1_does_not_go_on_but_starts_over(old: Path) -> None:
    there = RunFolder(old / "steer-vqa" / "comic-tiny")
    before = contents(old)

    def again(fresh: bool) -> None:
        options = RunOptions(old, fresh=fresh)
        RunFolder.open(options, "steer-vqa", "comic-tiny", there.settings, versions()).close()

    with pytest.raises(RunError, match=r"begun by gazeheads 0\.1\.0.*--out.*--fresh"):
        again(fresh=False)
    assert contents(old) == before
    again(fresh=True)
    assert RunFolder(there.path).schema_version == schema.SCHEMA_VERSION


def test_what_depends_on_no_software_goes_on_from_0_1(tmp_path: Path) -> None:
    path = tmp_path / "stories" / "m"
    path.mkdir(parents=True)
    begun = {"experiment": "stories", "model": "m", "settings": {}, "versions": {"torch": "1"}}
    (path / "settings.json").write_text(json.dumps({"kind": "run-settings", **begun}))
    (path / "records.jsonl").write_text('{"unit":"one","number":0,"title":"paid for"}\n')
    with RunFolder.open(RunOptions(tmp_path), "stories", "m", {}, versions(), ()) as run:
        run.append("two", {"number": 1, "title": "new"})
    assert [record["title"] for record in RunFolder(path).ordered()] == ["paid for", "new"]


def test_every_file_and_every_line_says_the_version(tmp_path: Path) -> None:
    strips = draw_strips(2, 3, 2, size=32)
    settings, options = SteerVqaSettings((2,)), RunOptions(tmp_path)
    run = steer_vqa.run(ScriptedVlm(strips, []), strips, scores(), settings, options)  # type: ignore[arg-type]
    texts = [(run.path / name).read_text() for name in ("settings.json", "summary.json")]
    lines = (run.path / "records.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for text in (*texts, *lines):
        assert json.loads(text)["schema_version"] == schema.SCHEMA_VERSION
    # a version is of a file, not of what is known about a strip
    assert "schema_version" not in next(iter(RunFolder(run.path).records.values()))


def change_line(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the second record of a run."""
    lines = (path / "records.jsonl").read_text().splitlines()
    record = json.loads(lines[1])
    change(record)
    lines[1] = json.dumps(record)
    (path / "records.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_record_that_lacks_anything_is_one_line_that_names_it(old: Path, name: str) -> None:
    path = old / name / "comic-tiny"
    whole = (path / "records.jsonl").read_bytes()
    record = json.loads(whole.splitlines()[1])
    for field in set(record) - {"unit", "number"}:
        change_line(path, lambda own, field=field: own.pop(field))  # type: ignore[misc]
        with pytest.raises(RunError, match=rf"records\.jsonl, line 2 is damaged: {field}") as told:
            RunFolder(path)
        assert "\n" not in str(told.value)
        (path / "records.jsonl").write_bytes(whole)
    change_line(path, lambda own: own.update(extra=1))
    with pytest.raises(RunError, match="line 2 is damaged: extra"):
        RunFolder(path)


def test_a_record_with_a_wrong_value_is_one_line_on_the_command_line(
    command: Command, old: Path, tmp_path: Path
) -> None:
    change_line(old / "steer-vqa" / "comic-tiny", lambda own: own["answers"][3].update(panel="two"))
    page = tmp_path / "report.html"
    for words in (("report", old, "--out", page), ("judge", old, "--judge", "label")):
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "records.jsonl, line 2 is damaged: answers.3.panel" in err
    assert not page.exists()


@pytest.mark.parametrize("file", ["settings.json", "summary.json", "records.jsonl"])
def test_files_of_a_later_version_are_not_guessed_at(old: Path, file: str) -> None:
    path = old / "steer-vqa" / "comic-tiny" / file
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "schema_version": 3}) + "\n" for line in lines))
    with pytest.raises(RunError, match=r"version 3 .* update gazeheads"):
        _ = RunFolder(path.parent).summary


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [
        ("settings.json", "versions", None),
        ("settings.json", "settings", [1]),
        ("settings.json", "shard", "2/1"),
        ("settings.json", "colour", "red"),
        ("summary.json", "results", None),
        ("summary.json", "units", "many"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_the_field(
    old: Path, file: str, field: str, value: object
) -> None:
    path = old / "steer-vqa" / "comic-tiny" / file
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, field: value}))
    with pytest.raises(RunError, match=field) as told:
        _ = RunFolder(path.parent).summary
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_are_read_back_as_they_were_set(old: Path, name: str) -> None:
    run, experiment = RunFolder(old / name / "comic-tiny"), registry()[name]
    settings = experiment.settings_of(run)
    assert isinstance(settings, experiment.settings)
    read = json.loads(json.dumps(asdict(settings)))
    default = {each.name: each.default for each in fields(experiment.settings)}
    stored = read.keys() & run.settings.keys()
    assert stored and {key: read[key] for key in stored} == {k: run.settings[k] for k in stored}
    # 0.1 knew no others: they are as if not given
    assert read.keys() - stored <= {"pool", "draws", "draw_strips", "own"}
    plain = {key: json.loads(json.dumps(default[key])) for key in read.keys() - stored}
    assert plain == {key: read[key] for key in plain}
    path = run.path / "settings.json"
    data = json.loads(path.read_text())
    data["settings"]["seed"] = "none"
    path.write_text(json.dumps(data))
    with pytest.raises(RunError, match=r"settings\.json is damaged: settings\.seed") as told:
        write_report([RunFolder(run.path)], old / "report.html")
    assert "\n" not in str(told.value)


def test_a_record_that_does_not_fit_is_never_written(tmp_path: Path) -> None:
    with RunFolder.open(RunOptions(tmp_path), "steer-vqa", "m", {}, {}) as run:
        with pytest.raises(RunError, match=r"record of 'a' is wrong: strip"):
            run.append("a", {"baseline": {}, "answers": []})
        assert (run.path / "records.jsonl").read_bytes() == b"" and run.records == {}
