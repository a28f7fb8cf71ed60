"""Chat models that answer in JSON of a given schema, through the providers' official clients."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from PIL import Image

from gazeheads.data.pictures import open_image
from gazeheads.services.calling import (
    Endpoint,
    Patience,
    RefusedError,
    ServiceError,
    UnusableReply,
    Usage,
    client_package,
    openai_client,
)
from gazeheads.services.faults import guarded, unreadable
from gazeheads.services.replies import read_object

JPEG_QUALITY = 90
Read = TypeVar("Read")


@dataclass(frozen=True)
class ChatRequest:
    """One question.

    Attributes:
        text: of the question.
        schema: JSON schema of the answer, an object with every property required.
        image: shown before the text; None: no image.
        max_tokens: of the answer, reasoning included.
    """

    text: str
    schema: dict[str, Any]
    image: Image.Image | None = None
    max_tokens: int = 2_000


@dataclass(frozen=True)
class _Reply:
    text: str
    refusal: str | None
    cut_off: bool  # for want of tokens
    tokens_in: int
    tokens_out: int


_Sender = Callable[[ChatRequest], _Reply]


class Chat:
    """A chat model at an endpoint; safe to use from several threads.

    Attributes:
        endpoint: where it is.
        usage: what was used up so far.
    """

    def __init__(self, endpoint: Endpoint, patience: Patience | None = None) -> None:
        self.endpoint = endpoint
        self.usage = Usage()
        self._patience = patience or Patience()

    def connect(self) -> None:
        """Makes the client but calls nothing: a missing package or key is told at once.

        Raises:
            GazeheadsError: one of them is missing.
        """
        _ = self._send

    @cached_property
    def _send(self) -> _Sender:
        return _SENDERS[self.endpoint.provider](self.endpoint)

    def ask(self, request: ChatRequest, read: Callable[[dict[str, Any]], Read]) -> Read:
        """The answer, as `read` makes it of the JSON object.

        Args:
            request: the question.
            read: raises KeyError, TypeError or ValueError on an answer that breaks the schema:
                it is asked for again.

        Raises:
            RefusedError: the model declines to answer.
            UnusableError: no reply within the tries could be used.
            ServiceError: the service failed, or the call itself is wrong.
        """

        def attempt() -> Read:
            reply = self._send(request)
            self.usage.add(reply.tokens_in, reply.tokens_out)
            if reply.refusal is not None:
                raise RefusedError(f"{self.endpoint.model} declined: {reply.refusal[:300]}")
            try:
                return read(read_object(reply.text, whole=reply.cut_off))
            except (KeyError, TypeError, ValueError) as error:
                raise UnusableReply(self._unusable(reply, request), reply.cut_off) from error

        return self._patience.call(attempt)

    def _unusable(self, reply: _Reply, request: ChatRequest) -> str:
        """What was wrong with a reply, in words."""
        model, said = self.endpoint.model, " ".join(reply.text.split())
        if reply.cut_off:
            after = f"after {said[-80:]!r}" if said else "before it said anything"
            limit = f"{request.max_tokens} tokens, thought included"
            return f"{model}'s reply was cut off at {limit}, {after}"
        if not said:
            return f"{model} replied with nothing"
        return f"{model} did not answer in the form asked for, but {said[:80]!r}"


def _openai(endpoint: Endpoint) -> _Sender:
    sdk, client = client_package("openai"), openai_client(endpoint)

    def send(request: ChatRequest) -> _Reply:
        parts: list[dict[str, Any]] = [{"type": "text", "text": request.text}]
        if request.image is not None:
            data = f"data:image/jpeg;base64,{_jpeg(request.image)}"
            parts.insert(0, {"type": "image_url", "image_url": {"url": data}})
        form = {"name": "answer", "strict": True, "schema": request.schema}
        body: dict[str, Any] = {
            "model": endpoint.model,
            "messages": [{"role": "user", "content": parts}],
            "response_format": {"type": "json_schema", "json_schema": form},
            "max_completion_tokens": request.max_tokens,
        }
        if endpoint.temperature is not None:
            body["temperature"] = endpoint.temperature
        done = guarded(sdk, endpoint, lambda: client.chat.completions.create(**body))
        choices = getattr(done, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            raise unreadable(endpoint, done)
        choice, used = choices[0], getattr(done, "usage", None)
        refusal = getattr(choice.message, "refusal", None)
        if choice.finish_reason == "content_filter":
            refusal = refusal or "stopped by a content filter"
        return _Reply(
            _text_of(choice.message.content),
            refusal,
            choice.finish_reason == "length",
            getattr(used, "prompt_tokens", None) or 0,
            getattr(used, "completion_tokens", None) or 0,
        )

    return send


def _anthropic(endpoint: Endpoint) -> _Sender:
    if endpoint.temperature is not None:
        raise ServiceError("Anthropic's client takes no temperature: leave it out")
    sdk, key = client_package("anthropic"), endpoint.key()
    url = endpoint.url.rstrip("/").removesuffix("/v1")  # the client adds it itself
    client = sdk.Anthropic(api_key=key, base_url=url, timeout=endpoint.timeout, max_retries=0)

    def send(request: ChatRequest) -> _Reply:
        parts: list[dict[str, Any]] = [{"type": "text", "text": request.text}]
        if request.image is not None:
            source = {
                "type": "base64", "media_type": "image/jpeg", "data": _jpeg(request.image),
            }  # fmt: skip
            parts.insert(0, {"type": "image", "source": source})
        body: dict[str, Any] = {
            "model": endpoint.model,
            "max_tokens": request.max_tokens,
            "messages": [{"role": "user", "content": parts}],
            "output_config": {"format": {"type": "json_schema", "schema": request.schema}},
        }
        done = guarded(sdk, endpoint, lambda: client.messages.create(**body))
        if not isinstance(getattr(done, "content", None), list):
            raise unreadable(endpoint, done)
        said, used = _text_of(done.content), getattr(done, "usage", None)
        refusal = said or "no reason given" if done.stop_reason == "refusal" else None
        return _Reply(
            said,
            refusal,
            done.stop_reason in ("max_tokens", "model_context_window_exceeded"),
            getattr(used, "input_tokens", None) or 0,
            getattr(used, "output_tokens", None) or 0,
        )

    return send


_SENDERS: dict[str, Callable[[Endpoint], _Sender]] = {"openai": _openai, "anthropic": _anthropic}


def _text_of(content: Any) -> str:
    """The text of a message: one text, or the text parts of a list; thoughts are left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    fields = [part if isinstance(part, dict) else vars(part) for part in parts]
    return "".join(
        str(each.get("text") or "")
        for each in fields
        if each.get("type") in ("text", "output_text")
    )


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    open_image(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return base64.standard_b64encode(buffer.getvalue()).decode("ascii")
