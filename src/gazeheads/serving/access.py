"""Who may ask, and what is told to those who are turned away."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gazeheads.errors import GazeheadsError
from gazeheads.live.batching import BatchError
from gazeheads.live.slots import BusyError
from gazeheads.serving.answers import fault
from gazeheads.serving.body import RequestError
from gazeheads.serving.http import HEADERS

log = logging.getLogger(__name__)


class Keys:
    """The keys of clients; without any, everybody may ask."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def of(self, request: Request) -> bytes:
        """The client's key; empty where none is needed.

        Raises:
            RequestError: it has none of them.
        """
        if not self._keys:
            return b""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        sent = given.strip().encode()
        fits = [hmac.compare_digest(sent, key) for key in self._keys]
        if scheme.lower() != "bearer" or not any(fits):
            raise RequestError(
                "a key is needed: send Authorization: Bearer KEY", 401, "invalid_api_key"
            )
        return sent


def refused(
    message: str, status: int, code: str, param: str = "", more: dict[str, str] | None = None
) -> Response:
    """A refusal in the form of the API."""
    return JSONResponse(fault(message, status, code, param), status, {**HEADERS, **(more or {})})


def answer_to(error: Exception, too_slow: str) -> Response:
    """What a client is told of what went wrong; what nobody expected goes to the log.

    Args:
        error: that ended its request.
        too_slow: what is said of a text that took too long.
    """
    match error:
        case RequestError():
            told = refused(str(error), error.status, error.code, error.param)
        case BusyError():
            told = refused(str(error), 429, "busy", more={"Retry-After": "2"})
        case BatchError():
            told = refused(str(error), 500, "model_failed")
        case GazeheadsError():
            told = refused(str(error), 400, "invalid_request")
        case TimeoutError():
            told = refused(too_slow, 504, "too_slow")
        case _:
            log.error("a request failed", exc_info=error)
            told = refused("the server failed; see its log", 500, "failed")
    return told
