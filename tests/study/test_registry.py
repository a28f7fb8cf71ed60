"""The registry of experiments: what every spec promises, and what it refuses."""

from __future__ import annotations

import ast
import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from conftest import Command as CommandLine

import gazeheads.study
from gazeheads.study import schema
from gazeheads.study.experiment import (
    NoOptions,
    commands,
    experiment_named,
    register,
    registry,
    settable,
)
from gazeheads.study.runs import RunError

NAMES = {
    "causal-heads", "coco", "discover", "discover-layouts", "dose", "grounding",
    "head-sets", "mass-origin", "prior-heads",
    "reading-directions",
    "reading-order", "staircase", "staircase-reverse", "steer-dynamic", "steer-narration",
    "steer-vqa", "sweep-delta", "sweep-k", "sweep-panels", "sweep-pools", "sweep-prompts",
    "small-regions", "text-heads",
}  # fmt: skip
STUDY = Path(gazeheads.study.__file__).parent


def test_every_experiment_is_known_by_its_name() -> None:
    assert set(registry()) == NAMES
    for name, experiment in registry().items():
        assert experiment is experiment_named(name) and experiment.name == name
        assert is_dataclass(experiment.settings) and experiment.title
        assert schema.record_type(name) is experiment.record
        assert issubclass(experiment.record, schema.Record)
        assert experiment.record.model_fields.keys() > {"unit", "number"}


def test_names_that_are_taken_or_unknown_are_refused() -> None:
    with pytest.raises(RunError, match="two experiments called 'discover'"):
        register(experiment_named("discover"))
    with pytest.raises(RunError, match="no experiment 'gaze': there are causal-heads, coco,"):
        experiment_named("gaze")
    assert schema.record_type("gaze") is schema.AnyRecord


def test_commands_come_once_each_in_their_order_with_their_defaults() -> None:
    found = [command.name for command in commands()]
    assert found == [
        "steer-vqa", "steer-narration", "sweeps", "dose", "head-sets", "mass-origin",
        "steer-dynamic", "staircase", "discover-layouts", "reading-order", "coco",
        "small-regions", "grounding",
    ]  # fmt: skip
    for command in commands():
        command.options()  # every option has a default
        for options in (*command.full, *command.quick):
            assert isinstance(options, command.options)
        assert set(settable(command.options)) <= {f.name for f in fields(command.options)}
    assert settable(NoOptions) == {}


@pytest.mark.parametrize("name", [command.name for command in commands()])
def test_every_option_of_a_spec_is_one_of_its_command(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (own,) = (each for each in commands() if each.name == name)
    code, out, _ = command(name, "--help")
    assert code == 0
    told = " ".join(out.split())
    for field, (_, about) in settable(own.options).items():
        shown = field if about.argument else about.name or f"--{field.replace('_', '-')}"
        assert shown in told
        assert about.help.split(";")[0] in told
    hidden = {f.name for f in fields(own.options)} - set(settable(own.options))
    assert not [field for field in hidden if f"--{field}" in told]


def test_a_number_below_the_least_is_one_line(command: CommandLine, tmp_path: Path) -> None:
    for words in (("steer-dynamic", "--segment", 0), ("reading-order", "--orders", -1)):
        code, out, err = command(*words, "--out", tmp_path / "runs")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words[1] in err
    assert list(tmp_path.iterdir()) == []


def test_published_figures_can_be_written_down() -> None:
    for experiment in registry().values():
        json.dumps(dict(experiment.published))
    sweep = experiment_named("sweep-prompts").published["accuracy"]
    main = experiment_named("steer-vqa").published["accuracy"]
    assert next(iter(sweep.values())) == main["gaze"]


def test_no_experiment_knows_of_the_report_or_the_command_line() -> None:
    for path in STUDY.rglob("*.py"):
        if STUDY / "report" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith(("gazeheads.study.report", "gazeheads.cli"))
