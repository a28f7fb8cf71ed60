"""Workers on a Ray cluster: one per GPU, or one per so many cores.

The command's own process writes all records, so that a run is the same folder as ever. A worker
that dies is replaced, and what it was doing is done again.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gazeheads.study.disk import RunError
from gazeheads.study.identity import versions
from gazeheads.study.parcels import packed
from gazeheads.study.worker import Worker
from gazeheads.study.workers import Item, Made

AUTO = "auto"
TRIES = 3
"""A part that ended so many workers is not given to another."""
ANSWERS_WITHIN = 30.0
"""Seconds a cluster has to answer."""
STARTS_WITHIN = 180.0
"""Seconds in which one worker at least has to start."""
_STORE = 256 * 2**20  # bytes of a cluster started here: strips and records are small
_TRIAL = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level=40)"


class RayWorkers:
    """Workers on a Ray cluster; see `study.workers.Workers`. Made by `connect`, ended by `close`.

    Attributes:
        told: in words, how many there are and where.
        count: the most that work at the same time.
    """

    def __init__(self, ray: Any, cores: int | None, threads: int, on_gpu: bool) -> None:
        self._ray, self._threads = ray, cores or threads
        address = ray.get_runtime_context().gcs_address
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        cores = cores or max(1, min(threads, most))
        gpus = sum(int(node.get("GPU", 0)) for node in nodes) if on_gpu else 0
        self.count = gpus or sum(int(node.get("CPU", 0)) // cores for node in nodes)
        if not self.count:
            raise RunError(
                f"no machine of the Ray cluster at {address} has {cores} cores for a worker (the "
                f"largest has {most}): name fewer with --ray-cores"
            )
        needs: dict[str, Any] = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_cpus": cores}
        self._remote = ray.remote(**needs, max_restarts=0)(Worker)
        self._device = "cuda" if gpus else None
        each = "a GPU each" if gpus else f"{cores} {'core' if cores == 1 else 'cores'} each"
        self.told = f"{self.count} {'worker' if self.count == 1 else 'workers'}, {each}, {address}"
        self._idle: list[Any] = []
        self._starting: dict[Any, Any] = {}  # by what is awaited, the worker
        self._works = 0
        self._stays = False

    @classmethod
    def connect(
        cls, address: str, cores: int | None = None, device: str | None = None
    ) -> RayWorkers:
        """Joins a cluster, or starts one on this machine.

        Args:
            address: HOST:PORT of a cluster that this machine belongs to, or "auto": the one this
                process is connected to, that of `RAY_ADDRESS`, the one begun here by `ray start`,
                or a new one.
            cores: per worker, which computes with as many threads; None: the threads that torch
                uses here. Where the cluster has GPUs, a worker takes one of them and one core.
            device: that models were asked to go to; "cpu" leaves GPUs alone.

        Raises:
            GazeheadsError: the package is missing, or no cluster answers.
        """
        ray = _package()
        stays = address == AUTO and ray.is_initialized()
        if not stays:
            _begin(ray, _found(address))
        import torch  # noqa: PLC0415 - slow to load

        try:
            on_gpu = device is None or device.startswith("cuda")
            own = cls(ray, cores, torch.get_num_threads(), on_gpu)
        except BaseException:
            if not stays:
                ray.shutdown()
            raise
        own._stays = stays
        return own

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started for them."""
        for worker in (*self._idle, *self._starting.values()):
            self._ray.kill(worker)
        self._idle, self._starting = [], {}
        if not self._stays:
            self._ray.shutdown()

    def done(
        self, do: Callable[[Sequence[Item]], Made], parts: Sequence[Sequence[Item]]
    ) -> Iterator[tuple[int, Made]]:
        """See `Workers`.

        Raises:
            GazeheadsError: a part failed with it, ended several workers, or no worker starts.
        """
        if not parts:
            return
        self._works += 1
        work = self._ray.put(packed(do))
        left, busy = deque(range(len(parts))), dict[Any, tuple[Any, int]]()
        ended: Counter[int] = Counter()
        self._start(min(self.count, len(parts)) - len(self._idle) - len(self._starting))
        try:
            while left or busy:
                while left and self._idle:
                    number, worker = left.popleft(), self._idle.pop()
                    made = worker.do.remote(self._works, work, packed(parts[number]))
                    busy[made] = worker, number
                first = self._first(busy)
                if first not in busy:
                    self._started(first, bool(busy))
                    continue
                worker, number = busy.pop(first)
                try:
                    outcome = self._ray.get(first)
                except self._ray.exceptions.RayActorError as error:
                    ended[number] += 1
                    if ended[number] == TRIES:
                        raise RunError(_ended(error)) from error
                    left.appendleft(number)
                    self._start(1)
                    continue
                self._idle.append(worker)
                yield number, outcome.received()
        finally:  # after an error they are free when they are done
            self._starting |= {made: worker for made, (worker, _) in busy.items()}

    def _start(self, count: int) -> None:
        for _ in range(count):
            worker = self._remote.remote(self._threads, self._device)
            self._starting[worker.ready.remote(versions())] = worker

    def _first(self, busy: dict[Any, Any]) -> Any:
        """The first that is finished of what is awaited."""
        awaited = [*busy, *self._starting]
        begun = time.monotonic()
        while True:
            finished, _ = self._ray.wait(awaited, num_returns=1, timeout=5)
            if finished:
                return finished[0]
            if not busy and time.monotonic() - begun > STARTS_WITHIN:
                raise RunError(
                    f"no worker started within {STARTS_WITHIN:.0f} s: others may be using the Ray "
                    "cluster; try again later"
                )

    def _started(self, awaited: Any, others: bool) -> None:
        worker = self._starting.pop(awaited)
        try:
            self._ray.get(awaited)
        except self._ray.exceptions.RayActorError as error:
            if others or self._idle or self._starting:
                return  # they do its share
            raise RunError(f"no worker starts: {_in_a_line(error)}") from error
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RunError):
                raise error.cause from None
            raise
        self._idle.append(worker)


def _package() -> Any:
    """Ray, told to report nothing to anybody.

    Raises:
        RunError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise RunError(
            f"--ray needs the package {error.name!r}: install it with pip install 'gazeheads[ray]'"
        ) from error


def _found(address: str) -> str | None:
    """The address of a cluster that answers; None: one is to be started.

    Raises:
        RunError: the one asked for does not answer.
    """
    if address == AUTO and not (address := os.environ.get("RAY_ADDRESS", "").strip()):
        begun = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"
        try:  # `ray start` leaves it there
            address = (begun / "ray_current_cluster").read_text(encoding="utf-8").strip()
            _check_listens(address)
        except (OSError, RunError):  # none was begun, or it is gone
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
        raise RunError(_refusal(address, said or "it is silent")) from error
    if trial.returncode:
        raise RunError(_refusal(address, trial.stderr.decode(errors="replace")))
    return address


def _begin(ray: Any, address: str | None) -> None:
    """Joins the cluster of an address, or starts one; nothing of it reaches the terminal."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    here = {"include_dashboard": False, "object_store_memory": _STORE}
    try:
        ray.init(address or "local", **quiet, **({} if address else here))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise RunError(_refusal(address or "this machine", str(error))) from error


def _check_listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise RunError(f"--ray takes auto or HOST:PORT of a Ray cluster, not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise RunError(_refusal(address, getattr(error, "strerror", None) or str(error))) from error


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


def _ended(error: Exception) -> str:
    return (
        f"one unit of work ended {TRIES} workers, the last so: {_in_a_line(error)}; if memory ran "
        "out, lower --batch-size, or start fewer workers with --ray-cores"
    )


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
