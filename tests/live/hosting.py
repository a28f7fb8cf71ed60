"""A static web server with the faults that web servers have."""

from __future__ import annotations

import gzip
import mimetypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        body: what is sent.
        status: HTTP's.
        kind: content type; "": by the path.
        length: content length that is announced; None: that of the body. If it is more, the
            connection ends before.
    """

    body: bytes
    status: int = 200
    kind: str = ""
    length: int | None = None


Fault = Callable[[bytes], Answer]


@dataclass
class Host:
    """A web server.

    Attributes:
        files: by path.
        start_page: unknown paths are answered with the start page and status 200.
        zipped: answers are compressed, with the length of what is sent.
        faults: what becomes of a file, by path.
        first_only: a fault happens to the first request of a file only.
        asked: the paths of all requests.
        port: of 127.0.0.1.
    """

    files: dict[str, bytes]
    start_page: bool = False
    zipped: bool = False
    faults: dict[str, Fault] = field(default_factory=dict)
    first_only: bool = False
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def answer(self, path: str) -> Answer:
        """What a request gets."""
        path = path or "index.html"
        again = path in self.asked
        self.asked.append(path)
        data = self.files.get(path)
        if (fault := self.faults.get(path)) and not (again and self.first_only):
            return fault(data or b"")
        if data is not None:
            return Answer(data)
        if self.start_page:
            return Answer(self.files["index.html"], kind="text/html")
        return Answer(b"no such file", 404, "text/plain")


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args: object, host: Host) -> None:
        self.host = host
        super().__init__(*args)  # type: ignore[arg-type]

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.lstrip("/")
        answer = self.host.answer(path)
        kind = answer.kind or mimetypes.guess_type(path or "index.html")[0]
        body = gzip.compress(answer.body, 1) if self.host.zipped else answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(answer.length or len(body)))
        if self.host.zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def hosted(files: dict[str, bytes]) -> Iterator[Host]:
    """Serves files on a free port."""
    host = Host(dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, host=host))
    server.daemon_threads = True
    host.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
