"""``gazeheads serve``: the gaze server, for any OpenAI client."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.cli.listening import LOCAL, listen, names_of, origin_of, run_server
from gazeheads.errors import GazeheadsError
from gazeheads.files import read_text

if TYPE_CHECKING:
    from gazeheads.head_set import HeadSet
    from gazeheads.live.worker import PreparedModel, Report, WorkerLimits
    from gazeheads.models import VLM

PORT = 8018
KEYS = "GAZEHEADS_KEYS"
"""Environment variable with the clients' keys, a comma between them."""
SHORTEST_KEY = 16


def serve_command(
    model: Model = "comic-tiny",
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    k: K = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = PORT,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further names clients may call the server by.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help=f"File with a key per line, one of which each request must carry; or name them in "
            f"{KEYS}. Default: none is needed."
        ),
    ] = None,
    slots: Annotated[int, typer.Option(min=1, help="Texts written at once.")] = 32,
    queue: Annotated[int, typer.Option(min=0, help="Texts that may wait for a slot.")] = 100,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of one text.")] = 300,
    max_prompt: Annotated[int, typer.Option(min=1, help="Most tokens of one question.")] = 8192,
    seconds: Annotated[float, typer.Option(min=1, help="A text may last.")] = 120.0,
    replicas: Annotated[
        int | None,
        typer.Option(min=1, help="So many copies of the model, on a Ray cluster."),
    ] = None,
    ray: Annotated[
        str, typer.Option(help="Of --replicas: auto, or HOST:PORT of a Ray cluster.")
    ] = "auto",
    replica_cores: Annotated[
        int | None, typer.Option(min=1, help="Of each of --replicas; default: all, shared out.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Serve a model to OpenAI clients, whose requests may say where its heads look."""
    try:
        from gazeheads.serving.app import make_app
    except ImportError as error:
        raise GazeheadsError("serve needs `pip install 'gazeheads[serve]'`") from error
    from gazeheads.live.worker import ModelWorker, PreparedModel, WorkerLimits

    accepted = keys_of(keys)
    names = names_of(host, allow_host or ())
    limits = WorkerLimits(
        slots=slots, queue=queue, max_tokens=max_tokens, max_prompt=max_prompt,
        text_seconds=seconds,
    )  # fmt: skip
    wanted = ModelWanted(model, heads, k, seed, heads_anyway)
    listening = listen(host, port)
    port = listening.getsockname()[1]
    if replicas is not None:
        listening.close()  # the cluster listens there itself
        serve_replicas(replicas, ray, replica_cores, wanted, limits, (host, port), names, accepted)
        return
    vlm, chosen = wanted.loaded()
    worker = ModelWorker(lambda report: PreparedModel(vlm, chosen), limits)
    tell((host, port), f"{vlm.name}, {len(chosen)} heads", accepted)
    run_server(make_app(worker, names, accepted), listening)


def load_options() -> dict[str, Any]:
    """The options of loading that stand before the command."""
    from gazeheads.cli.terminal import LOAD_OPTIONS

    return LOAD_OPTIONS.get({})


@dataclass(frozen=True)
class ModelWanted:
    """The model to serve, as the options name it; it may travel to a replica.

    Attributes:
        model, heads, k, seed, anyway: see `resolve.model_and_heads`.
        load: options of loading.
    """

    model: str
    heads: Path | None
    k: int | None
    seed: int
    anyway: bool
    load: dict[str, Any] = field(default_factory=load_options)

    def loaded(self) -> tuple[VLM, HeadSet]:
        """The model and its heads, with bars for what takes time."""
        from gazeheads.cli.resolve import model_and_heads
        from gazeheads.cli.terminal import LOAD_OPTIONS, ProgressBars

        LOAD_OPTIONS.set(self.load)
        with ProgressBars() as bars:
            return model_and_heads(self.model, self.heads, self.k, self.seed, bars, self.anyway)

    def __call__(self, report: Report) -> PreparedModel:
        """See `live.worker.Prepare`."""
        from gazeheads.live.worker import PreparedModel

        report(0.0, "Loading the model")
        return PreparedModel(*self.loaded())


def serve_replicas(
    count: int,
    cluster: str,
    cores: int | None,
    wanted: ModelWanted,
    limits: WorkerLimits,
    address: tuple[str, int],
    hosts: Sequence[str],
    keys: Sequence[str],
) -> None:
    """Runs replicas on a Ray cluster until it is told to stop.

    Raises:
        GazeheadsError: the cluster has too little, or the model cannot be loaded.
    """
    from gazeheads.ray_cluster import ray_on
    from gazeheads.serving.replicas import ReplicatedServer, resources

    with ray_on(cluster):
        each = resources(count, cores)
        server = ReplicatedServer(wanted, limits, tuple(hosts), tuple(keys), count, *each)
        try:
            server.run(*address)
            wait_until_ready(address, count)
            gpu = f" and {each[1]} GPU" if each[1] else ""
            tell(address, f"{wanted.model}, {count} replicas, {each[0]} cores{gpu} each", keys)
            ended = threading.Event()
            for ends in (signal.SIGINT, signal.SIGTERM):
                signal.signal(ends, lambda *_: ended.set())
            ended.wait()
        finally:
            server.stop()


def wait_until_ready(address: tuple[str, int], count: int) -> None:
    """Waits until a replica answers that its model is loaded.

    Raises:
        GazeheadsError: it cannot be loaded.
    """
    host, port = address
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}/healthz"
    ready = 0
    while ready < count:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                status = json.load(answer)
        except urllib.error.HTTPError as error:
            status = json.loads(error.read() or b"{}") if error.code == 503 else {}
        except OSError:
            status = {}
        if status.get("status") == "failed":
            raise GazeheadsError(status["reason"])
        ready += status.get("status") == "ok"
        time.sleep(0.2)


def tell(address: tuple[str, int], what: str, keys: Sequence[str]) -> None:
    """Says where the server is."""
    host, port = address
    if host not in LOCAL and not keys:
        typer.echo(
            "gazeheads: note: whoever reaches this address may use the model: name --keys", err=True
        )
    typer.echo(f"gazeheads serve: {origin_of(host, port)}/v1  ({what}; Ctrl-C ends it)")


def keys_of(file: Path | None) -> tuple[str, ...]:
    """The keys in a file, or else in the environment.

    Raises:
        GazeheadsError: there are none in it, or one is too short to be one.
    """
    if file is not None:
        found = [line.strip() for line in read_text(file).splitlines()]
        source = str(file)
    else:
        found = [part.strip() for part in os.environ.get(KEYS, "").split(",")]
        source = KEYS
    keys = tuple(dict.fromkeys(key for key in found if key and not key.startswith("#")))
    if file is not None and not keys:
        raise GazeheadsError(f"{file} holds no key: write one per line")
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise GazeheadsError(f"a key in {source} has fewer than {SHORTEST_KEY} characters")
    return keys
