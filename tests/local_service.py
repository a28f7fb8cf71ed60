"""A local HTTP server that speaks the providers' protocols; each test scripts its behaviour."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Answer:
    """What the server does with one request: a body (text or JSON) after a delay."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Heard:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: Body


@dataclass
class LocalService:
    """A running server.

    Attributes:
        answer: makes the answer to a request, given its number from 0.
        heard: all requests so far.
    """

    answer: Callable[[int, Body], Answer]
    heard: list[Heard] = field(default_factory=list)
    url: str = ""
    lock: Any = field(default_factory=threading.Lock)


@contextmanager
def serving(answer: Callable[[int, Body], Answer]) -> Iterator[LocalService]:
    """Serves on a free port until the block ends."""
    service = LocalService(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with service.lock:
                number = len(service.heard)
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.heard.append(Heard(self.path, headers, body))
            reply = service.answer(number, body)
            time.sleep(reply.delay)
            data = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            try:
                self.send_response(reply.status)
                for name, value in {"content-type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data.encode())))
                self.end_headers()
                self.wfile.write(data.encode())
            except OSError:  # the client gave up waiting
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def openai_says(content: Any, finish: str = "stop", **message: Any) -> Answer:
    """A chat completion whose content is text, or JSON of anything else."""
    text = content if isinstance(content, str) else json.dumps(content)
    said = {"role": "assistant", "content": text, **message}
    return Answer(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": finish, "message": said}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
    )


def anthropic_says(content: Any, stop_reason: str = "end_turn") -> Answer:
    """A message whose text is given, or JSON of anything else."""
    text = content if isinstance(content, str) else json.dumps(content)
    return Answer(
        {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 10},
        }
    )


def fault(status: int, message: str = "no", **error: Any) -> Answer:
    """An error of the HTTP status."""
    return Answer({"error": {"message": message, **error}}, status)
