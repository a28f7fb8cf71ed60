"""The gaze server under load, with keys, and with clients that mean no good."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from live.serving import Running, finished
from PIL import Image

from gazeheads import Region, Steering
from serving.conftest import HEADS, KEYS, LIMITS, asking, client_of, data_url, hosted

if TYPE_CHECKING:
    from gazeheads.models import VLM

httpx = pytest.importorskip("httpx2", reason="needs pip install 'gazeheads[judge]'")

PICTURE = Image.effect_noise((96, 64), 90).convert("RGB")
QUESTION = "what happens?"
CHAT = "v1/chat/completions"


def body(**more: Any) -> dict[str, Any]:
    return {"model": "tiny-random", "messages": asking(QUESTION, PICTURE), "max_tokens": 6, **more}


@pytest.fixture(scope="module")
def locked(gqa: VLM) -> Iterator[Running]:
    server = hosted(gqa, keys=KEYS)
    server.healthy()
    yield server
    server.end()


@pytest.mark.slow
def test_sixty_clients_at_once_each_get_their_own_gaze(api: Running, gqa: VLM) -> None:
    """What each is given is what it would be given alone."""
    boxes = [(16.0 * (n % 5), 0.0, 16.0 * (n % 5) + 32, 64.0) for n in range(60)]
    prompt = gqa.encode(PICTURE, QUESTION)
    expected = {
        box: gqa.generate((prompt, Steering(HEADS, Region.from_box(*box))), max_new_tokens=12)[0]
        for box in set(boxes)
    }
    assert len({done.text for done in expected.values()}) > 1
    first: list[float] = []

    async def one(box: tuple[float, ...]) -> str:
        client = client_of(api, asynchronous=True)
        began = time.monotonic()
        stream = await client.chat.completions.create(
            model="tiny-random", messages=asking(QUESTION, PICTURE), max_tokens=12, stream=True,
            extra_body={"gaze": {"box": list(box)}},
        )  # fmt: skip
        parts = []
        async for chunk in stream:
            if not parts:
                first.append(time.monotonic() - began)
            parts.append(chunk.choices[0].delta.content or "")
        return "".join(parts)

    async def everyone() -> list[str]:
        return await asyncio.gather(*(one(box) for box in boxes))

    texts = finished(everyone)
    assert texts == [expected[box].text for box in boxes]
    health = api.healthy()
    assert (health["texts"], health["waiting"]) == (0, 0)


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_leaves_frees_its_slot(gqa: VLM, streams: bool) -> None:
    server = hosted(gqa, replace(LIMITS, slots=1, queue=0))
    server.healthy()
    try:
        long = body(max_tokens=600, stream=streams)
        if streams:
            with httpx.stream("POST", server.url + CHAT, json=long, timeout=20) as answer:
                next(answer.iter_lines())
        else:
            with pytest.raises(httpx.TimeoutException):
                httpx.post(server.url + CHAT, json=long, timeout=0.3)
        until = time.monotonic() + 10
        while server.healthy()["texts"] and time.monotonic() < until:
            time.sleep(0.05)
        assert httpx.post(server.url + CHAT, json=body(), timeout=20).status_code == 200
    finally:
        server.end()


def test_a_full_queue_says_so(gqa: VLM) -> None:
    server = hosted(gqa, replace(LIMITS, slots=1, queue=0))
    server.healthy()
    try:
        with httpx.stream(
            "POST", server.url + CHAT, json=body(max_tokens=600, stream=True), timeout=20
        ) as answer:
            lines = answer.iter_lines()  # the connection ends with it
            next(lines)
            busy = httpx.post(server.url + CHAT, json=body(), timeout=20)
        assert busy.status_code == 429 and busy.headers["retry-after"] == "2"
        assert busy.json()["error"]["code"] == "busy"
    finally:
        server.end()


def test_a_text_that_takes_too_long_is_no_answer(gqa: VLM) -> None:
    server = hosted(gqa, replace(LIMITS, text_seconds=0.2, max_tokens=5000))
    server.healthy()
    try:
        late = httpx.post(server.url + CHAT, json=body(max_tokens=3000), timeout=20)
        assert late.status_code == 504 and "0.2 s" in late.json()["error"]["message"]
        streamed = httpx.post(
            server.url + CHAT, json=body(max_tokens=3000, stream=True), timeout=20
        )
        assert "too_slow" in streamed.text and "[DONE]" not in streamed.text
    finally:
        server.end()


def test_without_a_key_nothing_is_told(locked: Running) -> None:
    for path, send in (("v1/models", None), (CHAT, body()), ("v1/gaze/x", {"panel": 1})):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {KEYS[0]}"},
        ):
            url = locked.url + path
            answer = (
                httpx.get(url, headers=headers)
                if send is None
                else httpx.post(url, json=send, headers=headers)
            )
            assert answer.status_code == 401, (path, headers)
            assert answer.json()["error"]["code"] == "invalid_api_key"
    done = client_of(locked, KEYS[1]).chat.completions.create(
        model="tiny-random", messages=asking(QUESTION, PICTURE), max_tokens=3
    )
    assert done.usage.completion_tokens == 3


def test_another_key_cannot_move_a_text(locked: Running) -> None:
    def header(n: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEYS[n]}"}

    send = body(max_tokens=600, stream=True, gaze={"panels": 3, "panel": 1})
    with httpx.stream("POST", locked.url + CHAT, json=send, headers=header(0)) as answer:
        lines = answer.iter_lines()  # the connection ends with it
        name = json.loads(next(lines).removeprefix("data: "))["id"]
        url = f"{locked.url}v1/gaze/{name}"
        assert httpx.post(url, json={"panel": 2}, headers=header(1)).status_code == 404
        assert httpx.post(url, json={"panel": 2}, headers=header(0)).status_code == 200


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "gpt-9"}, "there is no 'gpt-9' here"),
        ({"n": 2}, "n: "),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"colour": "red"}, "colour: this server knows no such field"),
        ({"temperature": float("1e300")}, "temperature"),
        ({"top_p": 0.5}, "temperature above 0"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**9}, "more than this server gives, 600"),
        ({"max_tokens": True}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": "hello"}]}, "no picture"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "no picture"),
        ({"messages": [5]}, "role and content"),
        ({"gaze": {"box": [0, 0, 1]}}, "gaze.box"),
        ({"gaze": {"box": [0, 0, "a", 4]}}, "gaze.box"),
        ({"gaze": {"box": [50, 0, 20, 64]}}, "empty"),
        ({"gaze": {"box": [0, 0, 900, 900]}}, "sticks out"),
        ({"gaze": {"panel": 2}}, "gaze.panels"),
        ({"gaze": {"panel": 4, "panels": 3}}, "no panel 4"),
        ({"gaze": {"cell": [3, 1], "grid": [2, 2]}}, "no cell 3, 1"),
        ({"gaze": {"cell": [1, 1]}}, "gaze.grid"),
        ({"gaze": {"box": [0, 0, 9, 9], "panel": 1}}, "box and panel"),
        ({"gaze": {"panel": 1, "panels": 3, "image": 2}}, "no picture 2"),
        ({"gaze": {"mask": "http://169.254.169.254/x.png"}}, "not fetched"),
        ({"gaze": {"mask": "data:image/png;base64,###"}}, "base64"),
        ({"gaze": {"mask": data_url(PICTURE)}}, "black and white"),
        ({"gaze": {"panel": 1, "panels": 3, "heads": ["L9H9"]}}, "does not exist"),
        ({"gaze": {"panel": 1, "panels": 3, "heads": ["x"]}}, "names no head"),
        ({"gaze": {"panel": 1, "panels": 3, "heads": []}}, "at least one head"),
        ({"gaze": {"panel": 1, "panels": 3, "heads": "all", "k": 2}}, "name either"),
        ({"gaze": {"panel": 1, "panels": 3, "k": 99}}, "99"),
        ({"gaze": {"panel": 1, "panels": 3, "delta": float("nan")}}, "gaze.delta"),
        ({"gaze": {"panel": 1, "panels": 3, "mode": "soft"}}, "finite delta"),
        ({"gaze": {"schedule": [{"step": 3, "panel": 1}], "panels": 3}}, "starts at step 0"),
        ({"gaze": {"schedule": [{"step": 0, "panel": 1}], "panels": 3, "panel": 2}}, "not both"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(api: Running, change: dict[str, Any], told: str) -> None:
    text = json.dumps({**body(), **change})
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(api.url + CHAT, content=text, headers=headers, timeout=20)
    assert answer.status_code in (400, 404), answer.text
    message = answer.json()["error"]["message"]
    assert told in message and "\n" not in message and len(message) < 400


def test_hostile_bodies(api: Running) -> None:
    headers = {"Content-Type": "application/json"}
    bomb = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
    deep = b"[" * 200_000 + b"]" * 200_000
    pictures = [
        "http://169.254.169.254/latest", "file:///etc/passwd", "data:text/html;base64,PGh0bWw+",
        data_url(Image.new("RGB", (990, 990))), data_url(PICTURE, "gif"),
    ]  # fmt: skip
    for data in (b"", b"{", b"null", b"[]", deep, b"\xff\xfe", bomb):
        answer = httpx.post(api.url + CHAT, content=data, headers=headers, timeout=20)
        assert answer.status_code == 400, data[:20]
    for url in pictures:
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "x"}]
        sent = body(messages=[{"role": "user", "content": parts}])
        assert httpx.post(api.url + CHAT, json=sent, timeout=20).status_code == 400, url
    assert httpx.post(api.url + CHAT, content=b"{}").status_code == 415  # a page's plain form
    host = {**headers, "Host": "evil.example"}
    assert httpx.post(api.url + CHAT, content=b"{}", headers=host).status_code == 400
    assert httpx.get(api.url + "v1/nothing").status_code == 404
    assert httpx.get(api.url + CHAT).status_code in (404, 405)
    large = b'{"model": "' + b"x" * 15_000_000 + b'"}'
    assert httpx.post(api.url + CHAT, content=large, headers=headers, timeout=30).status_code == 413
    long = body(messages=asking("word " * 5000, PICTURE))
    answer = httpx.post(api.url + CHAT, json=long, timeout=20)
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert api.healthy()["texts"] == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(api: Running, tmp_path: Any) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(body(gaze={"panel": 1, "panels": 3}, stream=True)))
    command = [
        "curl",
        "-sN",
        api.url + CHAT,
        "-H",
        "Content-Type: application/json",
        "-d",
        f"@{file}",
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    lines = [line for line in told.splitlines() if line]
    assert lines[-1] == "data: [DONE]" and len(lines) == 9
    assert all(line.startswith("data: ") for line in lines)


@pytest.mark.slow
def test_memory_stays_flat_under_load(api: Running, request: pytest.FixtureRequest) -> None:
    """A short trial; `--crowd-seconds 300` makes it the full one."""

    async def load(seconds: float) -> int:
        until, count = time.monotonic() + seconds, 0

        async def one(n: int) -> None:
            nonlocal count
            async with httpx.AsyncClient(timeout=60) as client:
                while time.monotonic() < until:
                    picture = Image.effect_noise((96, 64), 90).convert("RGB")
                    sent = body(
                        messages=asking(QUESTION, picture), max_tokens=10, stream=bool(n % 2),
                        gaze={"panel": n % 3 + 1, "panels": 3, "watch": "map"},
                    )  # fmt: skip
                    answer = await client.post(api.url + CHAT, json=sent)
                    assert answer.status_code == 200, answer.text
                    count += 1

        await asyncio.gather(*(one(n) for n in range(24)))
        return count

    process = psutil.Process()
    finished(lambda: load(5))  # what is made once
    before = process.memory_info().rss
    texts = finished(lambda: load(request.config.getoption("--crowd-seconds")))
    grown = (process.memory_info().rss - before) / 1e6
    print(f" {texts} texts, {grown:+.1f} MB")
    assert grown < 40
