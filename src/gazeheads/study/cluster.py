"""Workers on a Ray cluster: one per GPU, or one per so many cores.

The command's own process writes all records, so that a run is the same folder as ever. A worker
that dies is replaced, and what it was doing is done again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gazeheads import ray_cluster
from gazeheads.ray_cluster import ClusterConnection
from gazeheads.study.disk import RunError
from gazeheads.study.identity import versions
from gazeheads.study.parcels import packed
from gazeheads.study.worker import Worker
from gazeheads.study.workers import Item, Made

TRIES = 3
"""A part that ended so many workers is not given to another."""
STARTS_WITHIN = 180.0
"""Seconds in which one worker at least has to start."""


class RayWorkers:
    """Workers on a Ray cluster; see `study.workers.Workers`. Made by `connect`, ended by `close`.

    Attributes:
        told: in words, how many there are and where.
        count: the most that work at the same time.
    """

    def __init__(
        self, connection: ClusterConnection, cores: int | None, threads: int, on_gpu: bool
    ) -> None:
        ray = connection.ray
        self._connection, self._ray, self._threads = connection, ray, cores or threads
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
        connection = ray_cluster.connect(address)
        import torch  # noqa: PLC0415 - slow to load

        try:
            on_gpu = device is None or device.startswith("cuda")
            return cls(connection, cores, torch.get_num_threads(), on_gpu)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Ends the workers, and the cluster if it was started for them."""
        for worker in (*self._idle, *self._starting.values()):
            self._ray.kill(worker)
        self._idle, self._starting = [], {}
        self._connection.close()

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
                    returned = self._ray.get(first)
                except self._ray.exceptions.RayActorError as error:
                    ended[number] += 1
                    if ended[number] == TRIES:
                        raise RunError(_ended(error)) from error
                    left.appendleft(number)
                    self._start(1)
                    continue
                self._idle.append(worker)
                yield number, returned.received()
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


def _ended(error: Exception) -> str:
    return (
        f"one unit of work ended {TRIES} workers, the last so: {_in_a_line(error)}; if memory ran "
        "out, start fewer workers: more --ray-cores for each"
    )


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
