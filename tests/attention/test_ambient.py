"""Steering around transformers' own generate."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from eager_reference import bias_of, tokens_of

from gazeheads import GazeheadsError, HeadSet, Schedule

PROMPTS = ["what happens in this panel?", "what is it?", "in the strip of this comic: what?"]
HEADS = HeadSet.of([(1, 0), (1, 3), (2, 2), (3, 1)])
STEPS = 7


def test_plain_generate_inside_steer_with_options(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    region = strip.panel(2)
    bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
    expected = reference.generate(encoded, STEPS, [bias], vlm.stops)
    with vlm.steer(HEADS, region):
        greedy = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=False)
        beams = vlm.model.generate(
            **encoded.inputs, max_new_tokens=STEPS, num_beams=3, do_sample=False
        )
        torch.manual_seed(0)
        sampled = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=True)
        asked = vlm.ask(strip.image, PROMPTS[0], max_new_tokens=STEPS)
    assert greedy[0, len(encoded) :].tolist() == expected
    assert asked == vlm.tokenizer.decode(expected, skip_special_tokens=True)
    torch.manual_seed(0)
    free = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=True)
    assert sampled.tolist() != free.tolist()
    assert beams.shape[0] == 1
    # a beam's score is that of its tokens under steering
    best = beams[0, len(encoded) :].tolist()
    logits = reference.logits(encoded, best[:-1], [bias])[len(encoded) - 1 :]
    beam_score = logits.log_softmax(-1)[range(len(best)), best].sum()
    greedy_logits = reference.logits(encoded, expected[:-1], [bias])[len(encoded) - 1 :]
    greedy_score = greedy_logits.log_softmax(-1)[range(len(expected)), expected].sum()
    assert beam_score / len(best) >= greedy_score / len(expected) - 1e-3
    assert free.tolist() != [] and vlm.model.generate(
        **encoded.inputs, max_new_tokens=STEPS, do_sample=False
    )[0, len(encoded) :].tolist() == reference.generate(encoded, STEPS, [], vlm.stops)


def test_existing_code_gains_steering_in_two_lines(vlm, reference, strip):
    made_elsewhere = vlm.processor(
        text=[vlm.encoder._text([{"role": "user", "content": [{"type": "image"}]}])],
        images=[strip.image],
        return_tensors="pt",
    )
    with vlm.steer(HEADS, strip.panel(2), inputs=made_elsewhere, image=strip.image):
        out = vlm.model.generate(**made_elsewhere, max_new_tokens=STEPS, do_sample=False)
    encoded = vlm.encoder.adopt(made_elsewhere, [strip.image.size])
    bias = bias_of(vlm, encoded, HEADS, strip.panel(2), "hard", math.inf, "both")
    expected = reference.generate(encoded, STEPS, [bias], vlm.stops)
    assert out[0, len(encoded) :].tolist() == expected


def test_left_padded_plain_generate_inside_steer(vlm, strip):
    encoded = vlm.encode_many(strip.image, PROMPTS[:2])
    texts = [
        vlm.encoder._text(
            [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": p}]}]
        )
        for p in PROMPTS[:2]
    ]
    padded = vlm.processor(
        text=texts, images=[strip.image] * 2, return_tensors="pt", padding=True, padding_side="left"
    )
    with vlm.steer(HEADS, strip.panel(3)):
        out = vlm.model.generate(**padded, max_new_tokens=STEPS, do_sample=False)
        alone = vlm.generate(encoded, max_new_tokens=STEPS)
    for row, generation in zip(out, alone, strict=True):
        new = row[padded["input_ids"].shape[1] :].tolist()[: len(generation.tokens)]
        assert new == list(generation.tokens)


def test_nested_steering_adds_up(vlm, reference, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    one, two = HEADS.top(2), HeadSet.of([(2, 2), (3, 1)])
    with vlm.steer(one, strip.panel(1)), vlm.steer(two, strip.panel(3)):
        ours = vlm.generate(encoded, max_new_tokens=STEPS)[0]
        theirs = vlm.model.generate(**encoded.inputs, max_new_tokens=STEPS, do_sample=False)[0]
    biases = [
        bias_of(vlm, encoded, heads, strip.panel(k), "hard", math.inf, "both")
        for heads, k in ((one, 1), (two, 3))
    ]
    expected = reference.generate(encoded, STEPS, biases, vlm.stops)
    assert tokens_of(ours) == expected == theirs[len(encoded) :].tolist()
    assert ours.steered_to[0] == "panel 1+panel 3"


def test_steering_inputs_of_unknown_geometry_is_refused(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    inputs = dict(encoded.inputs)
    inputs["input_ids"] = inputs["input_ids"].clone()
    inputs["input_ids"][0, -1] += 1
    with (
        vlm.steer(HEADS, strip.panel(1)),
        pytest.raises(GazeheadsError, match="unknown geometry"),
    ):
        vlm.model.generate(**inputs, max_new_tokens=2)
    with pytest.raises(GazeheadsError, match="image="):
        vlm.steer(HEADS, strip.panel(1), inputs=inputs)


def test_assisted_decoding_writes_the_steered_text(vlm, strip):
    """Several new tokens a pass, some of them taken back: each is steered as its place says."""
    encoded = vlm.encode(strip.image, PROMPTS[0])
    draft = copy.deepcopy(vlm.model)
    schedule = Schedule(((0, strip.panel(1)), (3, strip.panel(3)), (9, None)))
    options = {"max_new_tokens": 20, "min_new_tokens": 20, "do_sample": False}
    with vlm.steer(HEADS, schedule):
        alone = vlm.model.generate(**encoded.inputs, **options)
        assisted = vlm.model.generate(**encoded.inputs, **options, assistant_model=draft)
    plain = vlm.model.generate(**encoded.inputs, **options)
    assert assisted.tolist() == alone.tolist() != plain.tolist()


def test_an_answer_read_with_its_prompt_is_steered_as_it_would_be_written(vlm, strip):
    encoded = vlm.encode(strip.image, PROMPTS[0])
    schedule = Schedule(((0, strip.panel(1)), (2, strip.panel(3))))
    with vlm.steer(HEADS, schedule):
        written = vlm.model.generate(
            **encoded.inputs, max_new_tokens=STEPS, min_new_tokens=STEPS, do_sample=False,
            output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
    ids = written.sequences[:, :-1]
    inputs = dict(encoded.inputs)
    kinds = inputs["mm_token_type_ids"]
    added = ids.shape[1] - len(encoded)
    inputs |= {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": torch.nn.functional.pad(kinds, (0, added)),
    }
    with vlm.steer(HEADS, schedule), torch.no_grad():
        read = vlm.model(**inputs).logits[0, len(encoded) - 1 :]
    torch.testing.assert_close(read, torch.cat(written.logits), atol=1e-4, rtol=0)
