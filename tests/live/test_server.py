"""The server engine on loopback: real sockets, a tiny random model."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import struct
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import Image

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.live.uploads import PictureLimits
from gazeheads.live.worker import WorkerLimits
from live.serving import Running, finished, serving, websockets

if TYPE_CHECKING:
    from gazeheads.models import VLM

LIMITS = WorkerLimits(
    slots=4, queue=60, max_tokens=40, patience=2.0, connections=80,
    pictures=PictureLimits(max_bytes=200_000, max_pixels=100_000, max_side=1000),
)  # fmt: skip
FILES = {"index.html": b"<p>page"}
PANELS = [[0, 0, 32, 32], [32, 0, 64, 32], [64, 0, 96, 32]]


@pytest.fixture(scope="module")
def running(gqa: VLM) -> Iterator[Running]:
    server = serving(gqa, LIMITS, FILES)
    yield server
    server.end()


def png(width: int = 96, height: int = 32, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    noise = Image.effect_noise((width, height), 80).convert("RGB")
    noise.save(file, kind)
    return file.getvalue()


async def say(socket: Any, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def hear(socket: Any, *types: str) -> dict[str, Any]:
    """The next message of one of these types."""
    while True:
        told = json.loads(await asyncio.wait_for(socket.recv(), 60))
        if told["type"] in types:
            return told


async def begin(socket: Any, text: int = 1, picture: bytes | None = None, **more: Any) -> None:
    await socket.send(png() if picture is None else picture)
    ask: dict[str, Any] = {
        "text": text, "prompt": "what happens", "panels": PANELS, "region": None,
        "heads": socket.model["ranking"][:2], "delta": None, "maxTokens": 12,
    }  # fmt: skip
    await say(socket, type="start", **{**ask, **more})


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    return finished(work)


def test_a_text_is_written_token_by_token_as_the_page_asks(running: Running) -> None:
    async def visit() -> list[dict[str, Any]]:
        async with running.visit() as socket:
            await begin(socket)
            steps = []
            while (told := await hear(socket, "step", "done", "failed"))["type"] == "step":
                steps.append(told)
                if len(steps) == 12:
                    continue  # the last one: that the text is done is told at once
                with pytest.raises(TimeoutError):  # nothing else comes unasked
                    await asyncio.wait_for(socket.recv(), 0.02)
                await say(socket, type="next")
            assert told == {"type": "done", "text": 1, "reason": "length"}
            return steps

    steps = run(visit)
    assert [step["token"] for step in steps] == list(range(12))
    assert all(step["region"] is None and step["grid"] == [1, 3] for step in steps)
    assert all(len(step["attention"]) == 3 for step in steps)


def test_a_target_moved_between_two_tokens_steers_the_very_next_one(running: Running) -> None:
    where = [{"panel": 2}, {"panel": 2}, {"panel": 3}, None, {"box": [0, 0, 32, 32]}]

    async def visit() -> list[dict[str, Any]]:
        async with running.visit() as socket:
            await begin(socket, region=where[0], maxTokens=len(where))
            steps = [await hear(socket, "step")]
            for region in where[1:]:
                await say(socket, type="steer", region=region)
                await say(socket, type="next")
                steps.append(await hear(socket, "step"))
            return steps

    steps = run(visit)
    assert [step["region"] for step in steps] == where
    for step, column in ((steps[0], 1), (steps[2], 2), (steps[4], 0)):
        # hard steering: the heads look at the target alone
        assert step["attention"][column] == pytest.approx(1, abs=1e-3)
    assert max(steps[3]["attention"]) < 0.99


def test_heads_can_be_changed_between_two_tokens(running: Running) -> None:
    async def visit() -> list[list[float]]:
        async with running.visit() as socket:
            await begin(socket, region={"panel": 1}, heads=[])
            seen = [(await hear(socket, "step"))["attention"]]
            await say(socket, type="heads", heads=socket.model["ranking"])
            await say(socket, type="next")
            told = await hear(socket, "step")
            return [*seen, told["attention"], told["region"]]

    before, after, region = run(visit)
    assert before[0] < 0.99
    assert after[0] == pytest.approx(1, abs=1e-3) and region == {"panel": 1}


def test_the_strength_can_be_changed_between_two_tokens(running: Running) -> None:
    async def visit() -> list[float]:
        async with running.visit() as socket:
            every = socket.model["ranking"]
            await begin(socket, region={"panel": 1}, heads=every)
            seen = [(await hear(socket, "step"))["attention"][0]]
            for delta in (0, None):
                await say(socket, type="heads", heads=every, delta=delta)
                await say(socket, type="next")
                seen.append((await hear(socket, "step"))["attention"][0])
            return seen

    hard, weak, again = run(visit)
    assert hard == again == pytest.approx(1, abs=1e-3)
    assert weak < 0.99


def test_stopping_and_starting_anew_keeps_the_texts_apart(running: Running) -> None:
    async def visit() -> None:
        async with running.visit() as socket:
            await begin(socket, text=1)
            await hear(socket, "step")
            await say(socket, type="stop")
            assert await hear(socket, "done") == {"type": "done", "text": 1, "reason": "stopped"}
            await begin(socket, text=2)
            await begin(socket, text=3)
            assert (await hear(socket, "done"))["text"] == 2
            assert (await hear(socket, "step"))["text"] == 3

    run(visit)


def test_a_page_that_stops_asking_loses_its_slot(running: Running) -> None:
    async def visit() -> str:
        async with running.visit() as socket:
            await begin(socket)
            return (await hear(socket, "done"))["reason"]

    assert run(visit) == "stopped"


@pytest.mark.parametrize(
    "frame",
    [
        "", "no json", "[]", "{}", "null", '{"type": "dance"}', "[" * 50_000,
        '{"type": "start"}', '{"type": "heads", "heads": [], "delta": "hard"}',
        '{"type": "start", "text": 1, "prompt": "x", "panels": [[0, 0, "a", 1]], "maxTokens": 3}',
        '{"type": "start", "text": 1, "prompt": "x", "panels": [], "heads": [[1]], "maxTokens": 3}',
        '{"type": "start", "text": 1, "prompt": "x", "panels": [], "heads": [], "maxTokens": 1e9}',
        '{"type": "start", "text": 1, "prompt": "x", "panels": [], "heads": [], "delta": NaN,'
        ' "maxTokens": 3}',
        '{"type": "start", "text": 1, "prompt": "x", "panels": [], "heads": [], "maxTokens": 3}',
    ],
)  # fmt: skip
def test_malformed_frames_get_one_clean_error_and_the_visit_goes_on(
    running: Running, frame: str
) -> None:
    async def visit() -> None:
        async with running.visit() as socket:
            await socket.send(frame)
            told = await hear(socket, "error")
            assert len(told["message"]) < 200 and "\n" not in told["message"]
            await begin(socket)
            await hear(socket, "step")

    run(visit)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"heads": [[99, 0]]}, "does not exist"),
        ({"region": {"box": [0, 0, 5000, 32]}}, "outside"),
        ({"region": {"box": [5, 5, 5, 5]}}, "empty"),
        ({"region": {"panel": 4}}, "panel must be"),
        ({"region": {"path": "/etc/passwd"}}, "a region is"),
        ({"delta": -1e300}, "delta must be"),
        ({"prompt": "x <|image_pad|> <|image_pad|>"}, "placeholder"),
        ({"prompt": "x" * 5000}, "prompt"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    running: Running, more: dict[str, Any], told: str
) -> None:
    async def visit() -> str:
        async with running.visit() as socket:
            await begin(socket, **more)
            return (await hear(socket, "error", "failed", "step")).get("message", "accepted")

    assert told in run(visit)


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that would unfold into side x side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


@pytest.mark.parametrize(
    ("upload", "told"),
    [
        (b"", "not a PNG"),
        (b"../../etc/passwd", "not a PNG"),
        (SVG, "not a PNG"),
        (b"GIF89a" + bytes(50), "not a PNG"),
        (b"%PDF-1.4", "not a PNG"),
        (png()[:200], "damaged"),
        (png(2000, 10), "at most"),
        (b"\x89PNG\r\n\x1a\n" + bytes(250_000), "bytes"),
        (bomb(8_000), "8000 x 8000 pixels"),
        (bomb(30_000), "far too many pixels"),
    ],
)
def test_hostile_uploads_get_a_clean_error(running: Running, upload: bytes, told: str) -> None:
    async def visit() -> None:
        async with running.visit() as socket:
            await socket.send(upload)
            message = (await hear(socket, "error"))["message"]
            assert told in message and len(message) < 200
            await begin(socket, picture=png(kind="JPEG"))
            await hear(socket, "step")

    run(visit)


def test_a_frame_beyond_all_bounds_ends_that_visit_only(running: Running) -> None:
    async def visit() -> None:
        async with running.visit() as socket:
            await socket.send(bytes(1_000_000))
            with pytest.raises(websockets.ConnectionClosed):
                await hear(socket, "never")

    run(visit)
    assert running.healthy()["status"] == "ok"


def test_pages_of_others_are_turned_away(running: Running) -> None:
    async def visit(origin: str) -> bool:
        try:
            async with running.visit(origin=origin):
                return True
        except websockets.InvalidStatus as error:
            assert error.response.status_code == 403
            return False

    assert run(lambda: visit(f"http://127.0.0.1:{running.port}"))
    assert run(lambda: visit("http://friend.example"))
    assert not run(lambda: visit("http://evil.example"))
    assert not run(lambda: visit(f"http://127.0.0.1:{running.port}.evil.example"))
    assert not run(lambda: visit("null"))
    assert running.get("/", Host="evil.example")[0] == 400


def test_no_path_reaches_the_file_system(running: Running) -> None:
    assert running.get("/") == (200, b"<p>page")
    for path in (
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd", "/%2e%2e/pyproject.toml",
        "/gallery/../server.py", "/drawn/../../x.json", "/drawn/-1.json", "/drawn/1e9.json", "/\0",
    ):  # fmt: skip
        assert running.get(path.replace("\0", "%00"))[0] == 404, path
    assert running.get("/drawn/99999999999999.json")[0] == 400


def test_another_strip_is_drawn_from_its_seed(running: Running) -> None:
    first, again, other = (json.loads(running.get(f"/drawn/{n}.json")[1]) for n in (7, 7, 8))
    assert first == again and first["picture"] != other["picture"]
    assert len(first["panels"]) == len(first["captions"]) == 6
    assert first["picture"].startswith("data:image/webp;base64,")
    assert draw_strips(1, 7)[0].captions[0][0] == first["captions"][0]  # type: ignore[index]


def test_dropped_connections_free_their_slots(running: Running) -> None:
    async def drop() -> None:
        async with running.visit() as socket:
            await begin(socket, maxTokens=40)
            await hear(socket, "step")
            await say(socket, type="next")
            socket.transport.abort()

    async def visits() -> None:
        await asyncio.gather(*(drop() for _ in range(12)), return_exceptions=True)

    run(visits)
    until = time.monotonic() + 20
    while (state := running.healthy())["visitors"] or state["waiting"]:
        assert time.monotonic() < until, state
        time.sleep(0.1)


async def crowd(running: Running, connections: int, seconds: float) -> list[int]:
    """Texts each of many connections gets in that time, all asking as fast as they can."""
    until = time.monotonic() + seconds

    async def one() -> int:
        texts = 0
        async with running.visit() as socket:
            while time.monotonic() < until:
                await begin(socket, text=texts, maxTokens=5)
                while (told := await hear(socket, "step", "done", "failed"))["type"] == "step":
                    await say(socket, type="next")
                assert told["type"] == "done" and told["reason"] in ("length", "end"), told
                texts += 1
        return texts

    return await asyncio.gather(*(one() for _ in range(connections)))


def test_many_connections_share_the_model_and_none_starves(running: Running) -> None:
    texts = run(lambda: crowd(running, 50, 4))
    assert min(texts) >= 1 and max(texts) <= 3 * min(texts) + 3


@pytest.mark.slow
def test_a_crowd_of_fifty_leaves_memory_flat(
    running: Running, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    process = psutil.Process()
    run(lambda: crowd(running, 50, 5))  # what is made once
    before = process.memory_info().rss
    texts = run(lambda: crowd(running, 50, request.config.getoption("--crowd-seconds")))
    grown = (process.memory_info().rss - before) / 1e6
    assert min(texts) >= 1 and max(texts) <= 2 * min(texts) + 3, texts
    with capsys.disabled():
        print(f" {min(texts)} to {max(texts)} texts each, {grown:+.1f} MB")
    assert grown < 40
    state = running.healthy()
    assert state["waiting"] == 0


def test_a_full_queue_says_so_and_a_full_server_closes(gqa: VLM) -> None:
    limits = WorkerLimits(slots=1, queue=1, connections=3, max_tokens=5, patience=5)
    running = serving(gqa, limits, FILES)

    async def visits() -> None:
        async with running.visit() as first, running.visit() as second, running.visit() as third:
            await begin(first)
            await hear(first, "step")
            await begin(second)
            assert (await hear(second, "waiting"))["ahead"] == 0
            await begin(third)
            assert "try again later" in (await hear(third, "failed"))["message"]
            with pytest.raises((websockets.ConnectionClosed, AssertionError)):
                async with running.visit():
                    pass
            await say(second, type="steer", region={"panel": 3})  # while it waits
            await say(first, type="stop")
            assert (await hear(second, "step"))["region"] == {"panel": 3}

    try:
        run(visits)
    finally:
        running.end()


def test_shutting_down_in_the_middle_of_a_text_is_quick(gqa: VLM) -> None:
    running = serving(gqa, LIMITS, FILES)

    async def visit() -> None:
        async with running.visit() as socket:
            await begin(socket)
            await hear(socket, "step")
            began = time.monotonic()
            await asyncio.to_thread(running.end)
            assert time.monotonic() - began < 10

    with contextlib.suppress(websockets.ConnectionClosed):
        run(visit)
