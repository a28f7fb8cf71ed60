"""Run folders of models: never shared, and those of earlier versions are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.files import write_json
from gazeheads.study.runs import RunFolder, RunOptions, folder_of

NOWHERE = Path("/no/such/folder")
NAMES = st.text(st.sampled_from("ab-/.. ~猫"), min_size=1, max_size=7)


def begun(folder: Path, model: str) -> Path:
    about = {"experiment": "e", "model": model, "settings": {}, "versions": {}}
    write_json(folder / "settings.json", {"kind": "run-settings", **about})
    return folder


@given(NAMES, NAMES)
def test_two_models_never_share_a_folder_and_none_leaves_the_experiments(
    one: str, other: str
) -> None:
    paths = [folder_of(NOWHERE, "e", name) for name in (one, other)]
    assert (paths[0] == paths[1]) == (one == other)
    assert all(path.parent == NOWHERE / "e" and path.name not in (".", "..") for path in paths)


@pytest.mark.parametrize(
    ("model", "name"),
    [("comic-tiny", "comic-tiny"), ("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen--Qwen2.5-VL-7B-Instruct")],
)
def test_ids_of_the_hub_keep_their_folder(tmp_path: Path, model: str, name: str) -> None:
    assert folder_of(tmp_path, "e", model) == tmp_path / "e" / name


@pytest.mark.parametrize("model", ["a--b", "my model", "./models/x", "/home/me/M"])
def test_a_folder_of_an_earlier_version_is_found(tmp_path: Path, model: str) -> None:
    new = folder_of(tmp_path, "e", model)
    old = begun(tmp_path / "e" / model.replace("/", "--"), model)
    assert new != old
    assert folder_of(tmp_path, "e", model) == old


def test_a_folder_of_shards_of_an_earlier_version_is_found(tmp_path: Path) -> None:
    begun(tmp_path / "e" / "a--b" / "shard-1-of-2", "a--b")
    assert folder_of(tmp_path, "e", "a--b") == tmp_path / "e" / "a--b"
    assert folder_of(tmp_path, "e", "a/b") != tmp_path / "e" / "a--b"


def test_a_folder_that_another_model_has_taken_is_left_to_it(tmp_path: Path) -> None:
    # as on a file system that does not tell "A" from "a"
    begun(tmp_path / "e" / "M", "m")
    assert folder_of(tmp_path, "e", "M").name.startswith("M~")


@pytest.mark.parametrize("model", ["a--b", "猫", "..", "x" * 300, "a\0b"])
def test_a_run_of_any_name_is_gone_on_with(tmp_path: Path, model: str) -> None:
    for done in (0, 1):
        with RunFolder.open(RunOptions(tmp_path), "e", model, {"k": 1}, {}) as run:
            assert len(run.records) == done and run.path.parent == tmp_path / "e"
            run.work([("u", 1)], lambda part: [{"x": 1}])
