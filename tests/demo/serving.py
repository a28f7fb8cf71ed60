"""A server of the demo in a thread of its own, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from gazeheads.strips.drawn import draw_strips

pytest.importorskip("starlette", reason="the extra [serve] is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")
websockets = pytest.importorskip("websockets", reason="the extra [serve] is not installed")

from gazeheads.demo.commands import listen  # noqa: E402
from gazeheads.demo.house import House, HouseLimits  # noqa: E402
from gazeheads.demo.server import make_app  # noqa: E402

if TYPE_CHECKING:
    from gazeheads.vlm import VLM


class Running:
    """A server in a thread of its own."""

    def __init__(
        self, vlm: VLM, limits: HouseLimits, files: dict[str, bytes], panels: int = 3
    ) -> None:
        from gazeheads.scores.gaze import discover

        scores = discover(vlm, draw_strips(1, 5, panels, size=32))
        self.house = House(lambda report: (vlm, scores, 2), limits)
        self.listening = listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        app = make_app(self.house, files, ["127.0.0.1", "localhost"], ["http://friend.example"])
        config = uvicorn.Config(app, log_level="error", ws_max_size=limits.max_frame)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([self.listening],))
        self.thread.start()

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def healthy(self) -> dict[str, Any]:
        """Waits until the server says it is well."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            code, body = self.get("/healthz")
            if code == 200:
                return json.loads(body)
            time.sleep(0.1)
        raise AssertionError(f"not healthy: {body!r}")

    @contextlib.asynccontextmanager
    async def visit(self, **options: Any) -> Any:
        url = f"ws://127.0.0.1:{self.port}/ws"
        async with websockets.connect(url, max_size=None, **options) as socket:
            while (told := json.loads(await socket.recv()))["type"] == "loading":
                pass
            assert told["type"] == "ready", told
            socket.model = told["model"]
            yield socket


def finished(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine returns; in a thread, as a browser's driver may hold this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()  # type: ignore[arg-type]
