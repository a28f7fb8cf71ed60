"""Words, numbering, loops and overlap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.judges.wording import is_junk, jaccard, loops, repeats, without_numbering, words

TEXT = st.text(alphabet="abc 12.,", max_size=40)


def test_words_are_lower_case_and_keep_apostrophes() -> None:
    assert words("Don't PANIC, robot-3!") == ["don't", "panic", "robot", "3"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Panel 3: a cat", "a cat"),
        ("3. a cat\n4) a dog", "a cat a dog"),
        ("Scene #2 - a cat", "a cat"),
        ("frame no. 12 a cat", "a cat"),
        ("5 cats in 1999.", "5 cats in 1999."),  # numbers that number nothing
    ],
)
def test_numbering_is_blanked_out_in_place(text: str, rest: str) -> None:
    blanked = without_numbering(text)
    assert blanked.split() == rest.split()
    assert len(blanked) == len(text)
    assert all(new in (old, " ") for old, new in zip(text, blanked, strict=True))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("dig dig dig", False),
        ("dig dig dig dig", True),
        ("it said dig dig dig dig and stopped", True),
        ("a b a b", False),
        ("a b a b a", True),
        ("cat cuts a bike then cat cuts a bike", False),
        ("cat cuts a bike cat cuts a bike cat", False),
        ("cat cuts a bike cat cuts a bike cat cuts", True),
        ("a b c a b c a b c a b c a", True),
        ("dig and dig and rest and dig and dig", False),
        ("", False),
    ],
)
def test_a_loop_is_the_same_two_and_a_half_times_running(said: str, expected: bool) -> None:
    assert loops(said.split()) is expected


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=5), st.integers(4, 6))
def test_any_phrase_said_often_is_a_loop(phrase: list[str], times: int) -> None:
    assert loops(["once", *phrase * times, "over"])


def test_words_run_together_are_words_of_their_own() -> None:
    assert words("Cat cuts a bikeCat") == ["cat", "cuts", "a", "bike", "cat"]
    assert loops(words("CatCatCatCat"))


def test_junk_is_empty_numbers_or_a_loop() -> None:
    assert is_junk("") and is_junk("Panel 1: 2 3") and is_junk("no no no no")
    assert is_junk("Cat finds a............") and is_junk("Rocket.VVVVVVVVVV")
    assert not is_junk("Panel 1: a cat") and not is_junk("Cat finds a rocket... in the snow!!!")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("a b c", "a b d", 2 / 4), ("A, b!", "b a a", 1), ("a", "b", 0), ("", "", 1), ("", "a", 0)],
)
def test_jaccard_by_hand(one: str, other: str, expected: float) -> None:
    assert jaccard(one, other) == pytest.approx(expected)


@given(TEXT, TEXT)
def test_jaccard_is_a_share_symmetric_and_one_for_equal_words(one: str, other: str) -> None:
    value = jaccard(one, other)
    assert 0 <= value <= 1
    assert value == jaccard(other, one)
    assert (value == 1) == (set(words(one)) == set(words(other)))


@pytest.mark.parametrize(
    "text",
    [
        "Cow balances the guitar, then cow balances the guitar.",
        "Cow balances the guitar and cow balances the guitar.",
        "A cow is at the volcano. Rain falls. A cow at the volcano!",
        "the red boat the red boat",
    ],
)
def test_saying_one_thing_twice_is_a_repetition(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Cow balances the guitar in the city in the rain.",
        "the cat and the cat food",
        "A cow, a cow and a guitar.",
        "Cow balances the guitar, then owl rides the cake.",
        "No, no.",
        "A cat on the table, a cat under the table.",
    ],
)
def test_a_word_that_comes_again_is_none(text: str) -> None:
    assert not repeats(text)
