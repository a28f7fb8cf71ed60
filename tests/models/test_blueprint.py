"""A model's size from its config alone, against the model that was built."""

from __future__ import annotations

import pytest
from tiny_families import BUILDERS, make_family

from gazeheads.attention.install import decoder_blocks
from gazeheads.models import VLM
from gazeheads.models.blueprint import shape_of


@pytest.mark.parametrize("family", list(BUILDERS), indirect=True)
def test_a_config_tells_the_size_of_the_model(family: VLM) -> None:
    shape = shape_of(family.model.config)
    assert shape.parameters == sum(p.numel() for p in family.model.parameters())
    assert (shape.layers, shape.heads) == (family.num_layers, family.num_heads)
    assert shape.attention_layers == len(family.attention_layers)
    assert shape.vocabulary == family.model.get_output_embeddings().weight.shape[0]
    blocks = decoder_blocks(family.model).values()
    assert 0 < shape.layer <= max(sum(p.numel() for p in each.parameters()) for each in blocks)
    assert shape.vision > 0


def test_of_experts_only_those_chosen_work_on_a_token() -> None:

    mixed, _ = make_family("qwen3_vl_moe")
    shape = shape_of(mixed.config)
    block = next(iter(decoder_blocks(mixed).values()))
    text = mixed.config.get_text_config()
    experts = sum(p.numel() for n, p in block.named_parameters() if ".experts." in f".{n}")
    whole = sum(p.numel() for p in block.parameters())
    share = text.num_experts_per_tok / text.num_experts
    assert experts > 0 and share < 1
    assert shape.layer == pytest.approx(whole - experts * (1 - share))
