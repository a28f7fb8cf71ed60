"""What every call to a service shares: where it goes, its key, its tries, what it used up."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Literal, TypeVar

from gazeheads.errors import GazeheadsError

Provider = Literal["openai", "anthropic"]
DEFAULT_URLS: dict[Provider, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}
KEYS: dict[Provider, str] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Environment variable that holds a provider's key."""
NO_KEY = "none"
"""What a local server that wants no key is sent, since the clients insist on one."""
MOST_TOLD = 300
"""Characters of what a service said that an error repeats."""
_KEY_PART = 6  # characters of a key that are enough to hide the word they stand in
_MARKUP = re.compile(r"<style.*?</style>|<script.*?</script>|<[^<>]*>", re.DOTALL | re.IGNORECASE)
Answer = TypeVar("Answer")


class ServiceError(GazeheadsError):
    """A service that cannot be used as asked, or did not recover within the tries."""


class RefusedError(ServiceError):
    """The service declines this content, however often it is asked."""


class UnusableError(ServiceError):
    """The service answers, but nothing usable to this question within the tries."""


class PassingFault(Exception):
    """A failure that may be gone at the next try.

    Attributes:
        wait: seconds the service asked to wait, if it did.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class UnusableReply(PassingFault):
    """A reply to this question that cannot be used; other questions may fare better."""


@dataclass(frozen=True)
class Endpoint:
    """A model at a service. The key is not part of it: it stays in the environment.

    Attributes:
        provider: whose protocol is spoken; "openai" also means vLLM, Ollama and others.
        model: name of the model there.
        base_url: of the service; None: the provider's own.
        key_env: environment variable with the key; None: the provider's own variable at the
            provider's own address, and no key anywhere else, so that no key reaches a stranger.
        timeout: seconds to wait for one answer.
        temperature: of a chat model; None: the service's own. Anthropic's client takes none.
    """

    provider: Provider
    model: str
    base_url: str | None = None
    key_env: str | None = None
    timeout: float = 120.0
    temperature: float | None = None

    @property
    def url(self) -> str:
        """Where calls go."""
        return self.base_url or DEFAULT_URLS[self.provider]

    def key(self) -> str:
        """The key, from the environment.

        Raises:
            ServiceError: the variable is not set.
        """
        own = self.url.rstrip("/") == DEFAULT_URLS[self.provider]
        name = self.key_env or (KEYS[self.provider] if own else None)
        if name is None:
            return NO_KEY
        if not (key := os.environ.get(name, "").strip()):
            raise ServiceError(f"no key for {self.url}: set the environment variable {name}")
        return key


@dataclass(frozen=True)
class Patience:
    """How often a call is tried, and the exponential back-off between tries.

    Attributes:
        tries: in all; the study's is 6.
        first_wait: seconds before the second try, doubled before each further one and shortened
            at random so that parallel calls do not return together.
        longest_wait: in seconds.
    """

    tries: int = 6
    first_wait: float = 2.0
    longest_wait: float = 60.0

    def call(self, attempt: Callable[[], Answer]) -> Answer:
        """Calls until it works, or a fault is not a passing one, or the tries are used up.

        Raises:
            UnusableError: the last try gave an `UnusableReply`.
            ServiceError: it did not work.
        """
        tenacity = client_package("tenacity")
        backoff = tenacity.wait_random_exponential(self.first_wait, self.longest_wait)

        def wait(state: Any) -> float:
            asked = getattr(state.outcome.exception(), "wait", None)
            return min(max(asked or 0.0, backoff(state)), self.longest_wait)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.tries),
            wait=wait,
            retry=tenacity.retry_if_exception_type(PassingFault),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except PassingFault as fault:
            kind = UnusableError if isinstance(fault, UnusableReply) else ServiceError
            raise kind(f"{fault} (tried {self.tries} times)") from fault


class Usage:
    """Counts calls and tokens of several threads."""

    def __init__(self) -> None:
        self.calls = self.tokens_in = self.tokens_out = 0
        self._lock = threading.Lock()

    def add(self, tokens_in: int, tokens_out: int) -> None:
        """One call that the service answered, usable or not: it is paid for either way."""
        with self._lock:
            self.calls += 1
            self.tokens_in += tokens_in
            self.tokens_out += tokens_out

    def told(self, prices: tuple[float, float] | None = None) -> str:
        """In words; with the cost if prices in dollars per million tokens (in, out) are given."""
        text = f"{self.calls} calls, {self.tokens_in} tokens in, {self.tokens_out} tokens out"
        if prices is None:
            return text
        cost = (self.tokens_in * prices[0] + self.tokens_out * prices[1]) / 1e6
        return f"{text}, ${cost:.4f}"


def client_package(name: str) -> ModuleType:
    """Imports a package of the extra "judge".

    Raises:
        GazeheadsError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise GazeheadsError(
            f"this needs the package {error.name!r}: install it with pip install 'gazeheads[judge]'"
        ) from error


def openai_client(endpoint: Endpoint) -> Any:
    """OpenAI's client for an endpoint; trying again is left to `Patience`."""
    return client_package("openai").OpenAI(
        api_key=endpoint.key(), base_url=endpoint.url, timeout=endpoint.timeout, max_retries=0
    )


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
