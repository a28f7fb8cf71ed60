"""Phrases located by naming and by attention, against plain computations."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from eager_reference import bias_of
from PIL import Image

from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.locating.attending import QUESTION, attended, attention_maps_of
from gazeheads.locating.naming import answer_for, locate, locate_all
from gazeheads.models import VLM
from gazeheads.models.likelihood import answer_log_probs, answer_tokens, answers_log_probs
from gazeheads.steering import Steering

HEADS = HeadSet.of([(1, 0), (2, 3)])
PROMPT = "what is it?"


def test_a_cell_is_worth_what_is_said_when_the_heads_look_there(
    vlm: VLM, reference: Any, strip: Any
) -> None:
    found = locate(vlm, strip.image, "what is", HEADS, prompt=PROMPT)
    encoded = vlm.encode(strip.image, PROMPT)
    ids = answer_tokens(vlm, answer_for("what is"))
    assert found.cells.rows * found.cells.columns == len(encoded.tokens)
    for place, region in enumerate(found.cells.regions()):
        bias = bias_of(vlm, encoded, HEADS, region, "hard", math.inf, "both")
        logs = torch.log_softmax(reference.logits(encoded, list(ids), [bias]).float(), -1)
        total = sum(float(logs[len(encoded) - 1 + i, token]) for i, token in enumerate(ids))
        value = found.values.ravel()[place]
        assert math.log(value) == pytest.approx(total / len(ids), abs=2e-4)
    assert found.score == found.values.max() and found.unsteered not in found.values
    x, y = found.point
    assert found.box[0] < x < found.box[2] and found.box[1] < y < found.box[3]


def test_phrases_together_are_as_one_by_one(vlm: VLM, strip: Any) -> None:
    phrases = ["what", "panel", "what is"]
    together = locate_all(vlm, strip.image, phrases, HEADS, prompt=PROMPT, cells=3)
    for phrase, found in zip(phrases, together, strict=True):
        alone = locate(vlm, strip.image, phrase, HEADS, prompt=PROMPT, cells=3)
        assert found.values == pytest.approx(alone.values, rel=1e-3)
        assert found.phrase == phrase and found.box == alone.box


def test_answers_of_one_token_share_a_pass_and_are_as_one_by_one(vlm: VLM, strip: Any) -> None:
    encoded = vlm.encode(strip.image, PROMPT)
    places: list[Any] = [None, *(Steering(HEADS, region) for region in strip.regions)]
    answers = [(40,), (51, 62), (73,), (40,)]
    table = answers_log_probs(vlm, encoded, answers, places, batch_size=4)
    assert table.shape == (len(places), 4)
    for column, answer in enumerate(answers):
        single = answer_log_probs(vlm, encoded, answer, places)
        assert table[:, column] == pytest.approx(single, abs=1e-4)
    with pytest.raises(GazeheadsError, match="the answer is empty"):
        answers_log_probs(vlm, encoded, [(40,), ()], places)


def test_maps_are_the_eager_attention_of_the_question_that_names_the_phrase(
    vlm: VLM, strip: Any
) -> None:
    maps, cells = attention_maps_of(vlm, strip.image, "panel", HEADS)
    encoded = vlm.encode(strip.image, QUESTION.format(phrase="panel"))
    eager = copy.deepcopy(vlm.model)
    eager.set_attn_implementation({"text_config": "eager"})
    with torch.no_grad():
        layers = eager(**encoded.inputs, output_attentions=True).attentions
    for values, head in zip(maps, HEADS, strict=True):
        row = layers[head.layer][0, head.head, -1].numpy()[encoded.tokens.positions]
        assert values.ravel() == pytest.approx(row, abs=1e-5)
    found = attended(vlm, strip.image, "panel", HEADS)
    assert found.values == pytest.approx(maps.sum(0)) and found.likely is None
    assert found.cells == cells and found.unsteered is None


def test_words_that_cannot_be_said_are_refused(vlm: VLM, strip: Any) -> None:
    with pytest.raises(GazeheadsError, match="name a phrase to look for"):
        locate(vlm, strip.image, " ", HEADS)
    if vlm.tokenizer.unk_token_id is not None:
        with pytest.raises(GazeheadsError, match="has no token for 'Xylophone'"):
            locate(vlm, strip.image, "xylophone", HEADS)


def test_a_result_is_json(vlm: VLM) -> None:
    image = Image.fromarray(np.zeros((64, 96, 3), dtype=np.uint8))
    data = locate(vlm, image, "what", HEADS, cells=2).as_dict()
    assert (data["rows"], data["columns"]) == (2, 2) and np.shape(data["values"]) == (2, 2)
    assert data["likely"] is (data["score"] >= 0.5)
