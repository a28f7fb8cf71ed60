"""Calls to chat models: what is sent, what is tried again, and what never leaks."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from local_service import Answer, LocalService, anthropic_says, fault, openai_says, serving
from PIL import Image

from gazeheads.services import (
    Chat,
    ChatRequest,
    Endpoint,
    Patience,
    RefusedError,
    ServiceError,
    UnusableError,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
KEY = "sk-secret-0123456789"
SAYS: dict[str, Callable[..., Answer]] = {"openai": openai_says, "anthropic": anthropic_says}
QUICK = Patience(first_wait=0.001, longest_wait=0.01)
both = pytest.mark.parametrize("provider", ["openai", "anthropic"])


def chat_at(service: LocalService, provider: Any, **options: Any) -> Chat:
    return Chat(Endpoint(provider, "judge-1", service.url, **options), QUICK)


def ask(chat: Chat, **options: Any) -> str:
    request = ChatRequest("Which word?", SCHEMA, **options)

    def read(data: dict[str, Any]) -> str:
        if not isinstance(data["word"], str):
            raise TypeError("no word")
        return data["word"].lower()

    return chat.ask(request, read)


@both
def test_a_question_with_a_picture_is_sent_and_its_answer_read(provider: Any) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    with serving(lambda n, body: SAYS[provider]({"word": "CAT"})) as service:
        chat = chat_at(service, provider)
        assert ask(chat, image=picture, max_tokens=50) == "cat"
    (heard,) = service.heard
    assert heard.body["model"] == "judge-1" and "temperature" not in heard.body
    (message,) = heard.body["messages"]
    shown, text = message["content"]
    assert text["text"] == "Which word?"
    if provider == "openai":
        assert heard.path == "/v1/chat/completions"
        form = heard.body["response_format"]["json_schema"]
        assert form["schema"] == SCHEMA and form["strict"] is True
        assert heard.body["max_completion_tokens"] == 50
        data = shown["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    else:
        assert heard.path == "/v1/messages"
        assert heard.body["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}
        assert heard.body["max_tokens"] == 50
        data = shown["source"]["data"]
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (40, 20) and sent.format == "JPEG"
    assert (chat.usage.calls, chat.usage.tokens_in, chat.usage.tokens_out) == (1, 100, 10)
    assert chat.usage.told((2.0, 5.0)).endswith("$0.0003")  # 100 at $2 and 10 at $5 per million


@both
@pytest.mark.parametrize(
    "trouble",
    [
        fault(429),
        fault(500),
        fault(529),
        fault(408),
        Answer("{ cut off"),
        Answer({"surprise": 1}),
        "no JSON at all",
        '["a list"]',
        {"wrong": "property"},
        {"word": 7},
    ],
    ids=lambda t: str(t.status if isinstance(t, Answer) else t)[:12],
)
def test_passing_faults_are_tried_again(provider: Any, trouble: Any) -> None:
    first = trouble if isinstance(trouble, Answer) else SAYS[provider](trouble)
    with serving(lambda n, body: first if n < 2 else SAYS[provider]({"word": "x"})) as service:
        assert ask(chat_at(service, provider)) == "x"
    assert len(service.heard) == 3


@both
def test_six_tries_and_no_more(provider: Any) -> None:
    with (
        serving(lambda n, body: fault(503, "busy")) as service,
        pytest.raises(ServiceError, match=r"HTTP 503: busy \(tried 6 times\)"),
    ):
        ask(chat_at(service, provider))
    assert len(service.heard) == 6


@both
def test_a_late_answer_is_tried_again(provider: Any) -> None:
    def answer(n: int, body: Any) -> Answer:
        reply = SAYS[provider]({"word": "x"})
        reply.delay = 0.6 if n == 0 else 0.0
        return reply

    with serving(answer) as service:
        assert ask(chat_at(service, provider, timeout=0.3)) == "x"
    assert len(service.heard) == 2


@both
def test_a_service_that_is_not_there(provider: Any) -> None:
    """Another try would find nobody either: the answer comes at once."""
    chat = Chat(Endpoint(provider, "m", "http://127.0.0.1:9/v1"), Patience(6, 60.0, 60.0))
    told = r"127\.0\.0\.1:9/v1 cannot be reached: nothing listens there$"
    with pytest.raises(ServiceError, match=told):
        ask(chat)


def test_the_service_may_ask_to_wait() -> None:
    busy = fault(429)
    busy.headers["retry-after"] = "0.3"
    with serving(lambda n, body: busy if n == 0 else openai_says({"word": "x"})) as service:
        chat = Chat(Endpoint("openai", "m", service.url), Patience(3, 0.001, 0.25))
        begun = time.monotonic()
        ask(chat)
        assert time.monotonic() - begun >= 0.25  # but never longer than the longest wait


@both
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, {}), (404, {}), (429, {"code": "insufficient_quota"})],
)
def test_a_wrong_call_is_not_repeated(provider: Any, status: int, error: Any) -> None:
    with (
        serving(lambda n, body: fault(status, "not like this", **error)) as service,
        pytest.raises(ServiceError, match=f"HTTP {status}: not like this"),
    ):
        ask(chat_at(service, provider))
    assert len(service.heard) == 1


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        ("openai", openai_says("", refusal="I cannot look at this")),
        ("openai", fault(400, "against the rules", code="content_filter")),
        ("anthropic", anthropic_says("I cannot look at this", "refusal")),
    ],
)
def test_a_refusal_is_not_repeated(provider: Any, reply: Answer) -> None:
    with serving(lambda n, body: reply) as service, pytest.raises(RefusedError):
        ask(chat_at(service, provider))
    assert len(service.heard) == 1


@both
def test_the_key_is_sent_but_never_told(
    provider: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for status, told in ((401, "refused the key"), (400, r"bad \*\*\*")):
        with (
            serving(lambda n, body, s=status: fault(s, f"bad {KEY}")) as service,
            pytest.raises(ServiceError, match=told) as error,
        ):
            ask(chat_at(service, provider, key_env="MY_KEY"))
        assert KEY not in str(error.value)
        sent = service.heard[0].headers
        assert KEY in (sent.get("authorization", "") + sent.get("x-api-key", ""))
    assert KEY not in "".join(capfd.readouterr())


@both
def test_a_providers_key_reaches_no_other_address(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for own in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(own, KEY)
    with serving(lambda n, body: SAYS[provider]({"word": "x"})) as service:
        ask(chat_at(service, provider))
    assert KEY not in str(service.heard[0].headers)


@both
def test_a_missing_key_is_told_before_any_call(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{provider.upper()}_API_KEY"
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServiceError, match=name):
        Chat(Endpoint(provider, "m")).connect()


def test_a_temperature_is_sent_where_there_is_one() -> None:
    with serving(lambda n, body: openai_says({"word": "x"})) as service:
        ask(chat_at(service, "openai", temperature=0.0))
    assert service.heard[0].body["temperature"] == 0.0
    with pytest.raises(ServiceError, match="no temperature"):
        Chat(Endpoint("anthropic", "m", "http://here", temperature=0.0)).connect()


CUT = {"openai": "length", "anthropic": "max_tokens"}
WRAPPED = '<think>{"word": "dog"}</think>```json\n{"word": "CAT",}\n```'


@both
def test_a_wrapped_answer_is_read_at_the_first_call(provider: Any) -> None:
    with serving(lambda n, body: SAYS[provider](WRAPPED)) as service:
        assert ask(chat_at(service, provider)) == "cat"
    assert len(service.heard) == 1


@both
@pytest.mark.parametrize("text", ['{"word": "ca', "Let me think about", "", '<think>{"word": "x"}'])
def test_a_reply_that_was_cut_off_says_so(provider: Any, text: str) -> None:
    with (
        serving(lambda n, body: SAYS[provider](text, CUT[provider])) as service,
        pytest.raises(UnusableError, match="cut off at 70 tokens, thought included") as caught,
    ):
        ask(chat_at(service, provider), max_tokens=70)
    assert caught.value.cut_off
    assert text[-10:] in str(caught.value)


@both
def test_a_whole_answer_counts_though_it_was_cut_off(provider: Any) -> None:
    with serving(lambda n, body: SAYS[provider]({"word": "CAT"}, CUT[provider])) as service:
        assert ask(chat_at(service, provider)) == "cat"


@both
@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_answer_is_told(provider: Any, text: str) -> None:
    with (
        serving(lambda n, body: SAYS[provider](text)) as service,
        pytest.raises(UnusableError, match="judge-1 replied with nothing"),
    ):
        ask(chat_at(service, provider))


def test_content_in_parts_and_content_of_nothing() -> None:
    parts = [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": '{"word": "CAT"}'}]
    for content, read in ((parts, "cat"), (None, None)):
        answer = openai_says("")
        answer.body["choices"][0]["message"]["content"] = content
        with serving(lambda n, body, a=answer: a) as service:
            if read:
                assert ask(chat_at(service, "openai")) == read
            else:
                with pytest.raises(UnusableError, match="replied with nothing"):
                    ask(chat_at(service, "openai"))


BODIES: list[Any] = [
    {"error": {"message": "no such model: judge-1", "type": "invalid_request_error"}},
    {"error": "no such model: judge-1"},
    {"message": "no such model: judge-1"},
    {"object": "error", "message": "no such model: judge-1", "code": 404},
    {"detail": "no such model: judge-1"},
    {"detail": [{"loc": ["body"], "msg": "no such model: judge-1"}]},
    [{"error": {"code": 404, "message": "no such model: judge-1", "status": "NOT_FOUND"}}],
    {"error": {"message": "Provider said", "metadata": {"raw": "no such model: judge-1"}}},
    "no such model: judge-1",
    "<html><head><style>p {}</style></head><body>no such model:\n<b>judge-1</b></body></html>",
]


@both
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [400, 403, 404, 503])
def test_what_the_provider_said_is_told(provider: Any, body: Any, status: int) -> None:
    with (
        serving(lambda n, asked: Answer(body, status)) as service,
        pytest.raises(ServiceError, match=f"HTTP {status}.*no such model: judge-1") as caught,
    ):
        ask(chat_at(service, provider))
    assert "\n" not in str(caught.value)


@both
def test_a_part_of_the_key_is_told_by_no_error(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for status in (400, 401, 403, 500):
        said = f"Incorrect key {KEY[:9]}****{KEY[-8:]}, see the page"
        with (
            serving(lambda n, body, s=status, t=said: fault(s, t)) as service,
            pytest.raises(ServiceError, match=r"Incorrect key \*\*\* see the page") as caught,
        ):
            ask(chat_at(service, provider, key_env="MY_KEY"))
        assert KEY[-8:] not in str(caught.value) and KEY[:9] not in str(caught.value)


@both
def test_an_error_or_a_page_in_place_of_an_answer_is_told(provider: Any) -> None:
    for body, told in (
        ({"error": {"message": "upstream is overloaded", "code": 502}}, "upstream is overloaded"),
        ("<!doctype html><title>Welcome</title>", "no JSON but 'Welcome'|something unreadable"),
        ({"hello": 1}, "something unreadable"),
    ):
        kind = "text/html" if isinstance(body, str) else "application/json"
        with (
            serving(
                lambda n, asked, b=body, k=kind: Answer(b, 200, {"content-type": k})
            ) as service,
            pytest.raises(ServiceError, match=told),
        ):
            ask(chat_at(service, provider))
