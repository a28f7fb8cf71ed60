"""One visitor of the server engine: reads the page's messages and writes its texts.

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
from gazeheads.live.generation import Telling
from gazeheads.live.messages import Heads, MessageError, Next, Start, Steer, Stop
from gazeheads.live.uploads import open_upload
from gazeheads.live.worker import House, Model

PROGRESS_SECONDS = 0.25
log = logging.getLogger(__name__)


class Visitor:
    """A connection from its greeting to its end."""

    def __init__(self, socket: WebSocket, house: House) -> None:
        self._socket, self._house = socket, house
        self._picture: Image.Image | None = None
        self._start: Start | None = None  # of the text under way, kept up to date
        self._telling: Telling | None = None
        self._text: asyncio.Task[None] | None = None
        self._notes: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()

    async def stay(self) -> None:
        """Serves the visitor until it leaves."""
        try:
            model = await self._greet()
            while model is not None:
                await self._take(model)
        except WebSocketDisconnect:
            pass
        finally:
            await self._stop()

    async def _greet(self) -> Model | None:
        """Tells how the loading goes, then what the model is; None if there will be none."""
        while True:
            try:
                model = await self._house.model(PROGRESS_SECONDS)
            except TimeoutError:
                share, what = self._house.progress
                await self._say({"type": "loading", "share": share, "what": what})
            except Exception:  # told to the operator by the house
                await self._say({"type": "error", "message": self._house.failure})
                await self._socket.close(1011)
                return None
            else:
                await self._say({"type": "ready", "model": model.info})
                return model

    async def _take(self, model: Model) -> None:
        """One frame; a mistake in it is said and forgotten."""
        frame = await self._socket.receive()
        if frame["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(frame.get("code") or 1005)
        try:
            if frame.get("bytes") is not None:
                limits = self._house.limits.pictures
                self._picture = await asyncio.to_thread(open_upload, frame["bytes"], limits)
            else:
                await self._do(messages.parse(frame["text"]), model)
        except GazeheadsError as error:
            await self._say({"type": "error", "message": str(error)})

    async def _do(self, message: messages.Message, model: Model) -> None:
        match message:
            case Start():
                await self._stop()
                if self._picture is None:
                    raise MessageError("send a picture before start")
                self._start = message
                self._wanted.set()  # the first token needs no asking
                self._text = asyncio.create_task(self._write(message, self._picture, model))
            case Next():
                self._wanted.set()
            case Steer(region) if self._start is not None:
                where = messages.region_of(region, self._start.panels)
                self._turn(replace(self._start, region=where))
            case Heads(heads, delta) if self._start is not None:
                self._turn(replace(self._start, heads=heads, delta=delta))
            case Stop():
                await self._stop()

    def _turn(self, start: Start) -> None:
        """Points the text elsewhere, or the text to come while it waits for its seat."""
        if self._telling is not None:
            self._telling.point(start)
        self._start = start

    async def _stop(self) -> None:
        """Ends the text; the step under way in the model's thread is not waited for."""
        if self._text is not None:
            self._text.cancel()
            await asyncio.gather(self._text, return_exceptions=True)
            self._text = self._telling = self._start = None

    async def _write(self, start: Start, picture: Image.Image, model: Model) -> None:
        """A whole text: waits for a seat, then gives a token whenever the page wants one."""
        number, reason = start.text, "stopped"
        try:
            async with self._house.seats.take(partial(self._tell_ahead, number)):
                async with asyncio.timeout(self._house.limits.text_seconds):
                    reason = await self._tell(start, picture, model)
        except (TimeoutError, asyncio.CancelledError):
            pass
        except WebSocketDisconnect:
            return
        except GazeheadsError as error:
            await self._say({"type": "failed", "text": number, "message": str(error)})
            return
        except Exception:
            log.exception("a text failed")
            told = "the model failed; see the server's log"
            await self._say({"type": "failed", "text": number, "message": told})
            return
        finally:
            self._telling = self._start = None
        await self._say({"type": "done", "text": number, "reason": reason})

    async def _tell(self, start: Start, picture: Image.Image, model: Model) -> str:
        """Gives tokens until the text ends; why it did."""
        house = self._house
        most = min(start.max_tokens, house.limits.max_tokens)
        bounded = replace(start, max_tokens=most)
        telling = await house.run(Telling, model.vlm, picture, bounded, model.ranking)
        self._telling = telling
        if self._start is not None:  # the page may have moved meanwhile
            telling.point(self._start)
        count = 0
        while True:
            await asyncio.wait_for(self._wanted.wait(), house.limits.patience)
            self._wanted.clear()
            told = await house.run(telling.more)
            if told is None:
                return "length" if count == most else "end"
            step = {
                "type": "step",
                "text": start.text,
                "token": count,
                "piece": told.text,
                "region": messages.region_json(told.region, start.panels),
                "attention": [round(float(x), 5) for x in told.attention],
                "grid": told.grid,
            }
            await self._say(step)
            count += 1

    def _tell_ahead(self, number: int, ahead: int) -> None:
        message = {"type": "waiting", "text": number, "ahead": ahead}
        task = asyncio.create_task(self._say(message))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _say(self, message: dict[str, Any]) -> None:
        """Sends, unless the visitor has gone."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(json.dumps(message, allow_nan=False))
