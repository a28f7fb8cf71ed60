import random

import numpy as np
import pytest

from gazeheads import prompts
from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.truth import PanelTruth, sample_truths
from gazeheads.tiny.questions import (
    Page,
    existence_question,
    label_question,
    main_event_question,
    narration_question,
    panel_question,
    panel_reference,
    relation_question,
    strip_question,
)

TRUTHS = (
    PanelTruth("cat", "paints", "rocket", "forest", "night"),
    PanelTruth("owl", "rides", "apple", "space"),
    PanelTruth("dog", "cuts", "kite", "beach"),
)


def words(seed: int = 0) -> random.Random:
    return random.Random(seed)


def test_headline_is_content_first():
    assert headline(TRUTHS[0]) == "Cat paints the rocket in the forest at night."
    assert headline(TRUTHS[1]) == "Owl rides the apple in space."


@pytest.mark.parametrize("seed", range(60))
def test_panel_references_name_the_right_panel(seed: int):
    page = Page(TRUTHS)
    reference = panel_reference(words(seed), 2, page)
    assert "2" in reference or "second" in reference
    last = panel_reference(words(seed), 3, page)
    assert any(word in last for word in ("3", "third", "last", "first panel from the right"))


def test_grids_have_no_left_and_right_references():
    page = Page(TRUTHS, row=False)
    references = {panel_reference(words(seed), 1, page) for seed in range(200)}
    assert not any("left" in reference or "right" in reference for reference in references)


@pytest.mark.parametrize("seed", range(80))
def test_panel_answers_are_headlines_of_the_strip(seed: int):
    qa = panel_question(words(seed), Page(TRUTHS))
    assert qa.answer in {headline(truth) for truth in TRUTHS}


def test_the_studys_discovery_prompt_is_asked():
    asked = {panel_question(words(seed), Page(TRUTHS)).question for seed in range(200)}
    assert prompts.discovery(2, 3) in asked
    assert "three-panel" in prompts.discovery(2, 3)
    assert "2nd panel from the left" in prompts.discovery(2, 3)
    written = [prompts.ordinal(k) for k in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert " ".join(written) == "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 111th"


@pytest.mark.parametrize("seed", range(80))
def test_neighbours_are_neighbours(seed: int):
    qa = relation_question(words(seed), Page(TRUTHS))
    if qa.kind != "neighbour":
        return
    step = 1 if "right" in qa.question and "before" not in qa.question else -1
    named = next(
        i
        for i, t in enumerate(TRUTHS)
        if f"the {t.character}?" in qa.question or f"the {t.thing}?" in qa.question
    )
    assert qa.answer == headline(TRUTHS[named + step])


@pytest.mark.parametrize("seed", range(40))
def test_main_event_names_two_panels_in_reading_order(seed: int):
    qa = main_event_question(words(seed), Page(TRUTHS))
    positions = [
        (qa.answer.lower().find(t.character), i)
        for i, t in enumerate(TRUTHS)
        if t.character in qa.answer.lower()
    ]
    assert len(positions) == 2
    assert [i for _, i in sorted(positions)] == sorted(i for _, i in positions)


def test_labels_in_reverse_count_from_the_end():
    page = Page(TRUTHS, ("X", "Y", "Z"))
    for seed in range(100):
        qa = label_question(words(seed), page)
        if qa.question == prompts.label(1, "letter", reverse=True):
            assert qa.answer == "Z"
        if qa.question == prompts.label(1, "letter"):
            assert qa.answer == "X"


@pytest.mark.parametrize("seed", range(40))
def test_narrations_have_one_line_a_panel_in_the_asked_order(seed: int):
    qa = narration_question(words(seed), Page(TRUTHS))
    lines = qa.answer.lower().split("\n")
    order = [
        next(i for i, t in enumerate(TRUTHS) if f" {t.character} " in f" {line}") for line in lines
    ]
    assert sorted(order) == [0, 1, 2]
    if qa.kind == "narration":
        assert order == [0, 1, 2]
    elif qa.kind == "reverse narration":
        assert order == [2, 1, 0]
    else:
        assert ", ".join(str(i + 1) for i in order) in qa.question


def test_existence_is_answered_truthfully_and_evenly():
    answers = []
    for seed in range(300):
        qa = existence_question(words(seed), ["cat", "kite"])
        present = " cat" in qa.question or " kite" in qa.question
        assert qa.answer == ("Yes." if present else "No.")
        answers.append(present)
    assert 100 < sum(answers) < 200


def test_every_kind_is_drawn():
    numbers = np.random.default_rng(0)
    rng = words()
    kinds = set()
    for _ in range(600):
        page = Page(sample_truths(numbers, 6, held_out=False))
        kinds.add(strip_question(rng, page).kind)
    assert {
        "panel",
        "who",
        "thing",
        "where",
        "which",
        "main event",
        "this panel",
        "yes/no",
    } <= kinds
