"""One request's text: read, queued, written token by token, moved on the way."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from gazeheads.live.batching import TextStream
from gazeheads.live.uploads import PictureError, PictureLimits, open_upload
from gazeheads.live.worker import LoadedModel, ModelWorker
from gazeheads.models.continuous import TextRequest
from gazeheads.models.generate import Decoding
from gazeheads.serving.body import ChatBody, GazeBody, RequestError
from gazeheads.serving.gaze import TextGaze
from gazeheads.serving.places import PlacesOf, content_of

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import Inputs

MOST_PICTURES = 8
Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class AnswerPiece:
    """A part of an answer.

    Attributes:
        text: what it adds.
        gaze: what is told of its token; None: nothing was asked.
        finish: why it is the last part; None: it is not.
    """

    text: str
    gaze: dict[str, Any] | None
    finish: Finish | None


@dataclass(frozen=True)
class Conversation:
    """Messages as the library takes them.

    Attributes:
        messages: with parts `{"type": "image"}` and `{"type": "text", "text": ...}`.
        pictures: of the image parts, in order.
    """

    messages: list[dict[str, Any]]
    pictures: list[Image.Image]


@dataclass(eq=False)
class ChatText:
    """A text under way.

    Attributes:
        body: of the request.
        conversation: in it.
        id: of the answer.
        seed: of sampling; drawn if none was asked for, and told.
        gaze: where it looks; None until its prompt is read.
        prompt_tokens, tokens: counted so far.
    """

    body: ChatBody
    conversation: Conversation
    id: str
    seed: int = 0
    gaze: TextGaze | None = None
    prompt_tokens: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        self.seed = secrets.randbelow(2**31) if self.body.seed is None else self.body.seed

    async def pieces(self, worker: ModelWorker, model: LoadedModel) -> AsyncIterator[AnswerPiece]:
        """Waits for a slot, then gives the text piece by piece.

        Raises:
            GazeheadsError: the request is refused.
            BusyError: too many wait.
            TimeoutError: the text took longer than one may.
        """
        async with worker.slots.take(lambda ahead: None):
            deadline = asyncio.get_running_loop().time() + worker.limits.text_seconds
            request = await worker.run(self._read, model, worker)
            stream = model.texts.begin(request)
            try:
                async for piece in self._written(stream, deadline):
                    yield piece
            finally:
                stream.close()

    async def _written(self, stream: TextStream, deadline: float) -> AsyncIterator[AnswerPiece]:
        stops = StopTexts(self.body.stops)
        watch = self.body.gaze is not None and self.body.gaze.watch is not None
        clock = asyncio.get_running_loop()
        while True:
            token = await asyncio.wait_for(stream.next(), max(0.0, deadline - clock.time()))
            if token is None:
                return
            self.tokens += 1
            text, stopped = stops.push(token.text, token.ended is not None)
            finish = "stop" if stopped else token.ended
            told = self.gaze.told(token) if watch and self.gaze is not None else None
            yield AnswerPiece(text, told, finish)
            if finish is not None:
                return

    def _read(self, model: LoadedModel, worker: ModelWorker) -> TextRequest:
        """The prompt and its steering; in the model's thread."""
        vlm, body, limits = model.vlm, self.body, worker.limits
        most = limits.max_tokens if body.tokens is None else body.tokens
        if most > limits.max_tokens:
            raise RequestError(
                f"max_tokens: {most} is more than this server gives, {limits.max_tokens}",
                param="max_tokens",
            )
        prompt = vlm.encode_messages(self.conversation.pictures, self.conversation.messages)
        self.prompt_tokens = len(prompt)
        _check_length(vlm, prompt, most, limits.max_prompt)
        gaze = body.gaze or GazeBody()
        sizes = [picture.size for picture in self.conversation.pictures]
        places = PlacesOf.on(gaze, sizes, limits.pictures)
        self.gaze = TextGaze(vlm, prompt, gaze, places, model.heads)
        return TextRequest(prompt, self.gaze.steering, self._decoding(most), self.gaze.watched)

    def _decoding(self, most: int) -> Decoding:
        """Greedy unless a temperature above 0 is asked for."""
        body = self.body
        sampled = bool(body.temperature)
        if not sampled and (body.top_p is not None or body.top_k is not None):
            raise RequestError(
                "top_p, top_k: they are of sampling: give a temperature above 0 too", param="top_p"
            )
        return Decoding(
            max_new_tokens=most,
            do_sample=sampled,
            temperature=body.temperature if sampled else None,
            top_k=(body.top_k or 0) if sampled else None,
            top_p=(body.top_p or 1.0) if sampled else None,
            repetition_penalty=body.repetition_penalty,
            seed=self.seed,
        )


