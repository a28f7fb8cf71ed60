"""The model that ships for the browser is the comic-tiny that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

import gazeheads
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadSet

SHIPPED = Path(gazeheads.__file__).parent / "live/static/model"


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
