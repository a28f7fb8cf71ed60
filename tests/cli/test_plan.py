"""``--plan``: what a command takes, told before anything is loaded or written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Command


@pytest.fixture
def without_weights(model: str, tmp_path: Path) -> Path:
    """The folder of a model whose weights are not there."""
    folder = tmp_path / "bare"
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def test_a_plan_needs_no_weights_and_writes_nothing(
    command: Command, without_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    words = ("staircase", "--model", without_weights, "--limit", 7, "--out", out, "--plan")
    code, said, err = command(*words, "--card", "h100", "--json")
    assert code == 0, err
    found = json.loads(said)
    assert [each["experiment"] for each in found["experiments"]] == ["discover", "staircase"]
    assert [each["units"] for each in found["experiments"]] == [7, 7]
    assert found["machine"]["memory"] == 80 << 30
    code, said, err = command(*words, "--card", "h100")
    assert code == 0 and "bare on h100: about" in said and "of 80 GiB: fits" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("staircase", "--plan", "--card", "abacus"), "no card 'abacus': choose from cpu, b200"),
        (("staircase", "--card", "h100"), "--card and --json are of --plan: name that too"),
        (("staircase", "--plan", "--model", "./nowhere"), "model folder not found: ./nowhere"),
        (("staircase", "--plan", "--k", 999, "--card", "h100"), "K = 999 does not exist"),
        (("staircase", "--plan", "--heads", "OTHER", "--card", "h100"), "9 layers x 4 heads"),
    ],
)
def test_a_wrong_plan_is_one_line(
    command: Command, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    import numpy as np

    from gazeheads.heads import HeadScores

    other = HeadScores(np.full((9, 4), 0.5)).save(tmp_path / "scores.json")
    code, out, err = command(*(other if word == "OTHER" else word for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


@pytest.mark.parametrize("heads", ["L1H0,L2H1", "random", "all"])
def test_heads_in_every_form_are_planned(command: Command, model: str, heads: str) -> None:
    """A plan reads `--heads` as the run does."""
    code, out, err = command(
        "steer-vqa", "--plan", "--json", "--model", model, "--limit", 1, "--heads", heads
    )
    assert code == 0, err
    assert "the heads are unknown" not in out
