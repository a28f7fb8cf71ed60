"""What every call to a service shares: where it goes, its key, its tries, what it used up."""

from __future__ import annotations

import os
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
Answer = TypeVar("Answer")


class ServiceError(GazeheadsError):
    """A service that cannot be used as asked, or did not recover within the tries."""


class RefusedError(ServiceError):
    """The service declines this content, however often it is asked."""


class UnusableError(ServiceError):
    """The service answers, but nothing usable to this question within the tries.

    Attributes:
        cut_off: whether the last reply was, for want of tokens.
    """

    def __init__(self, what: str, cut_off: bool = False) -> None:
        super().__init__(what)
        self.cut_off = cut_off


class PassingFault(Exception):
    """A failure that may be gone at the next try.

    Attributes:
        wait: seconds the service asked to wait, if it did.
    """

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class UnusableReply(PassingFault):
    """A reply to this question that cannot be used; other questions may fare better.

    Attributes:
        cut_off: whether it was, for want of tokens.
    """

    def __init__(self, what: str, cut_off: bool = False) -> None:
        super().__init__(what)
        self.cut_off = cut_off


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
            told = f"{fault} (tried {self.tries} times)"
            if isinstance(fault, UnusableReply):
                raise UnusableError(told, fault.cut_off) from fault
            raise ServiceError(told) from fault


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
