"""What every family must do, on a tiny random model of each."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_families import BUILDERS, make_family

from gazeheads import VLM, GazeheadsError, HeadSet, Region, Steering
from gazeheads.attention.plan import plain_plan
from gazeheads.models import load

every = pytest.mark.parametrize("family", list(BUILDERS), indirect=True)


def heads_of(vlm: VLM) -> HeadSet:
    """A few heads, in the first, a middle and the last of the layers that have any."""
    layers = vlm.attention_layers
    return HeadSet.of([(layers[0], 1), (layers[len(layers) // 2], 3), (layers[-1], 0)])


LEFT = Region.from_box(0, 0, 75, 100, "left")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (5, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((150, 100), Image.Resampling.NEAREST)


@every
def test_an_empty_plan_is_the_plain_model(family: VLM, picture: Image.Image) -> None:
    plain, _ = make_family(family.name)
    soft_capped = getattr(family.text_config, "attn_logit_softcapping", None) is not None
    plain.set_attn_implementation({"text_config": "eager" if soft_capped else "sdpa"})
    inputs = family.encode(picture, "what?").inputs
    plan = plain_plan(1, inputs["input_ids"].shape[1])
    with torch.no_grad():
        expected = plain(**inputs).logits
        with family.state.running(plan):
            planned = family.model(**inputs).logits
        assert torch.equal(planned, family.model(**inputs).logits)
    if soft_capped:
        torch.testing.assert_close(planned, expected, atol=1e-4, rtol=0)
    else:
        assert torch.equal(planned, expected)


@every
def test_recorded_rows_are_the_eager_attention(family: VLM, picture: Image.Image) -> None:
    encoded = family.encode(picture, "what happens?")
    trace = family.watch(encoded, max_new_tokens=1)
    eager = copy.deepcopy(family.model)
    eager.set_attn_implementation({"text_config": "eager"})
    with torch.no_grad():
        layers = eager(**encoded.inputs, output_attentions=True).attentions
    layers = [layer for layer in layers if layer is not None]
    rows = np.concatenate([layer[0, :, -1].numpy() for layer in layers])
    assert trace.attention[0] == pytest.approx(rows[:, encoded.tokens.positions], abs=1e-5)
    assert trace.attention[0].sum() > 0.1


@every
def test_steered_heads_look_at_the_target_alone(family: VLM, picture: Image.Image) -> None:
    encoded = family.encode(picture, "what happens?")
    heads = heads_of(family)
    steering = Steering(heads, LEFT)
    trace = family.watch(encoded, heads=heads, steering=steering, max_new_tokens=3, ignore_eos=True)
    target = encoded.tokens.indices(LEFT)
    assert 0 < len(target) < len(encoded.tokens)
    assert trace.attention[..., target].sum(-1) == pytest.approx(1.0, abs=1e-5)


@every
def test_the_map_of_a_head_pinned_to_a_box_shows_that_box(
    family: VLM, picture: Image.Image
) -> None:
    encoded = family.encode(picture, "what happens?")
    right = Region.from_box(75, 0, 150, 100, "right")
    for box in (LEFT, right):
        steering = Steering(heads_of(family), box)
        trace = family.watch(
            encoded, heads=heads_of(family), steering=steering, max_new_tokens=2, ignore_eos=True
        )
        shown = trace.heatmap(value_weighted=False)
        assert shown.shape == (100, 150)
        # tokens whose centre lies in the box may stick out of it, by less than half of them
        own = shown[:, :75] if box is LEFT else shown[:, 75:]
        assert own.sum() > 0.7 * shown.sum() > 0
        shares = trace.by_panel([LEFT, right], value_weighted=False).values
        assert shares[:, 0 if box is LEFT else 1] == pytest.approx(1.0, abs=1e-5)


@every
def test_a_padded_batch_of_three_generates_like_each_alone(
    family: VLM, picture: Image.Image
) -> None:
    steering = Steering(heads_of(family), LEFT)
    rows = [
        (family.encode(picture, "what?"), None),
        (family.encode(picture.resize((200, 60)), "what happens in the panel?"), None),
        (family.encode(picture, "what happens in this comic strip?"), steering),
    ]
    together = family.generate(rows, max_new_tokens=4, ignore_eos=True)
    for row, done in zip(rows, together, strict=True):
        (alone,) = family.generate([row], max_new_tokens=4, ignore_eos=True)
        assert done.tokens == alone.tokens
    own = rows[0][0].inputs
    theirs = family.model.generate(**own, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert theirs[0, own["input_ids"].shape[1] :].tolist() == list(together[0].tokens)


@every
def test_rows_of_one_prompt_share_a_prefill(family: VLM, picture: Image.Image) -> None:
    encoded = family.encode(picture, "what?")
    late = Steering(HeadSet.of([(family.attention_layers[-1], 0)]), LEFT)
    rows = [(encoded, None), (encoded, late), (encoded, Steering(heads_of(family), LEFT))]
    traces = family.generate(rows, watch="all", max_new_tokens=3, ignore_eos=True)
    for row, done in zip(rows, traces, strict=True):
        (alone,) = family.generate([row], watch="all", max_new_tokens=3, ignore_eos=True)
        assert done.tokens == alone.tokens
        assert done.trace.attention == pytest.approx(alone.trace.attention, abs=1e-4)


@every
def test_scores_of_shared_prefixes_are_those_of_whole_prompts(
    family: VLM, picture: Image.Image
) -> None:
    prompts = ["what is in panel 1?", "what is in the second panel?"]
    regions = [LEFT, Region.from_box(75, 0, 150, 100)]
    together = family.score_regions(picture, prompts, regions)
    for prompt, scores in zip(prompts, together, strict=True):
        encoded = family.encode(picture, prompt)
        trace = family.watch(encoded, max_new_tokens=1)
        for number, region in enumerate(regions):
            mass = trace.attention[0][:, encoded.tokens.indices(region)].sum(-1)
            own = scores[list(family.attention_layers), ..., number]
            assert own.ravel() == pytest.approx(mass, abs=1e-4)
            assert scores[..., number].sum() == pytest.approx(own.sum())


@every
def test_many_prompts_encode_like_each_alone(family: VLM, picture: Image.Image) -> None:
    prompts = ["what?", "what happens in the panel?"]
    for prompt, many in zip(prompts, family.encode_many(picture, prompts), strict=True):
        alone = family.encode(picture, prompt)
        assert set(many.inputs) == set(alone.inputs)
        for name, tensor in alone.inputs.items():
            assert torch.equal(tensor, many.inputs[name]), name
        start = family.tokenizer.bos_token_id
        assert alone.ids.tolist().count(start) <= 1


@every
def test_two_images_in_one_prompt(family: VLM, picture: Image.Image) -> None:
    other = picture.resize((60, 140))
    encoded = family.encode([picture, other], "what?")
    assert encoded.tokens.sizes == ((150, 100), (60, 140))
    second = Region.from_box(0, 0, 60, 140).in_image(1)
    chosen = encoded.tokens.select(second)
    assert chosen.min() > encoded.tokens.select(LEFT).max()
    features = family.family.vision(family.model, encoded.inputs).pooler_output
    assert sum(part.shape[:-1].numel() for part in features) == len(encoded.tokens)
    with pytest.raises(GazeheadsError):
        family.encoder.adopt(encoded.inputs, [(150, 100)] * 3)


@every
def test_a_saved_model_loads_and_passes_the_check(family: VLM, tmp_path: Path) -> None:
    """The check tries geometry, recording and the plain model on one small image."""
    family.model.save_pretrained(tmp_path / "saved")
    family.processor.save_pretrained(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.family is family.family and loaded.attention_layers == family.attention_layers