def new_id(replica: str = "") -> str:
    """An id nobody can guess; it names the replica that writes the text, if there are several."""
    return "-".join(part for part in ("chatcmpl", replica, secrets.token_hex(16)) if part)


def replica_of(name: str) -> str:
    """The replica that an id names; empty: none."""
    parts = name.split("-")
    return parts[1] if len(parts) == 3 else ""


class StopTexts:
    """Ends a text before the first of some strings; holds back what may be the start of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""

    def push(self, text: str, last: bool) -> tuple[str, bool]:
        """What may be given out now, and whether the text ends here."""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            return self._held[: min(found)], True
        kept = 0 if last else self._open()
        out, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return out, False

    def _open(self) -> int:
        """How many of the last characters may begin a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0


def conversation_of(messages: Sequence[Any], limits: PictureLimits) -> Conversation:
    """The messages of a request, its pictures opened.

    Raises:
        RequestError: a part that is neither text nor a picture, or no picture.
        PictureError: a picture is too large, or none.
    """
    pictures: list[Image.Image] = []
    read: list[dict[str, Any]] = []
    for n, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise RequestError(f"messages.{n}: a message has a role and content", param="messages")
        role = "system" if message["role"] == "developer" else message["role"]
        content = message.get("content")
        if isinstance(content, list):
            parts = [
                _part(part, f"messages.{n}.content.{m}", pictures, limits)
                for m, part in enumerate(content)
            ]
            read.append({"role": role, "content": parts})
        else:
            read.append({"role": role, "content": content})
    if not pictures:
        raise RequestError(
            "messages: the conversation has no picture: this server answers questions about "
            "pictures",
            param="messages",
        )
    return Conversation(read, pictures)


def _part(
    part: Any, place: str, pictures: list[Image.Image], limits: PictureLimits
) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    image = part.get("image_url") if kind == "image_url" else None
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise RequestError(
            f'{place}: a part is {{"type": "text", "text": ...}} or {{"type": "image_url", '
            '"image_url": {"url": "data:image/png;base64,..."}}',
            param=place,
        )
    if isinstance(image, dict) and image.get("detail") not in (None, "auto", "high"):
        raise RequestError(f"{place}: detail is auto or high: no other is offered", param=place)
    if len(pictures) >= MOST_PICTURES:
        raise RequestError(f"{place}: at most {MOST_PICTURES} pictures are taken", param=place)
    try:
        pictures.append(open_upload(content_of(url, place), limits))
    except PictureError as error:
        raise RequestError(f"{place}: {error}", param=place) from error
    return {"type": "image"}


def _check_length(vlm: VLM, prompt: Inputs, most: int, allowed: int) -> None:
    """Raises RequestError if a prompt is longer than the server or the model takes."""
    if len(prompt) > allowed:
        raise RequestError(
            f"messages: the prompt has {len(prompt):,} tokens; at most {allowed:,} are taken",
            code="context_length_exceeded", param="messages",
        )  # fmt: skip
    places = getattr(vlm.text_config, "max_position_embeddings", None)
    text = len(prompt) - len(prompt.tokens)  # families differ in how many positions images take
    if places is not None and text + most > places:
        raise RequestError(
            f"messages: the prompt has {text:,} tokens of text, which leaves "
            f"{max(0, places - text):,} of the model's {places:,} for the answer; "
            f"max_tokens is {most:,}",
            code="context_length_exceeded", param="max_tokens",
        )  # fmt: skip
