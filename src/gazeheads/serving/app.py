"""The gaze server's application: `/v1/models`, `/v1/chat/completions`, `/v1/gaze/{id}`, `/healthz`.

Any OpenAI client can call it. A browser's page of another origin cannot: requests are JSON, which
needs the server's leave across origins, and none is given.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gazeheads.errors import GazeheadsError
from gazeheads.live.slots import BusyError
from gazeheads.live.worker import LoadedModel, ModelWorker
from gazeheads.serving.access import Keys, answer_to, refused
from gazeheads.serving.answers import DONE, ChatAnswer, event, fault
from gazeheads.serving.body import ChatBody, HeadsBody, RequestError
from gazeheads.serving.chat import (
    MOST_PICTURES,
    AnswerPiece,
    ChatText,
    conversation_of,
    new_id,
    replica_of,
)
from gazeheads.serving.http import (
    HEADERS,
    ClientGoneError,
    EventStream,
    body_of,
    parsed,
    unless_gone,
)
from gazeheads.serving.replicas import OtherReplicas

MOST_SMALL_BODY = 10_000_000
"""Bytes of a body that moves a text; a mask is the largest part of one."""
Handler = Callable[[Request], Awaitable[Response]]
log = logging.getLogger(__name__)


def make_app(
    worker: ModelWorker,
    hosts: Sequence[str],
    keys: Sequence[str] = (),
    others: OtherReplicas | None = None,
) -> Starlette:
    """The application.

    Args:
        worker: runs the model.
        hosts: names under which it may be called; "*" admits any.
        keys: of clients, one of which each request must carry; empty: none is needed.
        others: replicas that may be writing a text that is to be moved.
    """
    handlers = _Endpoints(worker, Keys(keys), others)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        worker.open()
        listens = asyncio.create_task(others.listen(handlers.moved)) if others else None
        yield
        if listens is not None:
            listens.cancel()
        worker.close()

    routes = [
        Route("/healthz", handlers.health),
        Route("/v1/models", handlers.guarded(handlers.models)),
        Route("/v1/models/{name:path}", handlers.guarded(handlers.model)),
        Route("/v1/chat/completions", handlers.guarded(handlers.chat), methods=["POST"]),
        Route("/v1/gaze/{id}", handlers.guarded(handlers.move), methods=["POST"]),
        Route("/{path:path}", handlers.absent, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


class _Endpoints:
    """Answers the requests."""

    def __init__(self, worker: ModelWorker, keys: Keys, others: OtherReplicas | None) -> None:
        self._worker, self._keys, self._others = worker, keys, others
        self._texts: dict[str, tuple[ChatText, bytes]] = {}  # under way, with the client's key
        self._created = int(time.time())

    def guarded(self, handler: Handler) -> Handler:
        """A handler for those who have a key, whose refusals become answers."""

        async def handle(request: Request) -> Response:
            try:
                self._keys.of(request)
                return await handler(request)
            except ClientGoneError:
                return Response(status_code=499)
            except Exception as error:
                return answer_to(error, self._too_slow())

        return handle

    def _too_slow(self) -> str:
        return f"the text took longer than {self._worker.limits.text_seconds:g} s"

    async def absent(self, request: Request) -> Response:
        return refused(f"nothing is at {request.url.path[:100]}", 404, "not_found")

    async def health(self, _: Request) -> Response:
        worker = self._worker
        status = "failed" if worker.failure else "ok" if worker.ready else "loading"
        state = {
            "status": status,
            "reason": worker.failure,
            "texts": len(self._texts),
            "waiting": worker.slots.waiting,
        }
        return JSONResponse(state, 200 if status == "ok" else 503, HEADERS)

    async def models(self, _: Request) -> Response:
        model = await self._model()
        return JSONResponse({"object": "list", "data": [self._told(model)]}, headers=HEADERS)

    async def model(self, request: Request) -> Response:
        model = await self._model()
        _check_name(request.path_params["name"], model)
        return JSONResponse(self._told(model), headers=HEADERS)

    async def chat(self, request: Request) -> Response:
        limits = self._worker.limits
        if self._worker.connections >= limits.connections:
            raise BusyError(f"{limits.connections} requests are being answered: try again later")
        self._worker.connections += 1
        try:
            return await self._chat(request)
        finally:
            self._worker.connections -= 1

    async def _chat(self, request: Request) -> Response:
        model = await self._model()
        limits = self._worker.limits
        most = MOST_PICTURES * limits.pictures.max_bytes * 4 // 3 + 1_000_000
        body = parsed(ChatBody, await body_of(request, most))
        _check_name(body.model, model)
        conversation = await asyncio.to_thread(conversation_of, body.messages, limits.pictures)
        replica = self._others.name if self._others is not None else ""
        text = ChatText(body, conversation, new_id(replica))
        fingerprint = f"fp_{model.vlm.fingerprint}"
        answer = ChatAnswer(text, model.vlm.name, fingerprint, int(time.time()))
        self._texts[text.id] = (text, self._keys.of(request))
        pieces = text.pieces(self._worker, model)
        streams = False
        try:
            if not body.stream:
                whole = await unless_gone(request, _all(pieces))
                return JSONResponse(answer.whole(whole), headers=HEADERS)
            # what is refused is refused before an answer begins
            first = await unless_gone(request, anext(pieces))
            streams = True
        finally:
            if not streams:
                await self._end(text, pieces)
        events = self._events(answer, first, pieces, body)
        return EventStream(events, lambda: self._end(text, pieces))

    async def _end(self, text: ChatText, pieces: AsyncIterator[AnswerPiece]) -> None:
        self._texts.pop(text.id, None)
        await pieces.aclose()  # type: ignore[attr-defined]

    async def _events(
        self,
        answer: ChatAnswer,
        first: AnswerPiece,
        pieces: AsyncIterator[AnswerPiece],
        body: ChatBody,
    ) -> AsyncIterator[str]:
        yield event(answer.first())
        piece = first
        yield event(answer.chunk(piece))
        try:
            async for piece in pieces:
                yield event(answer.chunk(piece))
        except TimeoutError:
            yield event(fault(self._too_slow(), 504, "too_slow"))
            return
        except GazeheadsError as error:
            yield event(fault(str(error), 500, "model_failed"))
            return
        yield event(answer.last(piece))
        if body.stream_options is not None and body.stream_options.include_usage:
            yield event(answer.usage())
        yield DONE

    async def move(self, request: Request) -> Response:
        """Points a text under way elsewhere."""
        name, key = request.path_params["id"], self._keys.of(request)
        body = parsed(HeadsBody, await body_of(request, MOST_SMALL_BODY))
        sent = body.model_dump(exclude_unset=True)
        replica = replica_of(name)
        if self._others is None or replica == self._others.name:
            moved = self.moved(name, key, sent)
        else:
            moved = await self._others.move(replica, name, key, sent)
        return JSONResponse(moved, headers=HEADERS)

    def moved(self, name: str, key: bytes, body: dict[str, Any]) -> dict[str, Any]:
        """Points a text that is written here elsewhere; what the client is told.

        Raises:
            RequestError: there is none of that id and key, or it cannot be moved.
            GazeheadsError: as at its start.
        """
        text, of_text = self._texts.get(name, (None, b""))
        # whoever has another key is not told that there is such a text
        if text is None or text.gaze is None or not hmac.compare_digest(of_text, key):
            raise RequestError("no such text is being written", 404, "not_found")
        region = text.gaze.move(HeadsBody.model_validate(body))
        return {
            "id": text.id,
            "region": None if region is None else region.name,
            "after_token": text.tokens,
        }

    async def _model(self) -> LoadedModel:
        worker = self._worker
        if worker.failure is not None:
            raise RequestError(worker.failure, 503, "model_failed")
        if not worker.ready:
            share, what = worker.progress
            raise RequestError(f"the model is loading ({share:.0%}): {what}", 503, "loading")
        return await worker.model()

    def _told(self, model: LoadedModel) -> dict[str, Any]:
        heads = [str(head) for head in model.heads]
        return {
            "id": model.vlm.name,
            "object": "model",
            "created": self._created,
            "owned_by": "gazeheads",
            "fingerprint": model.vlm.fingerprint,
            "heads": heads,
            "layers": model.vlm.num_layers,
            "heads_per_layer": model.vlm.num_heads,
        }


def _check_name(name: str, model: LoadedModel) -> None:
    if name != model.vlm.name:
        raise RequestError(
            f"model: there is no {name[:100]!r} here, but {model.vlm.name!r}",
            404, "model_not_found", "model",
        )  # fmt: skip


async def _all(pieces: AsyncIterator[AnswerPiece]) -> list[AnswerPiece]:
    return [piece async for piece in pieces]
