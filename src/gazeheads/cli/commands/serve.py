"""``gazeheads serve``: the gaze server, for any OpenAI client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gazeheads.cli.commands.demo import LOCAL, SHUTDOWN_SECONDS, listen
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.errors import GazeheadsError
from gazeheads.files import read_text

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
    seed: Seed = 0,
) -> None:
    """Serve a model to OpenAI clients, whose requests may say where its heads look."""
    try:
        import uvicorn

        from gazeheads.serving.app import make_app
    except ImportError as error:
        raise GazeheadsError("serve needs `pip install 'gazeheads[serve]'`") from error
    from gazeheads.cli.resolve import model_and_heads
    from gazeheads.cli.terminal import ProgressBars
    from gazeheads.live.worker import ModelWorker, PreparedModel, WorkerLimits

    accepted = keys_of(keys)
    listening = listen(host, port)
    with ProgressBars() as bars:
        vlm, chosen = model_and_heads(model, heads, k, seed, bars, heads_anyway)
    limits = WorkerLimits(
        slots=slots, queue=queue, max_tokens=max_tokens, max_prompt=max_prompt,
        text_seconds=seconds,
    )  # fmt: skip
    worker = ModelWorker(lambda report: PreparedModel(vlm, chosen), limits)
    names = [*(LOCAL if host in LOCAL else [host]), *(allow_host or [])]
    anywhere = host in ("0.0.0.0", "::")
    if anywhere and not allow_host:
        names = ["*"]
    if host not in LOCAL and not accepted:
        typer.echo(
            "gazeheads: note: whoever reaches this address may use the model: name --keys", err=True
        )
    called = f"[{host}]" if ":" in host else host
    url = f"http://{called}:{listening.getsockname()[1]}/v1"
    typer.echo(f"gazeheads serve: {url}  ({vlm.name}, {len(chosen)} heads; Ctrl-C ends it)")
    config: dict[str, Any] = {
        "log_level": "warning",
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "server_header": False,
    }
    app = make_app(worker, names, accepted)
    uvicorn.Server(uvicorn.Config(app, **config)).run(sockets=[listening])


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
