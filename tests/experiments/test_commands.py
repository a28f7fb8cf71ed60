"""The commands of the experiments: options in common, refusals, and everything at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Command

from gazeheads.experiments.merging import RESULTS
from gazeheads.experiments.runs import find_runs
from gazeheads.strips.drawn import draw_strips
from gazeheads.strips.folders import write_strips

EXPERIMENTS = (
    "steer-vqa", "steer-narration", "sweeps", "head-sets", "steer-dynamic", "staircase",
    "reading-order", "discover-layouts", "coco", "reproduce", "models",
)  # fmt: skip


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strips") / "drawn"
    return write_strips(folder, draw_strips(2, 9, 2, size=32))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_the_options_in_common(command: Command, name: str) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    for option in ("--model", "--strips", "--heads", "--k", "--limit", "--seed", "--shard"):
        assert option in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("steer-vqa", "--shard", "3/2"), "shard 3/2"),
        (("sweeps", "colour"), "choose from k, delta, prompts, pools, panels"),
        (("reading-order", "--strips", "STRIPS"), "draws strips of its own"),
        (("reproduce", "--shard", "1/2"), "cannot be split"),
        (("head-sets", "--heads", "STRIPS/captions.jsonl"), "captions.jsonl"),
        (("steer-vqa", "--k", "99", "--model", "MODEL"), "K = 99"),
        (("coco", "--coco", "STRIPS", "--k", "1", "--model", "MODEL", "--heads", "SCORES"), "val"),
        (("models", "MODEL", "MODEL"), "named twice"),
        (("merge", "OUT"), "no folder"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(
    command: Command,
    model: str,
    strips: Path,
    scores: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    told: str,
) -> None:
    out = tmp_path / "runs"
    names = {"STRIPS": str(strips), "MODEL": model, "OUT": str(out), "SCORES": str(scores)}
    for name, value in names.items():
        words = tuple(word.replace(name, value) for word in words)
    rest = () if words[0] == "merge" else ("--out", str(out))
    code, said, err = command(*words, *rest)
    assert (code, said) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("gazeheads: ") and told in last
    assert not out.exists()


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    from gazeheads.heads import HeadScores

    table = np.linspace(0.5, 0, 16).reshape(4, 4)
    provenance = {"model": "tiny-random"}
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    return HeadScores(table, provenance=provenance).save(path)


def test_two_shards_and_a_merge_equal_one_run(
    command: Command, model: str, strips: Path, scores: Path, tmp_path: Path
) -> None:
    words = (
        "steer-vqa", "--model", model, "--strips", strips, "--heads", scores, "--k", 2,
    )  # fmt: skip
    for shard in ("1/2", "2/2"):
        code, out, err = command(*words, "--shard", shard, "--out", tmp_path / "parts")
        assert code == 0, err
        assert f"Shard {shard}, to be merged" in out
    code, out, err = command("merge", tmp_path / "parts", "--out", tmp_path / "merged")
    assert code == 0, err
    assert "How often the answer follows" in out and "random heads (2)" in out
    assert command(*words, "--out", tmp_path / "whole")[0] == 0
    for name in ("records.jsonl", "summary.json"):
        merged, whole = (tmp_path / o / "steer-vqa/tiny-random" / name for o in ("merged", "whole"))
        assert merged.read_bytes() == whole.read_bytes()


def test_models_stand_side_by_side(
    command: Command, model: str, strips: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other-random"
    shutil.copytree(model, other)
    code, out, err = command(
        "models", model, other, "--strips", strips, "--limit", 1, "--k", 2, "--out", tmp_path / "r"
    )
    assert code == 0, err
    text = Path(out.strip().splitlines()[-1].removeprefix("Report: ")).read_text()
    assert "tiny-random, here" in text and "other-random, here" in text
    assert "LLaVA-1.5-13B, published" in text
    rows = (tmp_path / "r" / "models" / "models.csv").read_text().splitlines()
    assert len(rows) == 3 and rows[1].startswith('"tiny-random, here",2,12.5%')
    assert (tmp_path / "r" / "models" / "depth.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.slow
def test_everything_at_once_ends_with_one_report(command: Command, tmp_path: Path) -> None:
    words = ("reproduce", "--quick", "--limit", 1, "--out", tmp_path)
    code, out, err = command(*words)
    assert code == 0, err
    report = Path(out.strip().splitlines()[-1].removeprefix("Report: "))
    text = report.read_text()
    runs = {run.experiment: run for run in find_runs([tmp_path])}
    assert set(runs) == {*RESULTS, "reading-order"}
    for run in runs.values():
        # a summary follows from settings and records alone
        if run.experiment in RESULTS:
            told = json.loads(json.dumps(RESULTS[run.experiment](run)))
            assert told == run.summary["results"]
    for part in ("heads", "how-many", "delta", "head-sets", "dynamic", "reading-order", "objects"):
        assert f'id="{part}"' in text
    assert text.count("another and far larger model") >= 6
