"""Image models behind an OpenAI-compatible API."""

from __future__ import annotations

import base64
import binascii
import io
from functools import cached_property
from typing import Any

from gazeheads.data.pictures import ImageError, open_image
from gazeheads.services.calling import (
    Endpoint,
    PassingFault,
    Patience,
    Usage,
    client_package,
    openai_client,
)
from gazeheads.services.faults import guarded, unreadable


class Painter:
    """An image model at an endpoint; safe to use from several threads.

    Args:
        endpoint: where it is.
        size: of a picture, "1024x1024" in the study.
        quality: a name that the service knows; None: its own choice.
        ask_base64: ask for the picture inside the answer. OpenAI's newest models always send it so
            and reject the question; other services send a link unless asked.
        patience: how often a call is tried.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        size: str = "1024x1024",
        quality: str | None = None,
        ask_base64: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self.endpoint, self.usage = endpoint, Usage()
        self._options: dict[str, Any] = {"model": endpoint.model, "size": size, "n": 1}
        if quality is not None:
            self._options["quality"] = quality
        if ask_base64:
            self._options["response_format"] = "b64_json"
        self._patience = patience or Patience()

    def connect(self) -> None:
        """Makes the client but calls nothing: a missing package or key is told at once.

        Raises:
            GazeheadsError: one of them is missing.
        """
        _ = self._client

    @cached_property
    def _client(self) -> Any:
        return openai_client(self.endpoint)

    def _generate(self, prompt: str) -> Any:
        return guarded(
            client_package("openai"),
            self.endpoint,
            lambda: self._client.images.generate(prompt=prompt, **self._options),
        )

    def paint(self, prompt: str) -> bytes:
        """A picture as a PNG file.

        Raises:
            RefusedError: the service declines this prompt.
            ServiceError: no picture within the tries, or the call itself is wrong.
        """

        def attempt() -> bytes:
            done = self._generate(prompt)
            used = getattr(done, "usage", None)
            self.usage.add(
                getattr(used, "input_tokens", 0) or 0, getattr(used, "output_tokens", 0) or 0
            )
            pictures = getattr(done, "data", None)
            if not pictures:
                raise unreadable(self.endpoint, done)
            if not pictures[0].b64_json:
                raise PassingFault(
                    f"{self.endpoint.url} sent a link and no picture inside its answer: ask with "
                    "--ask-base64"
                )
            return _as_png(pictures[0].b64_json)

        return self._patience.call(attempt)


def _as_png(text: str) -> bytes:
    try:
        picture = open_image(base64.b64decode(text, validate=True))
    except (binascii.Error, ImageError) as error:
        raise PassingFault("the picture that was sent is damaged") from error
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
