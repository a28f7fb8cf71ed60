"""Several replicas of the gaze server on a Ray cluster, behind one address.

A text is written by one replica, whose name stands in its id; a request to move it may reach any of
them. So each listens at a mailbox that all can reach.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gazeheads.errors import GazeheadsError
from gazeheads.serving.body import RequestError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from gazeheads.live.worker import Prepare, WorkerLimits

Move = Callable[[str, bytes, dict[str, Any]], dict[str, Any]]
"""Points a text elsewhere: its id, the client's key, a checked body; see `_Endpoints.moved`."""


class OtherReplicas(Protocol):
    """Replicas of one server, each of which writes texts of its own."""

    name: str

    async def listen(self, move: Move) -> None:
        """Does what the others ask of this one, until it is cancelled."""
        ...

    async def move(self, replica: str, text: str, key: bytes, body: dict[str, Any]) -> Any:
        """What the replica of that name answers to the move of one of its texts.

        Raises:
            RequestError: its refusal, or there is no such replica.
        """
        ...


ANSWERS_WITHIN = 10.0
"""Seconds in which a replica answers a move."""
SHUTDOWN_SECONDS = 5.0
"""Texts under way have to end."""
_GONE = "no such text is being written"


class Mailbox:
    """Moves on their way to the replicas that write the texts; an actor of its own.

    A replica takes its moves with `taken` and answers with `answered`.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Queue[tuple[str, str, bytes, dict[str, Any]]]] = {}
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def taken(self, replica: str) -> tuple[str, str, bytes, dict[str, Any]]:
        """The next move for a replica: ticket, id of the text, key and body."""
        return await self._waiting.setdefault(replica, asyncio.Queue()).get()

    async def answered(self, ticket: str, answer: dict[str, Any]) -> None:
        """Gives the answer to who waits for it."""
        waits = self._answers.get(ticket)
        if waits is not None and not waits.done():
            waits.set_result(answer)

    async def move(
        self, replica: str, text: str, key: bytes, body: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The answer of a replica to a move; None: there is no such replica, or it is silent."""
        queue = self._waiting.get(replica)
        if queue is None:
            return None
        ticket = secrets.token_hex(8)
        waits = self._answers[ticket] = asyncio.get_running_loop().create_future()
        queue.put_nowait((ticket, text, key, body))
        try:
            return await asyncio.wait_for(waits, ANSWERS_WITHIN)
        except TimeoutError:
            return None
        finally:
            del self._answers[ticket]


class RayReplicas:
    """One replica's way to the others; see `OtherReplicas`.

    Attributes:
        name: of this replica.
    """

    def __init__(self, mailbox: Any) -> None:
        """Args:
        mailbox: handle of the `Mailbox` actor.
        """
        self.name = secrets.token_hex(4)
        self._mailbox = mailbox

    async def listen(self, move: Move) -> None:
        """Does what the others ask of this one, until it is cancelled."""
        while True:
            ticket, text, key, body = await self._mailbox.taken.remote(self.name)
            answer: dict[str, Any]
            try:
                answer = {"moved": move(text, key, body)}
            except RequestError as error:
                answer = {"refused": (str(error), error.status, error.code, error.param)}
            except GazeheadsError as error:
                answer = {"refused": (str(error), 400, "invalid_request", "")}
            await self._mailbox.answered.remote(ticket, answer)

    async def move(self, replica: str, text: str, key: bytes, body: dict[str, Any]) -> Any:
        """What another replica answers; see `OtherReplicas.move`."""
        answer = await self._mailbox.move.remote(replica, text, key, body)
        if answer is None:
            raise RequestError(_GONE, 404, "not_found")
        if "refused" in answer:
            raise RequestError(*answer["refused"])
        return answer["moved"]


@dataclass(frozen=True)
class ReplicatedServer:
    """What is served, and how often.

    Attributes:
        prepare: loads the model in a replica; it travels there.
        limits: of each replica.
        hosts, keys: see `app.make_app`.
        count: of replicas.
        cores: of each replica, which computes with as many threads.
        gpus: of each replica.
    """

    prepare: Prepare
    limits: WorkerLimits
    hosts: tuple[str, ...]
    keys: tuple[str, ...]
    count: int
    cores: int
    gpus: int = 0

    def run(self, host: str, port: int) -> None:
        """Starts the replicas on the cluster that this process is connected to; returns at once.

        Args:
            host, port: where the cluster's proxies listen.
        """
        try:
            import ray  # noqa: PLC0415 - an extra
            from ray import serve  # noqa: PLC0415
        except ImportError as error:
            raise GazeheadsError(
                f"--replicas needs the package {error.name!r}: install it with "
                "pip install 'gazeheads[ray]'"
            ) from error

        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        serve.start(
            http_options={"host": host, "port": port, "request_timeout_s": None},
            logging_config={"log_level": "ERROR", "enable_access_log": False},
        )

        def build() -> Starlette:  # Ray Serve takes functions alone
            return self._application(mailbox)

        replica: Any = serve.deployment(
            serve.ingress(build)(GazeServer),
            num_replicas=self.count,
            max_ongoing_requests=self.limits.connections,
            graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
            graceful_shutdown_wait_loop_s=0.2,
            ray_actor_options={"num_cpus": self.cores, "num_gpus": self.gpus},
        )
        serve.run(replica.bind(), name="gazeheads", route_prefix="/")

    def _application(self, mailbox: Any) -> Starlette:
        """A replica's application, made in the replica."""
        import torch  # noqa: PLC0415 - slow to load

        from gazeheads.live.worker import ModelWorker  # noqa: PLC0415
        from gazeheads.serving.app import make_app  # noqa: PLC0415

        torch.set_num_threads(self.cores)
        worker = ModelWorker(self.prepare, self.limits)
        return make_app(worker, self.hosts, self.keys, RayReplicas(mailbox))

    def stop(self) -> None:
        """Ends the replicas and the proxies."""
        from ray import serve  # noqa: PLC0415

        serve.shutdown()  # type: ignore[no-untyped-call]


def resources(count: int, cores: int | None) -> tuple[int, int]:
    """Cores and GPUs of each replica on the cluster that this process is connected to.

    Args:
        count: of replicas.
        cores: of each; None: all that there are, shared out. With GPUs each takes one.

    Raises:
        GazeheadsError: the cluster has too few.
    """
    import ray  # noqa: PLC0415 - an extra

    total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    has, gpus = int(total.get("CPU", 0)), int(total.get("GPU", 0))
    each = cores if cores is not None else max(1, has // count)
    if each * count > has:
        raise GazeheadsError(
            f"--replicas {count} of {each} cores each need {each * count}, the Ray cluster has "
            f"{has}: name fewer with --replicas or --replica-cores"
        )
    if gpus and gpus < count:
        raise GazeheadsError(
            f"--replicas {count} need a GPU each, the Ray cluster has {gpus}: name fewer"
        )
    return each, 1 if gpus else 0


class GazeServer:
    """What Ray Serve calls a replica; its application does the work."""
