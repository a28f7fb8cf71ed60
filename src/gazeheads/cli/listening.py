"""Serving from the command line: the port, the names that clients may use, and the loop."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from gazeheads.errors import GazeheadsError

LOCAL = ("127.0.0.1", "localhost", "::1")
SHUTDOWN_SECONDS = 5


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; a port that is taken is an error before anything is printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(256)
    except OSError as error:
        listening.close()
        raise GazeheadsError(
            f"cannot listen at {host}:{port}: {error.strerror or error}; try --port 0"
        ) from error
    return listening


def names_of(host: str, further: Sequence[str]) -> list[str]:
    """The names under which clients may call a server that listens at an address.

    Args:
        host: the address.
        further: names that the user allows; an address that stands for all needs none.
    """
    if host in ("0.0.0.0", "::") and not further:
        return ["*"]
    return [*(LOCAL if host in LOCAL else [host]), *further]


def origin_of(host: str, port: int) -> str:
    """The beginning of a server's addresses."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(app: Any, listening: socket.socket, **more: Any) -> None:
    """Serves an application until it is told to stop.

    Args:
        app: the application.
        listening: where.
        more: further settings of uvicorn.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
        **more,
    )
    uvicorn.Server(config).run(sockets=[listening])
