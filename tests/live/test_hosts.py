"""The page with comic-tiny on web servers and in browsers that have their faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from browsers import CHROMIUM, FLAGS

from gazeheads.live.page import DESCRIPTION, page_files
from live.hosting import Answer, Fault, Host, hosted
from live.visiting import PATIENCE

pytestmark = pytest.mark.slow

VISION, TOKENIZER = "model/vision.onnx", "model/tokenizer.json"
WHOLE = len(page_files()[VISION])
"""Bytes of that file."""
CONFIG = "model/tokenizer_config.json"
DAMAGE = """async (damages) => {
    const cache = await caches.open("gazeheads-models");
    for (const { url } of await cache.keys()) {
        const damage = damages[new URL(url).pathname.slice(1)];
        if (!damage) continue;
        const data = new Uint8Array(await (await cache.match(url)).arrayBuffer());
        await cache.put(url, eval(damage)(data));
    }
}"""
"""Puts something else in the place of cached files: functions of the bytes, by path."""
CUT_SHORT = "data => new Response(data.slice(0, data.length / 2))"
OTHER_BYTE = "data => (data[data.length - 9] ^= 1, new Response(data))"
ZEROS = "data => new Response(data.fill(0))"
LONGER = "data => new Response(new Blob([data, 'more']))"
EMPTY = "data => new Response('')"
A_PAGE = "data => new Response('<!doctype html><p>Sign in to the network of the hotel')"
AN_ERROR = "data => new Response('try later', { status: 503 })"
NO_CACHES = {
    "there is none": "delete WorkerGlobalScope.prototype.caches",
    "asking is forbidden": """Object.defineProperty(WorkerGlobalScope.prototype, "caches", {
        get() { throw new DOMException("sandboxed", "SecurityError"); } })""",
    "opening is forbidden": """CacheStorage.prototype.open = async () => {
        throw new DOMException("The operation is insecure.", "SecurityError"); }""",
    "the disk is full": """Cache.prototype.put = async () => {
        throw new DOMException("Quota exceeded.", "QuotaExceededError"); }""",
    "every call fails": """for (const name of ["match", "put", "keys", "delete"])
        Cache.prototype[name] = () => { throw new Error("broken"); }""",
    "its files cannot be read": """Cache.prototype.match = async () => new Response(
        new ReadableStream({ pull(stream) { stream.error(new Error("lost")); } }))""",
    "it gives what it may not show": "Cache.prototype.match = async () => Response.error()",
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return page_files()


@pytest.fixture
def host(files: dict[str, bytes]) -> Iterator[Host]:
    with hosted(files) as started:
        yield started


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    """A browser that has never been here."""
    opened = browser.new_context()
    yield opened
    opened.close()


def outcome(context: Any, url: str) -> str:
    """Opens the page; "" when the model runs, else what the page says is wrong."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#plain:enabled, #trouble:visible", timeout=PATIENCE)
    told = "" if page.is_enabled("#plain") else str(page.inner_text("#trouble"))
    page.close()
    return told


def damaged(context: Any, host: Host, damages: dict[str, str]) -> None:
    """Damages files in the browser's cache."""
    page = context.new_page()
    page.goto(host.url + "gallery/strips.json")
    page.evaluate(DAMAGE, damages)
    page.close()


def fetched(host: Host) -> list[str]:
    """The model's files that were asked for since this was called last."""
    asked = [path for path in host.asked if path.startswith("model/")]
    host.asked.clear()
    return asked


def without_hashes(host: Host) -> None:
    """Makes the host's model one that was exported without hashes."""
    described = json.loads(host.files[DESCRIPTION])
    for file in described["files"]:
        del file["hash"]
    host.files[DESCRIPTION] = json.dumps(described).encode()


def in_the_worker(host: Host, script: str) -> None:
    """Lets the page's worker begin with a script."""
    (worker,) = (path for path in host.files if path.startswith("assets/worker"))
    host.files[worker] = f"{script};\n".encode() + host.files[worker]


@pytest.mark.parametrize(
    "damages",
    [
        {VISION: CUT_SHORT, TOKENIZER: OTHER_BYTE, CONFIG: EMPTY},
        {VISION: ZEROS, TOKENIZER: CUT_SHORT, CONFIG: LONGER},
        {VISION: AN_ERROR, TOKENIZER: A_PAGE, CONFIG: A_PAGE},
    ],
)
def test_damaged_files_in_the_cache_are_fetched_again_once(
    context: Any, host: Host, damages: dict[str, str]
) -> None:
    assert outcome(context, host.url) == ""
    damaged(context, host, damages)
    fetched(host)
    assert outcome(context, host.url) == ""
    assert fetched(host) == [DESCRIPTION, TOKENIZER, CONFIG, VISION]
    assert outcome(context, host.url) == ""
    assert fetched(host) == [DESCRIPTION]


@pytest.mark.parametrize("path", [VISION, TOKENIZER])
def test_without_hashes_a_cached_file_that_cannot_be_used_is_fetched_again(
    context: Any, host: Host, path: str
) -> None:
    without_hashes(host)
    assert outcome(context, host.url) == ""
    damaged(context, host, {path: ZEROS})
    fetched(host)
    assert outcome(context, host.url) == ""
    assert fetched(host).count(path) == 1


@pytest.mark.parametrize("why", NO_CACHES)
def test_a_cache_that_refuses_is_no_cache(context: Any, host: Host, why: str) -> None:
    in_the_worker(host, NO_CACHES[why])
    assert outcome(context, host.url) == ""


