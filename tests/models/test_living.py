"""Which heads are alive is read from the weights, as they act."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.models import VLM, load
from gazeheads.models.living import living_heads

WIDTH = 16


def attention(model: Any, layer: int) -> Any:
    return model.model.language_model.layers[layer].self_attn


def silence(own: Any, head: int) -> None:
    own.o_proj.weight.data[:, WIDTH * head : WIDTH * (head + 1)] = 0


def test_comic_tiny_has_48_living_heads() -> None:
    alive = load("comic-tiny", device="cpu", check=False).living_heads()
    assert alive.shape == (10, 16) and alive.dtype == bool and alive.sum() == 48


@given(dead=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=16))
def test_heads_without_output_are_dead_and_no_others(gqa: VLM, dead: set[tuple[int, int]]) -> None:
    model = copy.deepcopy(gqa.model)
    for layer, head in dead:
        silence(attention(model, layer), head)
    expected = np.ones((4, 4), dtype=bool)
    for place in dead:
        expected[place] = False
    assert np.array_equal(living_heads(model, 4, 4), expected)


def test_all_heads_that_share_zero_values_are_dead(gqa: VLM) -> None:
    model = copy.deepcopy(gqa.model)
    attention(model, 2).v_proj.weight.data[WIDTH:] = 0  # the second of two kv heads
    assert living_heads(model, 4, 4)[2].tolist() == [True, True, False, False]
    assert living_heads(model, 4, 4).sum() == 14


def test_a_bias_keeps_values_alive(gqa: VLM) -> None:
    model = copy.deepcopy(gqa.model)
    values = attention(model, 0).v_proj
    values.weight.data.zero_()
    values.bias = torch.nn.Parameter(torch.zeros(2 * WIDTH))
    assert not living_heads(model, 4, 4)[0].any()
    values.bias.data[0] = 1
    assert living_heads(model, 4, 4)[0].tolist() == [True, True, False, False]


def test_a_dead_head_changes_nothing_and_a_living_one_does(gqa: VLM, strip: Any) -> None:
    from gazeheads.models import wrap

    model = copy.deepcopy(gqa.model)
    silence(attention(model, 1), 2)
    vlm = wrap(model, gqa.processor)
    encoded = vlm.encode(strip.image, "what happens?")

    def logits() -> torch.Tensor:
        with torch.no_grad():
            return model(**encoded.inputs).logits

    before = logits()
    for head, same in ((2, True), (3, False)):
        queries = attention(model, 1).q_proj.weight
        queries.data[WIDTH * head : WIDTH * (head + 1)] *= -3
        assert torch.equal(logits(), before) == same == (not vlm.living_heads()[1, head])


class Packed(torch.nn.Module):
    """A projection whose weight is no matrix of numbers, as of a quantised model."""

    def __init__(self, plain: torch.nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.scale = plain.weight.detach().abs().max() / 127
        packed = (plain.weight.detach() / self.scale).round().to(torch.int8)
        self.weight = torch.nn.Parameter(packed.reshape(-1), requires_grad=False)
        self.compute_dtype = torch.float32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.weight.reshape(self.out_features, self.in_features)
        return x @ (whole.to(x.dtype) * self.scale).T


def test_packed_weights_are_asked_instead_of_read(gqa: VLM) -> None:
    model = copy.deepcopy(gqa.model)
    own = attention(model, 1)
    silence(own, 1)
    own.v_proj.weight.data[WIDTH:] = 0
    own.o_proj, own.v_proj = Packed(own.o_proj), Packed(own.v_proj)
    assert living_heads(model, 4, 4)[1].tolist() == [True, False, False, False]


def test_an_adapter_can_bring_a_head_to_life(gqa: VLM) -> None:
    peft = pytest.importorskip("peft")
    model = copy.deepcopy(gqa.model)
    silence(attention(model, 1), 1)
    config = peft.LoraConfig(r=2, target_modules=r".*language_model.*\.o_proj")
    adapted = peft.get_peft_model(model, config).eval()
    assert not living_heads(adapted, 4, 4)[1, 1]  # a new adapter adds nothing
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    assert living_heads(adapted, 4, 4).all()


@pytest.mark.parametrize("family", ["llava", "molmo2", "gemma3", "qwen3_vl_moe"], indirect=True)
def test_random_models_of_other_families_are_all_alive(family: VLM) -> None:
    assert family.living_heads().all()
