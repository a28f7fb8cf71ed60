from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.spans import SpanError, phrases, spans_of, words


def said(text: str, kind: str = "phrases") -> list[str]:
    found = spans_of(text, kind)  # type: ignore[arg-type]
    return [text[start:stop] for start, stop in found]


def test_a_phrase_is_content_words_and_the_article_before_them() -> None:
    text = "The red boat is on a lake, and its old sail hangs.\nNo wind: fishermen's nets"
    assert said(text) == [
        "The red boat", "a lake", "its old sail hangs", "wind", "fishermen's nets",
    ]  # fmt: skip


def test_a_text_of_function_words_alone_is_cut_into_words() -> None:
    assert said("It is what it is.") == ["It", "is", "what", "it", "is"]


def test_other_languages_are_cut_at_punctuation() -> None:
    assert said("Ein Hund rennt, schnell! 猫がいる") == ["Ein Hund rennt", "schnell", "猫がいる"]


@given(st.text(max_size=80))
def test_spans_are_in_order_apart_and_hold_words_only(text: str) -> None:
    for found in (words(text), phrases(text)):
        assert found == sorted(found)
        assert all(a < b for a, b in found)
        assert all(b <= c for (_, b), (c, _) in itertools.pairwise(found))
        assert not any(text[a].isspace() or text[b - 1].isspace() for a, b in found)
    assert bool(words(text)) == bool(phrases(text))


def test_own_spans_are_found_one_occurrence_after_the_other() -> None:
    assert spans_of("cow and cow", ["cow", "cow"]) == [(0, 3), (8, 11)]
    assert spans_of("cow and cow", [(8, 11), "cow and"]) == [(0, 7), (8, 11)]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["owl"], "does not say 'owl'"),
        (["cow", "cow", "cow"], "a second time"),
        (["cow and", "and"], "overlap"),
        ([(3, 99)], "not inside"),
        ([(2, 2)], "not inside"),
        ([7], r"a text or \(start, stop\)"),
        ([" "], "does not say"),
        ([], "no spans"),
        ("sentences", "phrases, words"),
    ],
)
def test_spans_that_are_not_there_are_refused(chosen: object, told: str) -> None:
    with pytest.raises(SpanError, match=told):
        spans_of("cow and cow", chosen)  # type: ignore[arg-type]
