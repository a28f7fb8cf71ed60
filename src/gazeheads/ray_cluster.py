"""Joining a Ray cluster, or starting one on this machine; nothing of Ray reaches the terminal."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gazeheads.errors import GazeheadsError

AUTO = "auto"
ANSWERS_WITHIN = 30.0
"""Seconds a cluster has to answer."""
_STORE = 256 * 2**20  # bytes of a cluster started here: strips and records are small
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # as fast as without Ray, whatever else runs on the machine
}
_TRIAL = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level=40)"


class ClusterError(GazeheadsError):
    """No Ray cluster can be used as asked."""


@dataclass(frozen=True)
class ClusterConnection:
    """A cluster that this process is connected to.

    Attributes:
        ray: the package.
        stays: it was connected before, and is to be left so.
    """

    ray: Any
    stays: bool

    def close(self) -> None:
        """Leaves the cluster, and ends it if it was started here."""
        if not self.stays:
            self.ray.shutdown()


def connect(address: str) -> ClusterConnection:
    """Joins a cluster, or starts one on this machine.

    Args:
        address: HOST:PORT of a cluster that this machine belongs to, or "auto": the one this
            process is connected to, that of `RAY_ADDRESS`, the one begun here by `ray start`, or a
            new one.

    Raises:
        ClusterError: the package is missing, or no cluster answers.
    """
    ray = _package()
    stays = address == AUTO and ray.is_initialized()
    if not stays:
        _begin(ray, _found(address))
    return ClusterConnection(ray, stays)


@contextmanager
def ray_on(address: str) -> Iterator[Any]:
    """The package, connected while the context lasts; see `connect`."""
    connection = connect(address)
    try:
        yield connection.ray
    finally:
        connection.close()


def _package() -> Any:
    """Ray, told to report nothing to anybody.

    Raises:
        ClusterError: it is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray")
    except ImportError as error:
        raise ClusterError(
            f"--ray needs the package {error.name!r}: install it with pip install 'gazeheads[ray]'"
        ) from error


def _found(address: str) -> str | None:
    """The address of a cluster that answers; None: one is to be started.

    Raises:
        ClusterError: the one asked for does not answer.
    """
    if address == AUTO and not (address := os.environ.get("RAY_ADDRESS", "").strip()):
        begun = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
        try:  # `ray start` leaves it there
            address = (begun / "ray_current_cluster").read_text(encoding="utf-8").strip()
            _check_listens(address)
        except (OSError, ClusterError):  # none was begun, or it is gone
            return None
        _use_token()
    _check_listens(address)
    try:  # Ray itself waits for minutes, and says so on the terminal
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, address],
            capture_output=True,
            timeout=ANSWERS_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stderr or b"").decode(errors="replace")
        raise ClusterError(_refusal(address, said or "it is silent")) from error
    if trial.returncode:
        raise ClusterError(_refusal(address, trial.stderr.decode(errors="replace")))
    return address


def _begin(ray: Any, address: str | None) -> None:
    """Joins the cluster of an address, or starts one; nothing of it reaches the terminal."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    here = {"include_dashboard": False, "object_store_memory": _STORE}
    try:
        ray.init(address or "local", **quiet, **({} if address else here))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(_refusal(address or "this machine", str(error))) from error


def _check_listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ClusterError(f"--ray takes auto or HOST:PORT of a Ray cluster, not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            _refusal(address, getattr(error, "strerror", None) or str(error))
        ) from error


def _use_token() -> None:
    """A cluster begun here asks for the token that Ray keeps here; elsewhere it is not shown."""
    kept = Path.home() / ".ray" / "auth_token"
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH") or kept.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _refusal(address: str, said: str) -> str:
    if "AuthToken" in said:
        why = "it asks for its token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN unless kept here"
    else:
        lines = [line for line in said.splitlines() if line.strip()]
        why = lines[-1].strip()[:200] if lines else "it gave no reason"
    return (
        f"no Ray cluster can be used at {address} ({why}): run this on a machine that joined it "
        "with ray start, or use --ray auto"
    )
