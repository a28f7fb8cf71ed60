"""Shards of several machines make the run that one machine would have made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from scripted_model import ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.merging import merge
from gazeheads.study.runs import RunError, RunFolder, RunOptions, Shard, find_runs


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(5, 51, 2, size=32)


def run(strips: list[Strip], out: Path, shard: str | None = None, k: int = 2) -> RunFolder:
    vlm, options = ScriptedVlm(strips, []), RunOptions(out, shard=Shard.parse(shard))
    return steer_vqa.run(vlm, strips, scores(), SteerVqaSettings((k,)), options)  # type: ignore[arg-type]


def test_merged_shards_equal_a_whole_run(strips: list[Strip], tmp_path: Path) -> None:
    whole = run(strips, tmp_path / "whole").path
    one, two = (run(strips, tmp_path / name, f"{name}/2") for name in ("1", "2"))
    assert len(one.records) == 3 and len(two.records) == 2
    (merged,) = merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    for name in ("records.jsonl", "summary.json", "settings.json"):
        assert (merged.path / name).read_bytes() == (whole / name).read_bytes()
    assert len(list((merged.path / "strips").iterdir())) == len(strips)
    # again: nothing changes, and shards below the merged folder do not disturb
    shutil.move(tmp_path / "1" / "steer-vqa" / "scripted" / "shard-1-of-2", merged.path)
    assert [each.path for each in find_runs([tmp_path / "merged"])] == [merged.path]


def test_what_cannot_be_merged_is_refused(strips: list[Strip], tmp_path: Path) -> None:
    run(strips, tmp_path / "1", "1/2")
    with pytest.raises(RunError, match="shards 2/2 are missing"):
        merge([tmp_path / "1"], tmp_path / "merged")
    with pytest.raises(RunError, match="gazeheads merge"):
        find_runs([tmp_path / "1"])
    run(strips, tmp_path / "2", "2/2", k=1)
    with pytest.raises(RunError, match=r"ks \[2\] -> \[1\]"):
        merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    run(strips, tmp_path / "3", "3/3")
    with pytest.raises(RunError, match="mixed"):
        merge([tmp_path / "1", tmp_path / "3"], tmp_path / "merged")
    shutil.copytree(tmp_path / "1", tmp_path / "copy")
    with pytest.raises(RunError, match="twice"):
        merge([tmp_path / "1", tmp_path / "copy"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_unfinished_shard_is_refused(strips: list[Strip], tmp_path: Path) -> None:
    run(strips, tmp_path / "1", "1/2")
    shard = run(strips, tmp_path / "2", "2/2")
    (shard.path / "summary.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        merge([tmp_path], tmp_path / "merged")


def test_versions_of_all_machines_are_told(strips: list[Strip], tmp_path: Path) -> None:
    run(strips, tmp_path / "1", "1/2")
    path = run(strips, tmp_path / "2", "2/2").path
    with_version(path, "numpy")
    (merged,) = merge([tmp_path], tmp_path / "merged")
    assert merged.versions["numpy"].endswith(" and 9.9")


def with_version(path: Path, package: str) -> None:
    """Says in a run's settings that it was begun with version 9.9 of a package."""
    data = json.loads((path / "settings.json").read_text())
    data["versions"][package] = "9.9"
    (path / "settings.json").write_text(json.dumps(data))


@pytest.mark.parametrize("package", ["gazeheads", "torch", "transformers"])
def test_shards_of_other_software_are_refused_by_name(
    strips: list[Strip], tmp_path: Path, package: str
) -> None:
    run(strips, tmp_path / "1", "1/2")
    with_version(run(strips, tmp_path / "2", "2/2").path, package)
    with pytest.raises(RunError, match=rf'other software \({package} .* -> "9.9"\)'):
        merge([tmp_path], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/2/3"])
def test_shards_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(RunError, match="shard"):
        Shard.parse(text)
