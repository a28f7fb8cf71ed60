"""The label judge, on verdicts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.drawn.captions import captions
from gazeheads.data.drawn.truth import PanelTruth, sample_truths
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.judges import LabelJudge, Verdict
from gazeheads.judges.label import named

TRUTHS = (
    PanelTruth("cat", "rides", "bike", "forest", "night"),
    PanelTruth("dog", "paints", "rocket", "beach", "rain"),
    PanelTruth("fox", "buries", "apple", "mountains", "rainbow"),
)


def strip_of(truths: tuple[PanelTruth, ...]) -> Strip:
    blank = Image.new("RGB", (32, 32))
    return Strip("by-hand", (blank,) * len(truths), truths)


def verdict(answer: str, truths: tuple[PanelTruth, ...] = TRUTHS) -> Verdict:
    return LabelJudge().judge(strip_of(truths), [answer])[0]


@pytest.mark.parametrize(
    ("answer", "panel"),
    [
        ("Cat rides a bike in the forest at night.", 1),
        ("a dog painting rockets", 2),
        ("Rockets!", 2),
        ("Foxes bury apples", 3),
        ("A fox is burying something on a mountain.", 3),
        ("The apple was buried.", 3),
        ("Forest at night: cat rides a bike.", 1),
        ("A cat paints a rocket.", 2),  # two of panel 2 against one of panel 1
        ("Panel 1: the fox", 3),  # the number is not the content
        ("Somewhere rainy", 2),
        ("Under a rainbow", 3),  # which is not "rain"
        ("DOG, dog, dog", 2),  # three times is not a loop yet
    ],
)
def test_the_panel_that_shares_most_alone_is_described(answer: str, panel: int) -> None:
    assert verdict(answer) == Verdict(panel, "described")


@pytest.mark.parametrize("answer", ["A cat and a dog.", "Cat paints.", "cat, dog and fox"])
def test_several_panels_with_the_most_is_a_tie(answer: str) -> None:
    assert verdict(answer) == Verdict(None, "tie")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "  \n ",
        "3",
        "1, 2, 3",
        "Panel 3:",
        "Panel 1: Panel 2:",
        "The weather is lovely.",
        "catalogue of dogma",  # whole words only
        "cat cat cat cat",
        "Cat digs, digs, digs, digs, digs, digs.",
        "the cat the cat the cat the cat",
    ],
)
def test_nothing_named_numbers_and_loops_are_junk(answer: str) -> None:
    assert verdict(answer) == Verdict(None, "junk")


def test_an_attribute_of_two_panels_counts_for_both() -> None:
    twins = (TRUTHS[0], PanelTruth("cat", "paints", "rocket", "beach"))
    assert verdict("a cat", twins).reason == "tie"
    assert verdict("a cat at the beach", twins) == Verdict(2, "described")


def test_words_of_a_users_own_truths_need_not_be_in_our_vocabulary() -> None:
    own = (PanelTruth("old witch", "pushes", "box", "city"), TRUTHS[0])
    assert verdict("Old witches push boxes", own) == Verdict(1, "described")


def test_a_strip_without_truths_is_an_error() -> None:
    blank = Image.new("RGB", (32, 32))
    with pytest.raises(GazeheadsError, match=r"captions\.jsonl"):
        LabelJudge().judge(Strip("scanned", (blank, blank)), ["a cat"])


@given(st.integers(0, 2**32), st.integers(2, 8), st.data())
def test_every_caption_names_every_attribute_of_its_panel(
    seed: int, panels: int, data: st.DataObject
) -> None:
    truths = sample_truths(np.random.default_rng(seed), panels, held_out=False)
    k = data.draw(st.integers(1, panels))
    said = data.draw(st.sampled_from(captions(truths[k - 1])))
    assert named(truths[k - 1], said) == set(truths[k - 1].attributes())
    assert verdict(said, truths) == Verdict(k, "described")


@given(st.integers(1, 9), st.sampled_from(["a cat", "dog and fox", "", "nothing here"]))
def test_numbering_never_changes_a_verdict(number: int, answer: str) -> None:
    for form in (f"Panel {number}: {answer}", f"{number}. {answer}", f"panel {number} {answer}"):
        assert verdict(form) == verdict(answer)


def test_what_another_panel_shows_makes_an_answer_mixed() -> None:
    one, other = TRUTHS[0], TRUTHS[1]
    clean = f"The {one.character} is with the {one.thing}."
    assert verdict(clean).mixed is False
    mixed = f"The {one.character} is with the {one.thing} and {other.thing}."
    assert verdict(mixed).mixed is True and verdict(mixed).panel == verdict(clean).panel
