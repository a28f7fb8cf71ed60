"""One connection of the server engine: reads the page's messages and writes its texts.

The page asks for every token (`next`), so a text is never written ahead of its reader, a message
sent before `next` acts on that token, and a page that has gone costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from PIL import Image
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gazeheads.errors import GazeheadsError
from gazeheads.live import messages
from gazeheads.live.batching import TextStream
from gazeheads.live.generation import LiveGeneration
from gazeheads.live.messages import Heads, MessageError, Next, Start, Steer, Stop
from gazeheads.live.uploads import open_upload
from gazeheads.live.worker import LoadedModel, ModelWorker

PROGRESS_SECONDS = 0.25
log = logging.getLogger(__name__)


class Connection:
    """One page, from its greeting to its end."""

    def __init__(self, socket: WebSocket, worker: ModelWorker) -> None:
        self._socket, self._worker = socket, worker
        self._picture: Image.Image | None = None
        self._start: Start | None = None  # of the text under way, kept up to date
        self._generation: LiveGeneration | None = None
        self._task: asyncio.Task[None] | None = None
        self._reports: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()

    async def serve(self) -> None:
        """Serves the page until it leaves."""
        try:
            model = await self._greet()
            while model is not None:
                await self._receive(model)
        except WebSocketDisconnect:
            pass
        finally:
            await self._stop()

    async def _greet(self) -> LoadedModel | None:
        """Sends how the loading goes, then what the model is; None if there will be none."""
        while True:
            try:
                model = await self._worker.model(PROGRESS_SECONDS)
            except TimeoutError:
                share, what = self._worker.progress
                await self._send({"type": "loading", "share": share, "what": what})
            except Exception:  # the worker logs it for the operator
                await self._send({"type": "error", "message": self._worker.failure})
                await self._socket.close(1011)
                return None
            else:
                await self._send({"type": "ready", "model": model.info})
                return model

    async def _receive(self, model: LoadedModel) -> None:
        """One frame; a mistake in it is answered and forgotten."""
        frame = await self._socket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code") or 1005)
        try:
            if frame.get("bytes") is not None:
                limits = self._worker.limits.pictures
                self._picture = await asyncio.to_thread(open_upload, frame["bytes"], limits)
            else:
                await self._handle(messages.parse(frame["text"]), model)
        except GazeheadsError as error:
            await self._send({"type": "error", "message": str(error)})

    async def _handle(self, message: messages.PageMessage, model: LoadedModel) -> None:
        match message:
            case Start():
                await self._stop()
                if self._picture is None:
                    raise MessageError("send a picture before start")
                self._start = message
                self._wanted.set()  # the first token needs no asking
                self._task = asyncio.create_task(self._generate(message, self._picture, model))
            case Next():
                self._wanted.set()
            case Steer(region) if self._start is not None:
                where = messages.region_of(region, self._start.panels)
                self._steer(replace(self._start, region=where))
            case Heads(heads, delta) if self._start is not None:
                self._steer(replace(self._start, heads=heads, delta=delta))
            case Stop():
                await self._stop()

    def _steer(self, start: Start) -> None:
        """Points the text elsewhere, or the text to come while it waits for its slot."""
        if self._generation is not None:
            self._generation.steer(start)
        self._start = start

    async def _stop(self) -> None:
        """Ends the text; the step under way in the model's thread is not waited for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = self._generation = self._start = None

    async def _generate(self, start: Start, picture: Image.Image, model: LoadedModel) -> None:
        """A whole text: waits for a slot, then gives a token whenever the page wants one."""
        number, reason = start.text, "stopped"
        try:
            async with self._worker.slots.take(partial(self._report_place, number)):
                async with asyncio.timeout(self._worker.limits.text_seconds):
                    reason = await self._send_tokens(start, picture, model)
        except (TimeoutError, asyncio.CancelledError):
            pass
        except WebSocketDisconnect:
            return
        except GazeheadsError as error:
            await self._send({"type": "failed", "text": number, "message": str(error)})
            return
        except Exception:
            log.exception("a text failed")
            failure = "the model failed; see the server's log"
            await self._send({"type": "failed", "text": number, "message": failure})
            return
        finally:
            self._generation = self._start = None
        await self._send({"type": "done", "text": number, "reason": reason})

    async def _send_tokens(self, start: Start, picture: Image.Image, model: LoadedModel) -> str:
        """Sends tokens until the text ends; why it did."""
        worker = self._worker
        most = min(start.max_tokens, worker.limits.max_tokens)
        bounded = replace(start, max_tokens=most)
        generation = await worker.run(LiveGeneration, model.vlm, picture, bounded, model.ranking)
        self._generation = generation
        if self._start is not None:  # the page may have moved meanwhile
            generation.steer(self._start)
        stream = model.texts.begin(generation.request)
        try:
            return await self._send_steps(start, generation, stream)
        finally:
            stream.close()

    async def _send_steps(
        self, start: Start, generation: LiveGeneration, stream: TextStream
    ) -> str:
        """Sends a token whenever the page wants one."""
        count = 0
        while True:
            await asyncio.wait_for(self._wanted.wait(), self._worker.limits.patience)
            self._wanted.clear()
            made = await stream.next()
            if made is None:
                return "end"
            token = generation.shown(made)
            step: dict[str, Any] = {
                "type": "step",
                "text": start.text,
                "token": count,
                "piece": token.text,
                "region": messages.region_json(token.region, start.panels),
                "attention": [round(float(x), 5) for x in token.attention],
                "grid": token.grid,
            }
            if count == 0 and token.boxes is not None:  # they stay the same for the whole text
                step["boxes"] = token.boxes.round(1).ravel().tolist()
            await self._send(step)
            if made.ended is not None:
                return "length" if made.ended == "length" else "end"
            count += 1

    def _report_place(self, number: int, ahead: int) -> None:
        message = {"type": "waiting", "text": number, "ahead": ahead}
        task = asyncio.create_task(self._send(message))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _send(self, message: dict[str, Any]) -> None:
        """Sends, unless the page has gone."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(json.dumps(message, allow_nan=False))
