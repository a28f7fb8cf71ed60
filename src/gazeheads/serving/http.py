"""Requests and answers on the wire: bodies read within bounds, clients that leave, events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gazeheads.serving.body import RequestError, refusal

HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
Parsed = TypeVar("Parsed", bound=BaseModel)
Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client has left before its answer began."""


class EventStream(StreamingResponse):
    """Server-sent events; `end` is called however they end, sent or not."""

    def __init__(self, events: AsyncIterator[str], end: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=HEADERS)
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._end()


async def body_of(request: Request, most: int) -> bytes:
    """The body of a JSON request, read no further than it may go."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError("send application/json", 415, "not_json")
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most:
            raise RequestError(f"the request is longer than {most:,} bytes", 413, "too_large")
    return b"".join(parts)


def parsed(kind: type[Parsed], data: bytes) -> Parsed:
    """A body as its checked values.

    Raises:
        RequestError: it is none; the message names the field at fault.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("the body is not JSON") from error
    if not isinstance(values, dict):
        raise RequestError("the body must be a JSON object")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise refusal(error) from error


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """What some work gives; it is cancelled when the client leaves.

    Raises:
        ClientGoneError: the client has left.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
