"""The LLM judge against a local service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_service import Answer, LocalService, anthropic_says, fault, openai_says, serving
from PIL import Image

from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.judges import Verdict
from gazeheads.judges.llm import LlmJudge, read_choice, read_choices
from gazeheads.services import Chat, Endpoint, Patience, ServiceError

COLOURS = ("red", "green", "blue")
STRIP = Strip("s", tuple(Image.new("RGB", (32, 32), colour) for colour in COLOURS))
KEY = "sk-secret-0123456789"


def by_colour(number: int, body: Any) -> Answer:
    """Believes the colour a description names; no colour is junk; "gun" is declined."""
    *_, text = body["messages"][0]["content"]
    said = text["text"].split("<description>")[1].split("</description>")[0].strip()
    if "gun" in said:
        return openai_says("", refusal="no violence")
    panel = next((k for k, colour in enumerate(COLOURS, 1) if colour in said), None)
    return openai_says({"reasoning": said, "junk": panel is None, "panel": panel or 1})


def judge_at(service: LocalService, folder: Path, **options: Any) -> LlmJudge:
    endpoint = Endpoint("openai", options.pop("model", "m-1"), service.url, **options)
    return LlmJudge(Chat(endpoint, Patience(3, 0.001, 0.01)), folder, workers=3)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_verdicts_come_in_the_order_of_the_answers(tmp_path: Path) -> None:
    answers = ["green stuff", "red things", "blue", "nothing", "a gun"]
    with serving(by_colour) as service:
        judge = judge_at(service, tmp_path)
        found = judge.judge(STRIP, answers)
    assert found == [
        Verdict(2, "described"),
        Verdict(1, "described"),
        Verdict(3, "described"),
        Verdict(None, "junk"),
        Verdict(None, "unjudged"),
    ]
    assert not any(found[4].hits(target) for target in (1, 2, 3))
    assert judge.name == "llm:openai:m-1"
    assert (judge.chat.usage.calls, judge.chat.usage.tokens_in) == (5, 500)


def test_judging_again_costs_nothing(tmp_path: Path) -> None:
    with serving(by_colour) as service:
        assert judge_at(service, tmp_path).to_call(STRIP, ["red", "a gun"]) == 2
        first = judge_at(service, tmp_path).judge(STRIP, ["red", "a gun"])
        again = judge_at(service, tmp_path)
        assert again.to_call(STRIP, ["red", "a gun", "blue"]) == 1
        assert again.judge(STRIP, ["red", "a gun"]) == first
        assert len(service.heard) == 2 and again.chat.usage.calls == 0
        # anything the verdict depends on makes it another question
        other = Strip("s", STRIP.panels[::-1])
        assert again.to_call(other, ["red"]) == 1
        assert judge_at(service, tmp_path, model="m-2").to_call(STRIP, ["red"]) == 1
        assert judge_at(service, tmp_path, temperature=0.0).to_call(STRIP, ["red"]) == 1
        # but not the name of the strip
        assert again.to_call(Strip("t", STRIP.panels), ["red"]) == 0


def test_what_was_judged_before_a_failure_is_kept(tmp_path: Path) -> None:
    def fails_on_blue(number: int, body: Any) -> Answer:
        reply = by_colour(number, body)
        return fault(500) if "blue" in json.dumps(reply.body) else reply

    with serving(fails_on_blue) as service:
        with pytest.raises(ServiceError, match="tried 3 times"):
            judge_at(service, tmp_path).judge(STRIP, ["red", "blue"])
        assert len(files(tmp_path)) == 1 and len(service.heard) == 1 + 3
        service.answer = by_colour
        found = judge_at(service, tmp_path).judge(STRIP, ["red", "blue"])
        assert [verdict.panel for verdict in found] == [1, 3]
        assert len(service.heard) == 1 + 3 + 1


def test_the_picture_and_no_key_are_in_what_is_kept_and_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(by_colour) as service:
        judge_at(service, tmp_path, key_env="MY_KEY").judge(STRIP, ["red"])
    (kept,) = files(tmp_path)
    assert KEY not in kept.read_text()
    assert json.loads(kept.read_text())["verdicts"] == [{"panel": 1, "reason": "described"}]
    picture, text = service.heard[0].body["messages"][0]["content"]
    assert picture["type"] == "image_url"
    assert "3 panels" in text["text"] and "left to right" in text["text"]


@pytest.mark.parametrize(
    "broken",
    [
        {"reasoning": "", "junk": False, "panel": 4},
        {"reasoning": "", "junk": False, "panel": 0},
        {"reasoning": "", "junk": False, "panel": True},
        {"reasoning": "", "junk": False, "panel": None},
        {"reasoning": "", "junk": "no", "panel": 1},
        {"junk": False, "panel": 1},
        {},
    ],
)
def test_an_answer_that_breaks_the_schema_is_no_verdict(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_choice(broken, 3)


def test_a_text_without_a_usable_reply_is_unjudged_told_and_asked_again(tmp_path: Path) -> None:
    def mostly(number: int, body: Any) -> Answer:
        reply = by_colour(number, body)
        return openai_says("I think it is panel two.") if "blue" in str(reply.body) else reply

    with serving(mostly) as service:
        judge = judge_at(service, tmp_path)
        with pytest.warns(GazeheadsWarning, match="'s': 1 text stays unjudged.*form asked") as told:
            found = judge.judge(STRIP, ["red", "blue", "green"])
        assert [verdict.reason for verdict in found] == ["described", "unjudged", "described"]
        assert len(told) == 1 and judge.unusable == 1
        assert len(service.heard) == 1 + 3 + 1 and len(files(tmp_path)) == 2
        service.answer = by_colour
        assert judge_at(service, tmp_path).judge(STRIP, ["red", "blue"])[1].panel == 3
        assert len(service.heard) == 1 + 3 + 1 + 1


def test_segments_without_a_usable_reply_are_unjudged_too(tmp_path: Path) -> None:
    with serving(lambda n, body: openai_says({"reasoning": "", "segment_1": 1})) as service:
        judge = judge_at(service, tmp_path)
        with pytest.warns(GazeheadsWarning, match="1 text stays unjudged"):
            found = judge.judge_text(STRIP, ["red", "blue"])
    assert [verdict.reason for verdict in found] == ["unjudged", "unjudged"]


def test_a_model_that_is_never_usable_is_not_asked_for_ever(tmp_path: Path) -> None:
    with (
        serving(lambda n, body: openai_says({"panel": 9})) as service,
        pytest.raises(ServiceError, match=r"form asked for.*; none of 2\d texts"),
    ):
        judge_at(service, tmp_path).judge(STRIP, [f"text {n}" for n in range(200)])
    assert len(service.heard) < 3 * 40 and files(tmp_path) == []


def test_a_model_whose_replies_are_all_cut_off_stops_the_judge(tmp_path: Path) -> None:
    cut = openai_says('{"reasoning": "it sh', "length")
    with (
        serving(lambda n, body: cut) as service,
        pytest.raises(ServiceError, match="cut off at 2000 tokens"),
    ):
        judge_at(service, tmp_path).judge(STRIP, ["red", "blue"])

    def once(number: int, body: Any) -> Answer:
        reply = by_colour(number, body)
        return cut if "blue" in str(reply.body) else reply

    with serving(once) as service, pytest.warns(GazeheadsWarning, match="cut off"):
        found = judge_at(service, tmp_path).judge(STRIP, ["red", "blue"])
    assert [verdict.reason for verdict in found] == ["described", "unjudged"]


@pytest.mark.parametrize(
    "panel", [2, 2.0, "2", "2.0", " 2 ", "Panel 2", "panel #2", "Panel 2.", "No. 2", [2], ["2"]]
)
def test_a_panel_is_read_as_models_write_it(panel: Any) -> None:
    for junk in (False, "false", "False"):
        answer = {"reasoning": "r", "junk": junk, "panel": panel}
        assert read_choice(answer, 3) == (Verdict(2, "described"), "r")
    named = {"reasoning": "r", "segment_1": panel, "segment_2": 0}
    listed = {"reasoning": "r", "segments": [panel, "0"]}
    for told in (named, listed):
        found, _ = read_choices(told, 2, 3)
        assert [verdict.panel for verdict in found] == [2, None]


@pytest.mark.parametrize(
    "panel", [2.5, "", "two or three", "2 or 3", "2-3", [2, 3], [], {"panel": 2}, True, "²", "-2"]
)
def test_what_names_no_single_panel_is_no_verdict(panel: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        read_choice({"reasoning": "", "junk": False, "panel": panel}, 3)


@given(st.one_of(st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.booleans()))
def test_any_panel_is_one_of_the_strip_or_refused(panel: Any) -> None:
    try:
        verdict, _ = read_choice({"reasoning": "", "junk": False, "panel": panel}, 3)
    except (TypeError, ValueError):
        return
    assert verdict.panel in (1, 2, 3)


@pytest.mark.parametrize("key", ["Panel", " panel ", "PANEL"])
def test_keys_are_read_in_any_case(tmp_path: Path, key: str) -> None:
    reply = openai_says({"Reasoning": "r", "Junk": False, key: 2})
    with serving(lambda n, body: reply) as service:
        assert judge_at(service, tmp_path).judge(STRIP, ["x"]) == [Verdict(2, "described")]
    assert len(service.heard) == 1


def test_anthropic_too(tmp_path: Path) -> None:
    reply = anthropic_says({"reasoning": "r", "junk": False, "panel": 2})
    with serving(lambda n, body: reply) as service:
        chat = Chat(Endpoint("anthropic", "m", service.url))
        assert LlmJudge(chat, tmp_path).judge(STRIP, ["x"]) == [Verdict(2, "described")]


def test_at_least_one_worker(tmp_path: Path) -> None:
    with pytest.raises(GazeheadsError, match="at least 1"):
        LlmJudge(Chat(Endpoint("openai", "m")), tmp_path, workers=0)


def in_segments(number: int, body: Any) -> Answer:
    """For every numbered segment the panel of the colour it names, 0 if it names none."""
    *_, text = body["messages"][0]["content"]
    told = text["text"].split("<segments>")[1].split("</segments>")[0].strip().splitlines()
    found = {
        f"segment_{n}": next((k for k, c in enumerate(COLOURS, 1) if c in line), 0)
        for n, line in enumerate(told, 1)
    }
    return openai_says({"reasoning": "by colour", **found})


def test_a_text_is_judged_in_one_call_that_shows_its_segments(tmp_path: Path) -> None:
    segments = ["so blue\nit is", "a red one", "who knows?", "all red"]
    with serving(in_segments) as service:
        judge = judge_at(service, tmp_path)
        assert judge.to_call(STRIP, [tuple(segments), "red"]) == 2
        found = judge.judge_text(STRIP, segments)
        assert [verdict.panel for verdict in found] == [3, 1, None, 1]
        assert found[2].reason == "junk"
        assert judge_at(service, tmp_path).judge_text(STRIP, segments) == found
        assert len(service.heard) == 1 and judge.to_call(STRIP, [tuple(segments)]) == 0
        assert judge.to_call(STRIP, [tuple(segments[::-1])]) == 1
    (kept,) = files(tmp_path)
    assert len(json.loads(kept.read_text())["verdicts"]) == 4


def test_a_text_that_is_declined_is_unjudged_in_all_segments(tmp_path: Path) -> None:
    with serving(lambda n, body: openai_says("", refusal="no")) as service:
        found = judge_at(service, tmp_path).judge_text(STRIP, ["a", "b"])
    assert [verdict.reason for verdict in found] == ["unjudged", "unjudged"]


@pytest.mark.parametrize("wrong", [{"segment_1": 4}, {"segment_1": False}, {"segment_2": 1}])
def test_segments_that_break_the_schema_are_no_verdicts(wrong: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_choices({"reasoning": "", **wrong}, 1, 3)
