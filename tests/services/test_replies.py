"""The JSON object of a reply, however a model wraps it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.services.replies import read_object

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
# prose without braces, quotes and tags, as stands around an answer
PROSE = st.text(
    st.characters(exclude_characters="{}\"'<>`[]", exclude_categories=["Cs"]), max_size=30
)
WRAPPED = [
    "{answer}",
    "```json\n{answer}\n```",
    "```\n{answer}\n```",
    "```JSON {answer}```",
    "{prose} {answer}",
    "{answer}\n{prose}",
    "{prose}\n```json\n{answer}\n```\n{prose}",
    "<think>{prose} {draft}</think>\n{answer}",
    "<thinking>\n{draft}\n</thinking>```json\n{answer}\n```",
    "{prose} {draft} {prose}</think>{answer}",
    "{prose} {draft} {prose} {answer}",
    "{answer}\n<think>{draft}",
    "[{answer}]",
]


@pytest.mark.parametrize("form", WRAPPED)
@given(answer=OBJECTS, prose=PROSE, indent=st.sampled_from([None, 2]))
def test_an_object_is_read_however_it_is_wrapped(
    form: str, answer: dict[str, Any], prose: str, indent: int | None
) -> None:
    said = json.dumps(answer, ensure_ascii=False, indent=indent)
    draft = json.dumps({"panel": 9, "why": "a } in a string"})
    text = form.replace("{prose}", prose).replace("{draft}", draft).replace("{answer}", said)
    assert read_object(text) == answer


@pytest.mark.parametrize(
    ("text", "panel"),
    [
        ('{"panel": 2,}', 2),
        ('{"panel": [1, 2, ], }', [1, 2]),
        ('{"panel": ",}"}', ",}"),
        ("{'panel': 2, 'junk': False}", 2),
        ('The set {a, b} and {panel}: {"panel": 2}.', 2),
        ('It is 5" wide. {"panel": 2}', 2),
        ('{"panel": "two\nlines"}', "two\nlines"),
        ('\ufeff{"panel": 2}', 2),
    ],
)
def test_small_faults_are_read(text: str, panel: Any) -> None:
    assert read_object(text)["panel"] == panel


@pytest.mark.parametrize(
    "text",
    [
        "", "  \n", "I think it is panel two.", "2", "[1, 2]", '{"panel": 2', '"panel": 2}',
        '<think>{"panel": 2}', "```json\n```", "null",
    ],
)  # fmt: skip
def test_what_holds_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        read_object(text)


def test_of_several_objects_the_last_whole_one_counts() -> None:
    assert read_object('{"panel": 1} or {"panel": 2} or {') == {"panel": 2}
    with pytest.raises(ValueError, match="no JSON object"):  # a list says that all of them count
        read_object('[{"panel": 1}, {"panel": 2}]')


def test_a_reply_that_was_cut_off_counts_only_as_a_whole() -> None:
    assert read_object('```json\n{"panel": 2}\n```', whole=True) == {"panel": 2}
    for text in ('maybe {"panel": 2} but', '{"panel": 2', '{"panel": 2} and'):
        with pytest.raises(ValueError, match="no JSON object"):
            read_object(text, whole=True)


@given(st.text(st.sampled_from('{}[]",:\\ab1 \n`<>/think')))
def test_any_text_is_an_object_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(read_object(text), dict)


@pytest.mark.parametrize("text", ["{" * 20_000, '{"a":' * 4_000, "<think>" * 9_000, '{"a' * 9_000])
def test_a_text_of_braces_does_not_take_for_ever(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="no JSON object"):
        read_object(text)
    assert time.monotonic() - began < 10
