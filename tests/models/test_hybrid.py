"""Hybrid models: layers with softmax attention are steered, the others are named."""

from __future__ import annotations

import pytest
from PIL import Image

from gazeheads import GazeheadsError, HeadSet, Region, Steering, discover
from gazeheads.data.drawn.strips import draw_strips
from models.conftest import wrapped

PICTURE = Image.new("RGB", (150, 100), "red")
LEFT = Region.from_box(0, 0, 75, 100, "left")
LAYERS = {"qwen3_5": (1, 3), "minicpmv4_6": (1, 3), "lfm2_vl": (1, 2, 4), "lfm3_vl": (1, 2, 4)}


@pytest.mark.parametrize("name", list(LAYERS))
def test_the_layers_with_heads_are_named(name: str) -> None:
    vlm = wrapped(name)
    assert vlm.attention_layers == LAYERS[name] and vlm.num_layers > len(LAYERS[name])
    named = ", ".join(map(str, LAYERS[name]))
    assert f"attention in layers {named} only" in repr(vlm)
    encoded = vlm.encode(PICTURE, "what?")
    absent = HeadSet.of([(LAYERS[name][0], 0), (0, 1)])
    for use in (
        lambda: vlm.generate((encoded, Steering(absent, LEFT)), max_new_tokens=1),
        lambda: vlm.watch(encoded, heads=absent, max_new_tokens=1),
        lambda: vlm.steer(absent, LEFT),
    ):
        with pytest.raises(GazeheadsError, match=f"L0H1 does not exist.*heads are {named}$"):
            use()
    assert repr(wrapped("qwen3_vl")).endswith("3 layers x 4 heads)")


def test_found_and_random_heads_are_of_layers_that_have_some() -> None:
    vlm = wrapped("qwen3_5")
    scores = discover(vlm, draw_strips(2, seed=0))
    assert scores.shape == (4, 4) and len(scores) == 8
    ends = HeadSet.of([(1, 0), (3, 0)])
    drawn = (scores.random(6, exclude=ends), scores.random(2, pool="bottom"))
    for heads in (scores.all(), scores.top(3), *drawn):
        assert {head.layer for head in heads} <= {1, 3}
    with pytest.raises(GazeheadsError, match="the model has 8 heads"):
        scores.top(9)
    vlm.generate((vlm.encode(PICTURE, "what?"), Steering(scores.top(3), LEFT)), max_new_tokens=2)
