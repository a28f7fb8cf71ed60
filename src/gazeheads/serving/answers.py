"""The JSON of answers, in the form of the OpenAI API, with what is new under `gaze`."""

from __future__ import annotations

import json
from typing import Any

from gazeheads.serving.chat import AnswerPiece, ChatText

DONE = "data: [DONE]\n\n"


def event(data: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, allow_nan=False)}\n\n"


def fault(message: str, status: int, code: str, param: str = "") -> dict[str, Any]:
    """What went wrong."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param or None, "code": code}
    return {"error": error}


class ChatAnswer:
    """The answer to one request."""

    def __init__(self, text: ChatText, model: str, fingerprint: str, created: int) -> None:
        self._text, self._with_gaze = text, text.body.gaze is not None
        self._head = {
            "id": text.id,
            "created": created,
            "model": model,
            "system_fingerprint": fingerprint,
        }

    def whole(self, pieces: list[AnswerPiece]) -> dict[str, Any]:
        """A finished text as one object."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(piece.text for piece in pieces),
            "refusal": None,
        }
        if self._with_gaze and self._text.gaze is not None:
            tokens = [piece.gaze for piece in pieces if piece.gaze is not None]
            message["gaze"] = {
                **self._text.gaze.summary(),
                **({"tokens": tokens} if tokens else {}),
            }
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": pieces[-1].finish,
            "logprobs": None,
        }
        head = {**self._head, "object": "chat.completion", "seed": self._text.seed}
        return {**head, "choices": [choice], "usage": self._usage()}

    def first(self) -> dict[str, Any]:
        """The first chunk of a stream: who speaks, and how it is steered."""
        delta: dict[str, Any] = {"role": "assistant", "content": ""}
        if self._with_gaze and self._text.gaze is not None:
            delta["gaze"] = self._text.gaze.summary()
        return {**self._chunk(delta, None), "seed": self._text.seed}

    def chunk(self, piece: AnswerPiece) -> dict[str, Any]:
        """A piece of a stream."""
        delta: dict[str, Any] = {"content": piece.text}
        if piece.gaze is not None:
            delta["gaze"] = {"tokens": [piece.gaze]}
        return self._chunk(delta, None)

    def last(self, piece: AnswerPiece) -> dict[str, Any]:
        """The chunk that says why a stream ends."""
        return self._chunk({}, piece.finish)

    def usage(self) -> dict[str, Any]:
        """The chunk after it that counts tokens."""
        head = {**self._head, "object": "chat.completion.chunk"}
        return {**head, "choices": [], "usage": self._usage()}

    def _chunk(self, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def _usage(self) -> dict[str, int]:
        asked, written = self._text.prompt_tokens, self._text.tokens
        return {
            "prompt_tokens": asked,
            "completion_tokens": written,
            "total_tokens": asked + written,
        }
