"""Asking about a part of a picture, and how likely answers are when the heads look there."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from eager_reference import bias_of
from PIL import Image

from gazeheads import prompts
from gazeheads.boxes import RegionError
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.models import UNSTEERED, VLM
from gazeheads.models.asking import NEVER_SAW, UnseenWarning, region_of, target_of
from gazeheads.models.likelihood import answer_log_probs, answer_tokens
from gazeheads.regions import Region
from gazeheads.steering import Schedule, Steering

HEADS = HeadSet.of([(1, 0), (2, 3)])
PROMPT = "what is it?"
ANSWER = (40, 51, 62, 73)


def by_hand(logits: torch.Tensor, prompt: int) -> float:
    logs = torch.log_softmax(logits.float(), -1)
    return float(sum(logs[prompt - 1 + i, token] for i, token in enumerate(ANSWER)))


@pytest.mark.parametrize("when", ["both", "prefill", "decode"])
def test_the_likelihood_is_that_of_a_plain_computation(
    vlm: VLM, reference: Any, strip: Any, when: Any
) -> None:
    encoded = vlm.encode(strip.image, PROMPT)
    steered = Steering(HEADS, strip.panel(2), when=when)
    found = answer_log_probs(vlm, encoded, ANSWER, [UNSTEERED, steered])
    bias = bias_of(vlm, encoded, HEADS, strip.panel(2), "hard", math.inf, when)
    for value, biases in zip(found, ([], [bias]), strict=True):
        logits = reference.logits(encoded, list(ANSWER), biases)
        assert value == pytest.approx(by_hand(logits, len(encoded)), abs=2e-4)
    assert found[0] != found[1]


def test_a_schedule_acts_token_by_token(gqa: VLM, strip: Any) -> None:
    encoded = gqa.encode(strip.image, PROMPT)
    schedule = Schedule(((0, strip.panel(1)), (2, strip.panel(3))))
    (whole,) = answer_log_probs(gqa, encoded, ANSWER, [Steering(HEADS, schedule)])
    by_step = gqa.generate([(encoded, Steering(HEADS, schedule))], max_new_tokens=4)[0].tokens
    # the likeliest tokens under a schedule are those that are written under it
    (best,) = answer_log_probs(gqa, encoded, by_step, [Steering(HEADS, schedule)])
    for place in range(len(by_step)):
        other = [*by_step]
        other[place] = 40 + (other[place] == 40)
        (worse,) = answer_log_probs(gqa, encoded, other[: place + 1], [Steering(HEADS, schedule)])
        (own,) = answer_log_probs(gqa, encoded, by_step[: place + 1], [Steering(HEADS, schedule)])
        assert own > worse
    assert best >= whole


def test_many_steerings_at_once_are_as_one_by_one(vlm: VLM, strip: Any) -> None:
    encoded = vlm.encode(strip.image, PROMPT)
    places: list[Any] = [None, *(Steering(HEADS, region) for region in strip.regions)]
    together = answer_log_probs(vlm, encoded, ANSWER, places)
    parts = answer_log_probs(vlm, encoded, ANSWER, places, batch_size=3)
    single = [answer_log_probs(vlm, encoded, ANSWER, [place])[0] for place in places]
    assert together == pytest.approx(single, abs=1e-4) and parts == pytest.approx(single, abs=1e-4)


def test_looking_nowhere_is_the_plain_model_to_the_bit(gqa: VLM, strip: Any) -> None:
    encoded = gqa.encode(strip.image, PROMPT)
    assert gqa.ask(strip.image, PROMPT, max_new_tokens=6) == (
        gqa.generate(encoded, max_new_tokens=6)[0].text
    )
    with torch.no_grad():
        (plain,) = answer_log_probs(gqa, encoded, ANSWER[:1], [None])
        logits = gqa.model(**encoded.inputs, logits_to_keep=1).logits[0, -1].float()
    assert plain == float(torch.log_softmax(logits, -1)[ANSWER[0]])


def test_a_surrounding_steering_acts_on_what_looks_nowhere(gqa: VLM, strip: Any) -> None:
    encoded = gqa.encode(strip.image, PROMPT)
    (own,) = answer_log_probs(gqa, encoded, ANSWER, [Steering(HEADS, strip.panel(1))])
    with gqa.steer(HEADS, strip.panel(1)):
        found = answer_log_probs(gqa, encoded, ANSWER, [None, UNSTEERED])
    (plain,) = answer_log_probs(gqa, encoded, ANSWER, [None])
    assert found == pytest.approx([own, plain], abs=1e-4)


def test_places_and_pictures_of_every_type_are_the_same(
    gqa: VLM, strip: Any, tmp_path: Path
) -> None:
    image = strip.image
    image.save(tmp_path / "a.png")
    x0, y0, x1, y1 = 64, 0, 128, 64
    mask = np.zeros((image.height, image.width), dtype=bool)
    mask[y0:y1, x0:x1] = True
    places = [Region.from_box(x0, y0, x1, y1), (x0, y0, x1, y1), [x0, y0, x1, y1],
              np.array([x0, y0, x1, y1]), mask, mask.astype(np.uint8) * 255,
              Image.fromarray(mask), mask.tolist()]  # fmt: skip
    pictures = [image, str(tmp_path / "a.png"), tmp_path / "a.png", np.asarray(image)]
    likely = {
        round(gqa.log_prob(image, PROMPT, "a dog", place, heads=HEADS).log_prob, 4)
        for place in places
    } | {
        round(gqa.log_prob(picture, PROMPT, "a dog", places[0], heads=HEADS).log_prob, 4)
        for picture in pictures
    }
    assert len(likely) == 1
    answers = {
        gqa.describe(picture, place, heads=HEADS, max_new_tokens=4)
        for picture, place in zip(pictures, places, strict=False)
    }
    assert len(answers) == 1
    assert gqa.log_prob(image, PROMPT, "a dog").tokens == len(answer_tokens(gqa, "a dog"))


def test_a_list_is_looked_at_in_turn(gqa: VLM, strip: Any) -> None:
    first, second = strip.panel(1), strip.panel(2)
    turns = target_of([first, (64, 0, 128, 64)], 3)
    assert isinstance(turns, Schedule) and [step for step, _ in turns.entries] == [0, 3]
    encoded = gqa.encode(strip.image, PROMPT)
    by_hand = Steering(HEADS, Schedule.every(3, [first, second]))
    asked = gqa.ask(strip.image, PROMPT, [first, second], heads=HEADS, max_new_tokens=6)
    assert asked == gqa.generate([(encoded, by_hand)], max_new_tokens=6)[0].text


def test_heads_are_found_when_none_are_named(gqa: VLM, strip: Any) -> None:
    import gazeheads

    found = gazeheads.default_heads(gqa)
    assert found == gazeheads.default_heads(gqa) and len(found) == 1
    named = gqa.ask(strip.image, PROMPT, strip.panel(2), heads=found, max_new_tokens=5)
    assert gqa.ask(strip.image, PROMPT, strip.panel(2), max_new_tokens=5) == named


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("left", "name a region"),
        ((0, 0, 9), "four"),
        ((0, 0, 900, 64), "outside|sticks out"),
        (np.zeros((64, 192), dtype=bool), "at least one pixel"),
        (np.ones((3, 3), dtype=bool), "mask is 3x3 pixels"),
        ([], "schedule"),
    ],
)
def test_a_place_that_cannot_be_meant_is_told(gqa: VLM, strip: Any, place: Any, told: str) -> None:
    with pytest.raises(GazeheadsError, match=told):
        gqa.ask(strip.image, PROMPT, place, heads=HEADS)
    with pytest.raises(RegionError, match="which region"):
        gqa.describe(strip.image, None)
    with pytest.raises(GazeheadsError, match="answer is empty"):
        gqa.log_prob(strip.image, PROMPT, " ")


def test_only_comic_tiny_is_doubted_and_only_on_pictures_it_never_saw(
    gqa: VLM, strip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gazeheads.data.drawn.scenes import draw_scene

    scene = draw_scene(np.random.default_rng(0)).image

    def doubts(image: Any, place: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            gqa.ask(image, PROMPT, place, heads=HEADS, max_new_tokens=1)
        return [str(each.message) for each in said if each.category is UnseenWarning]

    assert doubts(strip.image, strip.panel(1)) == []
    monkeypatch.setattr(gqa, "name", "comic-tiny")
    assert doubts(strip.image, strip.panel(1)) == [NEVER_SAW]
    assert doubts(np.asarray(scene), (0, 0, 128, 128)) == [NEVER_SAW]
    assert doubts(scene, (0, 0, 128, 128)) == []


def test_a_box_is_named_by_its_numbers() -> None:
    assert region_of((1, 2, 30.5, 40)).name == "box 1,2,30.5,40"


def test_a_question_of_ones_own_is_steered_while_it_is_answered_too(gqa: VLM, strip: Any) -> None:
    target = strip.panel(2)
    for prompt, when in ((PROMPT, "both"), (prompts.DESCRIBE_REGION, "prefill")):
        row = (gqa.encode(strip.image, prompt), Steering(HEADS, target, when=when))
        expected = gqa.generate([row], max_new_tokens=6, ignore_eos=True)[0].text
        options = {"heads": HEADS, "max_new_tokens": 6, "ignore_eos": True}
        assert gqa.ask(strip.image, prompt, look_at=target, **options) == expected
        said = gqa.log_prob(strip.image, prompt, " what", look_at=target, heads=HEADS)
        (by_hand,) = answer_log_probs(gqa, row[0], answer_tokens(gqa, " what"), [row[1]])
        assert said.log_prob == pytest.approx(by_hand)


def test_the_studys_question_about_a_strip_follows_the_panel_looked_at() -> None:
    from gazeheads.data.drawn.strips import draw_strips
    from gazeheads.judges import LabelJudge
    from gazeheads.models import load

    vlm, (drawn,) = load("comic-tiny"), draw_strips(1, 99)
    said = [
        vlm.ask(drawn.image, prompts.VQA, look_at=drawn.panel(k), max_new_tokens=20)
        for k in range(1, 7)
    ]
    assert [verdict.panel for verdict in LabelJudge().judge(drawn, said)] == [1, 2, 3, 4, 5, 6]
