"""What went wrong in a call, in words: the official clients' exceptions, and bodies of errors."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

from gazeheads.services.calling import (
    NO_KEY,
    Answer,
    Endpoint,
    PassingFault,
    RefusedError,
    ServiceError,
)

MOST_TOLD = 300
"""Characters of what a service said that an error repeats."""
_KEY_PART = 6  # characters of a key that are enough to hide the word they stand in
_MARKUP = re.compile(r"<style.*?</style>|<script.*?</script>|<[^<>]*>", re.DOTALL | re.IGNORECASE)


def guarded(sdk: ModuleType, endpoint: Endpoint, call: Callable[[], Answer]) -> Answer:
    """Calls an official client and turns its exceptions into ours, without the key in any.

    Args:
        sdk: module of the client, `openai` or `anthropic`: they name their exceptions alike.
        endpoint: what is called.
        call: does it.
    """
    try:
        return call()
    except sdk.APITimeoutError as error:
        raise PassingFault(f"{endpoint.url} did not answer in {endpoint.timeout:g} s") from error
    except sdk.APIConnectionError as error:
        if why := _nobody_there(error):
            raise ServiceError(f"{endpoint.url} cannot be reached: {why}") from error
        raise PassingFault(f"{endpoint.url} cannot be reached") from error
    except sdk.APIStatusError as error:
        raise _by_status(endpoint, error) from None
    except (sdk.APIResponseValidationError, ValueError) as error:
        raise unreadable(endpoint, getattr(error, "body", None)) from error


def unreadable(endpoint: Endpoint, answer: Any) -> PassingFault:
    """Of an answer without an error's status that is none of the protocol's.

    Args:
        endpoint: that sent it.
        answer: what the client made of it: a text, or an object that may hold an error.
    """
    body = answer.model_dump() if hasattr(answer, "model_dump") else answer
    error = isinstance(body, dict) and (body.get("error") or body.get("detail"))
    _, said = error_told(endpoint, body) if error or isinstance(body, str) else ("", "")
    what = f"an error: {said}" if error and said else "something unreadable"
    if isinstance(body, str) and said:
        what = f"no JSON but {said[:80]!r}: is this the address of the API?"
    return PassingFault(f"{endpoint.url} answered with {what}")


def _nobody_there(error: BaseException | None) -> str:
    """Why another try would find nobody either; empty: it may find somebody."""
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return "nothing listens there"
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            return "no such host is known"
        error = error.__cause__ or error.__context__
    return ""


def _by_status(endpoint: Endpoint, error: Any) -> Exception:
    status = int(error.status_code)
    code, said = error_told(endpoint, error.body)
    told = f"{endpoint.url} answered HTTP {status}" + (f": {said}" if said else "")
    if status in (401, 403):
        why = f": {said}" if said else ""
        return ServiceError(f"{endpoint.url} refused the key or the access (HTTP {status}){why}")
    if code in ("content_policy_violation", "moderation_blocked", "content_filter"):
        return RefusedError(told)
    if code != "insufficient_quota" and (status in (408, 409, 429) or status >= 500):
        return PassingFault(told, _asked_to_wait(error))
    return ServiceError(told)


def error_told(endpoint: Endpoint, body: Any) -> tuple[str, str]:
    """The code and the message in the body of an error, in whichever shape a service sends it.

    Args:
        endpoint: that sent it; its key is masked wherever a part of it is repeated.
        body: parsed JSON, or the text.

    Returns:
        The code, and at most `MOST_TOLD` characters on one line; empty where there is none.
    """
    detail = body
    for _ in range(4):  # {"error": {...}}, [{"error": ...}], {"detail": [{"msg": ...}]}
        if isinstance(detail, list) and detail:
            detail = detail[0]
        elif isinstance(detail, dict) and (inner := detail.get("error") or detail.get("detail")):
            # a code beside a text is told by the outer object
            if isinstance(inner, str):
                detail = {**detail, "error": None, "detail": None, "message": inner}
            else:
                detail = inner
    if not isinstance(detail, dict):
        detail = {"message": detail}
    message = detail.get("message") or detail.get("msg") or detail.get("error_description") or ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    further = detail.get("metadata")  # what stands behind a gateway said
    if isinstance(further, dict) and isinstance(further.get("raw"), str):
        text = f"{text}: {further['raw']}"
    text = " ".join(_MARKUP.sub(" ", text).split())
    code = str(detail.get("code") or detail.get("type") or "")
    return code, without_key(endpoint, text)[:MOST_TOLD]


def without_key(endpoint: Endpoint, text: str) -> str:
    """A text in which every word that holds a part of the endpoint's key is masked."""
    key = endpoint.key()
    if key == NO_KEY:
        return text
    if len(key) < _KEY_PART:
        return text.replace(key, "***")
    parts = {key[i : i + _KEY_PART] for i in range(len(key) - _KEY_PART + 1)}
    words = re.split(r"(\s+)", text.replace(key, "***"))
    return "".join("***" if any(part in word for part in parts) else word for word in words)


def _asked_to_wait(error: Any) -> float | None:
    try:
        return float(error.response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
