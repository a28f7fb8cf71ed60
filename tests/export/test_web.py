"""What an export leaves, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores

from .conftest import scores_of

pytest.importorskip("onnxruntime", reason="needs pip install 'gazeheads[web]'")
pytest.importorskip("onnxscript", reason="needs pip install 'gazeheads[web]'")

if TYPE_CHECKING:
    from gazeheads.models import VLM


@pytest.mark.slow
def test_description_says_what_the_page_needs(exported: Path, gqa: VLM) -> None:
    told = json.loads((exported / "model" / "model.json").read_text())
    names = {"decoder.onnx", "tokenizer.json", "tokenizer_config.json", "vision.onnx"}
    assert {file["name"] for file in told["files"]} == names
    for file in told["files"]:
        data = (exported / "model" / file["name"]).read_bytes()
        assert len(data) == file["bytes"]
        assert hashlib.sha256(data).hexdigest().startswith(file["hash"])
    assert len(told["info"]["ranking"]) == gqa.num_layers * gqa.num_heads
    assert told["prompt"]["stops"] == sorted(gqa.stops)
    assert len(told["checked"]) == 4
    assert all(each["equal"] == each["tokens"] == 30 for each in told["checked"])
    assert max(each["difference"] for each in told["checked"]) < 1e-3


@pytest.mark.slow
def test_finite_deltas_and_attention_are_the_models(
    exported: Path, gqa: VLM, scores: HeadScores, strips: tuple[Any, ...]
) -> None:
    from gazeheads.export.check import reference
    from gazeheads.export.prompt import prepare
    from gazeheads.export.runner import Runner
    from gazeheads.steering import Steering

    runner = Runner(exported / "model" / "vision.onnx", exported / "model" / "decoder.onnx")
    heads = scores.top(6)
    for strip in strips:
        encoded, ready = prepare(gqa, strip.image, "what happens?")
        steering = Steering(heads, strip.regions[1], delta=3.0)
        acting = steering.on(encoded.tokens, (gqa.num_layers, gqa.num_heads), len(encoded))
        found = runner.generate(ready, 8, acting)
        wanted = reference(gqa, encoded, steering, 8)
        assert found.tokens == wanted.tokens
        np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-3)


def test_a_folder_of_something_else_stays_as_it_is(
    gqa: VLM, scores: HeadScores, tmp_path: Path
) -> None:
    from gazeheads.export.web import WebSettings, export_web

    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(GazeheadsError, match="no empty folder"):
        export_web(gqa, scores, tmp_path, WebSettings(k=4), [])
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_scores_of_another_model_are_refused(gqa: VLM, tmp_path: Path) -> None:
    from gazeheads.export.web import WebSettings, export_web

    foreign = HeadScores(np.zeros((2, 2)), np.zeros((2, 2, 3, 3)), "gaze", {"model": "other"})
    with pytest.raises(GazeheadsError, match=r"other with 2 x 2 heads; tiny-random has 4 x 4"):
        export_web(gqa, foreign, tmp_path / "out", WebSettings(k=2), [])
    assert not (tmp_path / "out").exists()


def test_scores_of_other_weights_are_refused(gqa: VLM, scores: HeadScores, tmp_path: Path) -> None:
    from gazeheads.export.web import WebSettings, export_web

    with pytest.raises(GazeheadsError, match="v1-0"):
        export_web(gqa, scores.forced("mine", "v1-0"), tmp_path / "out", WebSettings(k=2), [])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "int3"], "unknown weights 'int3'"),
        (["--dtype", "bfloat16"], "unknown dtype 'bfloat16'"),
        (["--dtype", "float16"], "--dtype float16 needs --heads"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from gazeheads.cli.main import main

    line = ["gazeheads", "export", "web", "-o", str(tmp_path / "out"), *words]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_token_that_differs_fails() -> None:
    from gazeheads.export.check import Comparison, insist
    from gazeheads.export.errors import ExportError

    same = Comparison("plain", 30, 30, 1e-5)
    insist([same], 1e-3)
    with pytest.raises(ExportError, match="token 8 of 30 differs"):
        insist([same, Comparison("steered", 7, 30, 1e-4, preference=0.2)], 1e-3)
    insist([Comparison("steered", 7, 30, 1e-4, preference=0.2)], 1e-3, tie=0.3)
    with pytest.raises(ExportError, match="logits differ by"):
        insist([Comparison("plain", 30, 30, 0.5)], 1e-3)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    from gazeheads.files import appearing

    def write(text: str) -> None:
        with appearing(tmp_path / "out") as folder:
            (folder / "file").write_text(text)
            if text == "bad":
                raise ValueError

    with pytest.raises(ValueError):
        write("bad")
    assert list(tmp_path.iterdir()) == []
    write("good")
    with pytest.raises(ValueError):
        write("bad")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_text() == "good"


@pytest.mark.slow
def test_page_and_comic_tiny_are_a_small_download(tmp_path: Path) -> None:
    import gzip

    import gazeheads
    from gazeheads.export.web import WebSettings, export_web
    from gazeheads.live.page import page_for

    vlm = gazeheads.load("comic-tiny")
    export_web(vlm, scores_of(vlm), tmp_path / "out", WebSettings(k=16), [])
    page = {path: data for path, data in page_for("wasm").items() if path.startswith("assets/")}
    files = [*page.values(), *(path.read_bytes() for path in (tmp_path / "out/model").iterdir())]
    assert any(path.endswith(".wasm") for path in page)
    assert sum(len(gzip.compress(data, 6)) for data in files) <= 12_000_000
