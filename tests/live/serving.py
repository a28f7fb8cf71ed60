"""A server of the demo in a thread of its own, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from gazeheads.data.drawn.strips import draw_strips

pytest.importorskip("starlette", reason="needs pip install 'gazeheads[serve]'")
uvicorn = pytest.importorskip("uvicorn", reason="needs pip install 'gazeheads[serve]'")
websockets = pytest.importorskip("websockets", reason="needs pip install 'gazeheads[serve]'")

from gazeheads.cli.listening import listen  # noqa: E402
from gazeheads.live.server import make_app  # noqa: E402
from gazeheads.live.worker import ModelWorker, PreparedModel, WorkerLimits  # noqa: E402

if TYPE_CHECKING:
    from gazeheads.models import VLM


class Running:
    """A server in a thread of its own.

    Attributes:
        worker: runs the model; None: pages run it themselves.
        port: of 127.0.0.1.
        sent: bytes of the answers, by path, as they went over the wire.
    """

    def __init__(
        self, worker: ModelWorker | None, files: dict[str, bytes], app: Any = None
    ) -> None:
        """Args beyond the attributes: the page's files, and an application instead of the demo."""
        self.worker = worker
        self.sent: Counter[str] = Counter()
        self.listening = listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        hosts, friends = ["127.0.0.1", "localhost"], ["http://friend.example"]
        self._app = app if app is not None else make_app(worker, files, hosts, friends)
        limits = WorkerLimits() if worker is None else worker.limits
        config = uvicorn.Config(
            self._answer, interface="asgi3", log_level="error", ws_max_size=limits.max_frame
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, args=([self.listening],), daemon=True
        )
        self.thread.start()

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/"

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted(message: Any) -> None:
            self.sent[scope.get("path", "")] += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, counted)

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


def serving(vlm: VLM, limits: WorkerLimits, files: dict[str, bytes], panels: int = 3) -> Running:
    """A server that runs a model, with its heads scored."""
    from gazeheads.discovery.gaze import discover

    scores = discover(vlm, draw_strips(1, 5, panels, size=32))
    return Running(
        ModelWorker(lambda report: PreparedModel(vlm, scores.top(2), scores), limits), files
    )


def finished(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a coroutine returns; in a thread, as a browser's driver may hold this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()  # type: ignore[arg-type]
