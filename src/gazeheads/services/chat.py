"""Chat models that answer in JSON of a given schema, through the providers' official clients."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from PIL import Image

from gazeheads.data.pictures import open_image
from gazeheads.services.calling import (
    Endpoint,
    PassingFault,
    Patience,
    RefusedError,
    ServiceError,
    Usage,
    client_package,
    guarded,
    openai_client,
)

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
            ServiceError: no usable answer within the tries, or the call itself is wrong.
        """

        def attempt() -> Read:
            reply = self._send(request)
            self.usage.add(reply.tokens_in, reply.tokens_out)
            if reply.refusal is not None:
                raise RefusedError(f"{self.endpoint.model} declined: {reply.refusal[:300]}")
            try:
                data = json.loads(reply.text)
                if not isinstance(data, dict):
                    raise TypeError("no JSON object")
                return read(data)
            except (KeyError, TypeError, ValueError) as error:
                said = " ".join(reply.text.split())[:80]
                raise PassingFault(
                    f"{self.endpoint.model} did not answer in the form asked for, but {said!r}"
                ) from error

        return self._patience.call(attempt)


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
        if not getattr(done, "choices", None):
            raise PassingFault(f"{endpoint.url} answered with something unreadable")
        choice, used = done.choices[0], done.usage
        refusal = getattr(choice.message, "refusal", None)
        if choice.finish_reason == "content_filter":
            refusal = refusal or "stopped by a content filter"
        return _Reply(
            choice.message.content or "",
            refusal,
            used.prompt_tokens if used else 0,
            used.completion_tokens if used else 0,
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
            raise PassingFault(f"{endpoint.url} answered with something unreadable")
        said = "".join(block.text for block in done.content if block.type == "text")
        refusal = said or "no reason given" if done.stop_reason == "refusal" else None
        return _Reply(said, refusal, done.usage.input_tokens, done.usage.output_tokens)

    return send


_SENDERS: dict[str, Callable[[Endpoint], _Sender]] = {"openai": _openai, "anthropic": _anthropic}


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    open_image(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return base64.standard_b64encode(buffer.getvalue()).decode("ascii")
