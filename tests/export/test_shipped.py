"""The model that ships for the browser is the comic-tiny that ships."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import gazeheads
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.live.page import CHECKPOINT, MODEL, STATIC
from gazeheads.live.shipped import keep_rest, whole_model

SHIPPED = STATIC / MODEL
DESCRIPTION = "model.json"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """What browsers are given of the model."""
    return whole_model(SHIPPED, CHECKPOINT)


def test_the_shipped_files_are_those_described_as_the_page_insists(files: dict[str, bytes]) -> None:
    described = {file["name"]: file for file in json.loads(files[DESCRIPTION])["files"]}
    assert set(files) == {*described, DESCRIPTION}
    for name, file in described.items():
        digest = hashlib.sha256(files[name]).hexdigest()
        assert (len(files[name]), digest[:16]) == (file["bytes"], file["hash"])


def test_no_matrix_ships_twice() -> None:
    """What is kept of the graphs is no more than what the checkpoint does not have."""
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1_500_000


def test_a_kept_export_comes_back_byte_for_byte(files: dict[str, bytes], tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    for name, data in files.items():
        (export / name).write_bytes(data)
    keep_rest(export, tmp_path / "kept", CHECKPOINT)
    assert whole_model(tmp_path / "kept", CHECKPOINT) == files
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    assert kept == {path.name: path.read_bytes() for path in SHIPPED.iterdir()}


@pytest.mark.parametrize("what", ["another checkpoint", "a damaged rest", "a lost rest"])
def test_no_file_is_given_away_that_is_not_the_exported_one(what: str, tmp_path: Path) -> None:
    folder, checkpoint = tmp_path / "model", CHECKPOINT
    shutil.copytree(SHIPPED, folder)
    rest = folder / "vision.onnx.rest"
    if what == "another checkpoint":
        tensors = dict(load_file(CHECKPOINT))
        name = next(name for name, own in tensors.items() if own.ndim == 2 and own.any())
        tensors[name] = np.ascontiguousarray(-tensors[name])
        checkpoint = tmp_path / "model.safetensors"
        save_file(tensors, checkpoint)
    elif what == "a damaged rest":
        rest.write_bytes(rest.read_bytes()[:-1] + b"?")
    else:
        rest.unlink()
    with pytest.raises(GazeheadsError, match="reinstall"):
        whole_model(folder, checkpoint)


def test_an_export_of_other_weights_is_not_kept(files: dict[str, bytes], tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    for name, data in files.items():
        (export / name).write_bytes(data)
    tensors = {name: -own for name, own in load_file(CHECKPOINT).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(GazeheadsError, match="not the one in"):
        keep_rest(export, tmp_path / "kept", tmp_path / "model.safetensors")
    assert not (tmp_path / "kept").exists()


@pytest.mark.slow
def test_the_browsers_comic_tiny_writes_what_comic_tiny_writes(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="needs pip install 'gazeheads[web]'")
    from gazeheads.export.check import compare
    from gazeheads.export.runner import Runner

    vlm = gazeheads.load("comic-tiny")
    for name in ("vision.onnx", "decoder.onnx"):
        (tmp_path / name).write_bytes(files[name])
    runner = Runner(tmp_path / "vision.onnx", tmp_path / "decoder.onnx")
    heads = HeadSet.of([(3, head) for head in range(16)])
    for each in compare(vlm, runner, heads, draw_strips(1, 78)):
        assert each.equal == each.tokens, each
        assert each.difference < 0.5, each


def test_nothing_shipped_names_the_machine_it_was_made_on(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        assert b"stack_trace" not in data and b'.py", line' not in data, name
