"""Command-line options of everything that calls a service."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gazeheads.errors import GazeheadsError
from gazeheads.services.calling import Endpoint


class Protocol(StrEnum):
    """What a service speaks."""

    openai = "openai"
    anthropic = "anthropic"


Service = Annotated[Protocol, typer.Option(help="openai: also for vLLM, Ollama and others.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="Address of the service; default: the provider's own.")
]
KeyEnv = Annotated[
    str | None,
    typer.Option(
        help="Environment variable with the key; default: OPENAI_API_KEY or ANTHROPIC_API_KEY at "
        "the provider's own address, no key at others."
    ),
]
Temperature = Annotated[
    float | None, typer.Option(min=0.0, help="Of the model; default: the service's own.")
]
Prices = Annotated[
    str | None, typer.Option(help="IN,OUT in dollars per million tokens: tells the cost.")
]
Workers = Annotated[int, typer.Option(min=1, help="Calls under way at the same time.")]


def endpoint_of(
    service: Protocol,
    model: str | None,
    base_url: str | None,
    key_env: str | None,
    temperature: float | None = None,
    prefix: str = "--",
) -> Endpoint:
    """The endpoint that the options name; `prefix` is what messages call the options by.

    Raises:
        GazeheadsError: no model, or no web address.
    """
    if not model:
        raise GazeheadsError(f"name the service's model with {prefix}model")
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise GazeheadsError(
            f"{prefix}base-url must begin with http:// or https://, not {base_url!r}"
        )
    return Endpoint(service.value, model, base_url, key_env, temperature=temperature)


def read_prices(text: str | None) -> tuple[float, float] | None:
    """Prices of tokens in and out, from "3,15"."""
    if text is None:
        return None
    try:
        tokens_in, tokens_out = (float(part) for part in text.split(","))
    except ValueError as error:
        raise GazeheadsError(f"--prices wants IN,OUT such as 3,15, not {text!r}") from error
    return tokens_in, tokens_out
