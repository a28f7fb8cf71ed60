"""The model that ships for the browser is the comic-tiny that ships."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import gazeheads
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadSet

SHIPPED = Path(gazeheads.__file__).parent / "live/static/model"
DESCRIPTION = "model.json"


def test_the_shipped_files_are_those_described_as_the_page_insists() -> None:
    described = {
        file["name"]: file for file in json.loads((SHIPPED / DESCRIPTION).read_text())["files"]
    }
    assert {path.name for path in SHIPPED.iterdir()} == {*described, DESCRIPTION}
    for name, file in described.items():
        data = (SHIPPED / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        assert (len(data), digest[:16]) == (file["bytes"], file["hash"])


@pytest.mark.slow
def test_the_browsers_comic_tiny_writes_what_comic_tiny_writes() -> None:
    pytest.importorskip("onnxruntime", reason="needs pip install 'gazeheads[web]'")
    from gazeheads.export.check import compare
    from gazeheads.export.runner import Runner

    vlm = gazeheads.load("comic-tiny")
    runner = Runner(SHIPPED / "vision.onnx", SHIPPED / "decoder.onnx")
    heads = HeadSet.of([(3, head) for head in range(16)])
    for each in compare(vlm, runner, heads, draw_strips(1, 78)):
        assert each.equal == each.tokens, each
        assert each.difference < 0.5, each


def test_nothing_shipped_names_the_machine_it_was_made_on() -> None:
    for path in SHIPPED.iterdir():
        data = path.read_bytes()
        assert b"stack_trace" not in data and b'.py", line' not in data, path.name
