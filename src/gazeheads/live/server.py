"""The web server of the demo: the page's files, drawn strips, the server engine's socket.

Nothing a client sends becomes a path: the files are read once at the start and found by their
exact name.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gazeheads.live import gallery
from gazeheads.live.connection import Connection
from gazeheads.live.slots import BusyError, Slots
from gazeheads.live.worker import ModelWorker

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asks whether it has changed, every time
}
TRY_AGAIN = 1013  # WebSocket close code


@dataclass(frozen=True, eq=False)
class File:
    """One file of the page, in memory."""

    kind: str
    data: bytes
    tag: str

    @classmethod
    def of(cls, path: str, data: bytes) -> File:
        """A file by its path, whose ending says what it is."""
        script = path.endswith((".js", ".mjs"))
        kind = "text/javascript" if script else mimetypes.guess_type(path)[0]
        return cls(kind or "application/octet-stream", data, f'"{sha256(data).hexdigest()[:20]}"')

    def response(self, request: Request) -> Response:
        """The file, or word that the browser has it already."""
        headers = {**HEADERS, "ETag": self.tag}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.data, media_type=self.kind, headers=headers)


def make_app(
    worker: ModelWorker | None,
    files: dict[str, bytes],
    hosts: Sequence[str],
    origins: Sequence[str] = (),
) -> Starlette:
    """The application.

    Args:
        worker: runs the model for the server engine; None: pages run it themselves.
        files: contents of the page's files, by path.
        hosts: names under which browsers may call the server; guards against other names that
            someone has pointed at it. "*" admits any.
        origins: of pages elsewhere that may use the server engine, as "https://name:port".
    """
    handlers = _Handlers(worker, files, frozenset(origins))
    routes = [
        Route("/healthz", handlers.health),
        Route("/engine.json", handlers.engine),
        Route("/drawn/{seed:int}.json", handlers.drawn),
        Route("/{path:path}", handlers.file),
    ]
    if worker is not None:
        routes.insert(0, WebSocketRoute("/ws", handlers.socket))  # type: ignore[arg-type]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if worker is not None:
            worker.open()
        yield
        if worker is not None:
            worker.close()

    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
        Middleware(GZipMiddleware, minimum_size=2000, compresslevel=5),
    ]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


class _Handlers:
    """Answers the requests."""

    def __init__(
        self, worker: ModelWorker | None, files: dict[str, bytes], origins: frozenset[str]
    ) -> None:
        self._worker, self._origins = worker, origins
        self._files = {path: File.of(path, data) for path, data in files.items()}
        self._files[""] = self._files["index.html"]
        self._drawing = Slots(1, 32)  # one strip is drawn at a time

    async def file(self, request: Request) -> Response:
        found = self._files.get(request.path_params["path"])
        if found is None:
            return JSONResponse({"error": "not found"}, 404, HEADERS)
        return found.response(request)

    async def health(self, _: Request) -> Response:
        worker = self._worker
        if worker is None:
            return JSONResponse({"status": "ok", "engine": "browser"})
        status = "failed" if worker.failure else "ok" if worker.ready else "loading"
        state = {
            "status": status,
            "engine": "server",
            "visitors": worker.connections,
            "waiting": worker.slots.waiting,
        }
        return JSONResponse(state, 200 if status == "ok" else 503)

    async def engine(self, _: Request) -> Response:
        """Which engine the page is to use, and whether strips can be drawn here."""
        name = "browser" if self._worker is None else "server"
        return JSONResponse({"engine": name, "draws": True}, headers=HEADERS)

    async def drawn(self, request: Request) -> Response:
        seed = request.path_params["seed"]
        if seed > gallery.MOST_SEED:
            return JSONResponse({"error": f"seeds go to {gallery.MOST_SEED}"}, 400, HEADERS)
        try:
            async with self._drawing.take(lambda ahead: None):
                drawn = await asyncio.to_thread(gallery.drawn_json, seed)
        except BusyError as error:
            return JSONResponse({"error": str(error)}, 503, {**HEADERS, "Retry-After": "2"})
        return JSONResponse(drawn, headers=HEADERS)

    async def socket(self, socket: WebSocket) -> None:
        worker = self._worker
        if worker is None or not self._is_our_page(socket):
            await socket.close()  # before it was accepted: the client sees 403
            return
        await socket.accept()
        if worker.connections >= worker.limits.connections:
            await socket.close(TRY_AGAIN, "too many connections: try again later")
            return
        worker.connections += 1
        try:
            await Connection(socket, worker).serve()
        finally:
            worker.connections -= 1

    def _is_our_page(self, socket: WebSocket) -> bool:
        """Whether the page that opens the socket is ours; programs send no origin."""
        origin = socket.headers.get("origin")
        if origin is None or origin in self._origins:
            return True
        return urlsplit(origin).netloc == socket.headers.get("host")
