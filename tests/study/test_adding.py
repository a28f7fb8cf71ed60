"""The example of docs/experiments.md: an experiment is one module, its section another."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import write_strips
from gazeheads.heads import HeadScores

DOCS = Path(__file__).parents[2] / "docs" / "experiments.md"
# the two modules are found as if they lay in the package: nothing else is told of them
MAIN = """
import sys
import gazeheads.study.experiments, gazeheads.study.report
gazeheads.study.experiments.__path__.append(sys.argv[1] + "/experiments")
gazeheads.study.report.__path__.append(sys.argv[1] + "/report")
del sys.argv[1]
from gazeheads.cli.main import main
main()
"""


@pytest.fixture
def added(tmp_path: Path) -> Path:
    """The modules of the example, as files."""
    part = DOCS.read_text().split("## Adding an experiment")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    names = re.findall(r"`study/(experiments|report)/(\w+\.py)`", part)
    assert len(blocks) == len(names) == 2
    for block, (folder, name) in zip(blocks, names, strict=True):
        path = tmp_path / "added" / folder / name
        path.parent.mkdir(parents=True)
        path.write_text(block)
    return tmp_path / "added"


def call(added: Path, *words: object) -> str:
    line = [sys.executable, "-c", MAIN, str(added), *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_the_docs_is_a_whole_experiment(
    command: Command, added: Path, model: str, tmp_path: Path
) -> None:
    import numpy as np

    assert command("answer-length", "--help")[0] == 2  # there is none without the module
    told = call(added, "answer-length", "--help")
    assert "Count the words of answers" in told
    assert "--prompt" in told and "--shard" in told and "--fresh" in told
    strips = write_strips(tmp_path / "strips", draw_strips(2, 9, 2, size=32))
    table = np.linspace(0.5, 0, 16).reshape(4, 4)
    heads = HeadScores(table, provenance={"model": "tiny-random"}).save(tmp_path / "s.json")
    words = (
        "answer-length", "--model", model, "--strips", strips, "--heads", heads, "--k", 2,
    )  # fmt: skip
    for shard in ("1/2", "2/2"):
        call(added, *words, "--shard", shard, "--out", tmp_path / "parts")
    assert "How long answers are" in call(
        added, "merge", tmp_path / "parts", "--out", tmp_path / "merged"
    )
    out = call(added, *words, "--out", tmp_path / "whole")
    assert re.search(r"unsteered +\d+\.\d\n", out) and re.search(r"steered +\d+\.\d\n", out)
    folders = [tmp_path / name / "answer-length" / "tiny-random" for name in ("merged", "whole")]
    for name in ("settings.json", "records.jsonl", "summary.json"):
        merged, whole = ((folder / name).read_bytes() for folder in folders)
        assert merged == whole
    record = json.loads((folders[1] / "records.jsonl").read_text().splitlines()[0])
    assert len(record["steered"]) == 2
    call(added, "report", tmp_path / "whole", "--out", tmp_path / "report.html")
    assert 'id="length"' in (tmp_path / "report.html").read_text()