def test_the_page_runs_without_https(playwright_driver: Any, host: Host) -> None:
    flags = [FLAGS[0], "--host-resolver-rules=MAP plain.example 127.0.0.1"]
    started = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=flags)
    url = f"http://plain.example:{host.port}/"
    page = started.new_page()
    page.goto(url + "gallery/strips.json")
    assert page.evaluate("typeof caches + typeof crypto.subtle") == "undefinedundefined"
    # the same length, other bytes, once: only the runtime notices
    host.faults[VISION] = lambda data: Answer(bytes(len(data)))
    host.first_only = True
    assert outcome(started, url) == ""
    started.close()
    assert fetched(host).count(VISION) == 2


def test_a_host_that_answers_everything_with_its_start_page_is_recognised(
    browser: Any, host: Host
) -> None:
    host.start_page = True

    def visited() -> str:
        context = browser.new_context()
        told = outcome(context, host.url)
        context.close()
        return told

    assert visited() == ""
    for path in (VISION, DESCRIPTION, "gallery/strips.json"):
        data = host.files.pop(path)
        assert visited().endswith(f"{path} is not there: the server sent a web page instead of it")
        host.files[path] = data
    # without a content type that says so
    host.faults[VISION] = lambda _: Answer(b"\n<html>", kind="application/octet-stream")
    assert "model/vision.onnx is not there" in visited()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"not found"),
        Answer(b""),
        Answer(b"null"),
        Answer(b'{"error": "not found"}'),
        Answer(b"<p>no", 404, "text/html"),
        Answer(b"<Error>AccessDenied</Error>", 403, "application/xml"),
    ],
    ids=lambda answer: f"{answer.status} {answer.body!r}",
)
def test_a_static_host_may_say_in_any_way_that_it_runs_no_model(
    context: Any, host: Host, answer: Answer
) -> None:
    host.faults["engine.json"] = lambda _: answer
    # the page goes on to run the model itself, and finds none
    del host.files[DESCRIPTION]
    assert outcome(context, host.url).endswith("model/model.json is not there (404)")


def ends_early(data: bytes) -> Answer:
    """The connection breaks in the middle."""
    return Answer(data[: len(data) // 2], length=len(data))


def is_short(data: bytes) -> Answer:
    """The server's own copy was cut short."""
    return Answer(data[: len(data) // 2])


@pytest.mark.parametrize("fault", [ends_early, is_short])
def test_downloads_that_break_off_once_are_tried_again(
    context: Any, host: Host, fault: Fault
) -> None:
    paths = (VISION, TOKENIZER, DESCRIPTION, "gallery/strips.json")
    host.faults, host.first_only = dict.fromkeys(paths, fault), True
    assert outcome(context, host.url) == ""
    assert [host.asked.count(path) for path in paths] == [2] * len(paths)


@pytest.mark.parametrize(
    ("path", "fault", "told"),
    [
        (VISION, lambda _: Answer(b"", 404), "model/vision.onnx is not there (404)"),
        (VISION, lambda _: Answer(b"", 403), "the server refuses to send .*vision.onnx (403)"),
        (VISION, lambda _: Answer(b"", 500), "the server cannot send .*vision.onnx now (500): try"),
        (VISION, ends_early, f"model/vision.onnx arrived incomplete, .* of {WHOLE} bytes: reload"),
        (VISION, is_short, f"model/vision.onnx arrived incomplete, {WHOLE // 2} of {WHOLE} bytes"),
        (VISION, lambda data: Answer(data + b"x"), f"vision.onnx is longer than the {WHOLE} bytes"),
        (VISION, lambda data: Answer(bytes(len(data))), "vision.onnx has other contents than mod"),
        (TOKENIZER, is_short, "model/tokenizer.json arrived incomplete, 19730 of 39460 bytes: re"),
        (DESCRIPTION, lambda _: Answer(b"", 404), "model/model.json is not there (404)"),
        (DESCRIPTION, is_short, "model/model.json arrived incomplete or is not JSON"),
        (DESCRIPTION, ends_early, "model/model.json arrived incomplete or is not JSON"),
        (DESCRIPTION, lambda _: Answer(b"null"), "model.json does not describe an exported model"),
        (
            DESCRIPTION,
            lambda _: Answer(b'{"kind": "gazeheads-web-model", "files": [{}]}'),
            "model.json leaves out what the page needs: export the model again",
        ),
        (
            "engine.json",
            lambda _: Answer(b"", 503),
            "the server cannot send .*engine.json now (50",
        ),
        ("gallery/3.webp", lambda _: Answer(b"<p>"), "did not send the picture .*gallery/3.webp"),
    ],
)
def test_a_file_that_cannot_be_had_is_one_sentence_with_its_name(
    context: Any, host: Host, path: str, fault: Fault, told: str
) -> None:
    host.faults[path] = fault
    said = outcome(context, host.url)
    assert "\n" not in said
    before, _, after = told.partition(".*")
    assert before in said and after in said[said.index(before) :], said


@pytest.mark.parametrize("beginning", ["worker", "ort-wasm-simd-threaded-", "engine.js"])
def test_a_script_that_is_missing_is_told_and_nothing_waits_for_it(
    context: Any, host: Host, beginning: str
) -> None:
    (path,) = (path for path in host.files if path.startswith(f"assets/{beginning}"))
    del host.files[path]
    host.start_page = True
    said = outcome(context, host.url)
    assert "assets" in said and "\n" not in said


def test_files_that_are_compressed_on_the_way_are_as_long_as_described(
    context: Any, host: Host
) -> None:
    host.zipped = True
    assert outcome(context, host.url) == ""
