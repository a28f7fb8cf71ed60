"""``gazeheads demo``: the live demo as a local page."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gazeheads.cli.heads_options import HeadsAnyway
from gazeheads.cli.listening import listen, names_of, origin_of, run_server
from gazeheads.errors import GazeheadsError
from gazeheads.live.page import DESCRIPTION

if TYPE_CHECKING:
    from gazeheads.heads import HeadScores
    from gazeheads.live.worker import Prepare, PreparedModel, Report
    from gazeheads.models import VLM

Engine = Literal["auto", "browser", "server"]
PORT = 8017


def demo_command(
    model: Annotated[
        str, typer.Option(help="comic-tiny, a model folder, or a hub id.")
    ] = "comic-tiny",
    heads: Annotated[
        Path | None, typer.Option(help="Head scores, as JSON; default: discovered at the start.")
    ] = None,
    heads_anyway: HeadsAnyway = False,
    k: Annotated[int | None, typer.Option("--k", help="Heads steered at first.")] = None,
    engine: Annotated[
        str, typer.Option(help="Where the model runs: browser, server, or auto.")
    ] = "auto",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = PORT,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="Texts the server writes at once; 32 unless given."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Further names browsers may call the server by.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of discovery.")] = 0,
    seats: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
) -> None:
    """Serve the live demo as a local page: hover a panel and the model describes it."""
    try:
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise GazeheadsError("the demo needs `pip install 'gazeheads[serve]'`") from error
    from gazeheads.live.page import page_files
    from gazeheads.live.server import make_app
    from gazeheads.live.worker import ModelWorker, WorkerLimits

    files = page_files()
    limits = WorkerLimits(slots=slots_of(slots, seats))
    chosen = choose_engine(engine, model, heads, files)
    worker = None
    if chosen == "server":
        scores = read_scores(heads) if heads is not None else None
        worker = ModelWorker(preparing(model, scores, k, seed, heads_anyway), limits)
    app = make_app(worker, files, names_of(host, allow_host or ()))
    listening = listen(host, port)
    url = f"{origin_of(host, listening.getsockname()[1])}/"
    typer.echo(f"gazeheads demo: {url}  ({chosen} engine, {model}; Ctrl-C ends it)")
    if open_page:
        threading.Timer(0.5, webbrowser.open, [url]).start()
    run_server(app, listening, ws_max_size=limits.max_frame, ws_max_queue=8)


def choose_engine(
    engine: str, model: str, heads: Path | None, files: dict[str, bytes]
) -> Literal["browser", "server"]:
    """Where the model runs; "auto" is the browser when the page carries the model asked for.

    Raises:
        GazeheadsError: there is no such engine, or the page carries no such model.
    """
    shipped = model == "comic-tiny" and heads is None and DESCRIPTION in files
    if engine == "auto":
        return "browser" if shipped else "server"
    if engine == "server":
        return "server"
    if engine != "browser":
        raise GazeheadsError(f"unknown engine {engine!r}: use auto, browser or server")
    if not shipped:
        raise GazeheadsError(
            "the page carries comic-tiny only, and only if it was exported: use --engine server, "
            "or `gazeheads export web` for a page with another model"
        )
    return "browser"


def slots_of(slots: int | None, seats: int | None) -> int:
    """Texts written at once, by `--slots` or by what that option was called in 0.1.

    Raises:
        GazeheadsError: both are given.
    """
    if seats is None:
        return 32 if slots is None else slots
    if slots is not None:
        raise GazeheadsError("--seats is what --slots was called before: give --slots alone")
    typer.echo("gazeheads: note: --seats is now --slots", err=True)
    return seats


def read_scores(path: Path) -> HeadScores:
    """Head scores with matrices, which the page shows."""
    from gazeheads.heads import HeadScores

    scores = HeadScores.load(path)
    if scores.matrices is None:
        raise GazeheadsError(f"{path} holds no matrices to show: use scores of gazeheads discover")
    return scores


def preparing(
    model: str, scores: HeadScores | None, k: int | None, seed: int, anyway: bool = False
) -> Prepare:
    """How the model gets ready: loaded, and its heads found unless they are known."""

    def prepare(report: Report) -> PreparedModel:
        from gazeheads.cli.resolve import best_heads
        from gazeheads.live.worker import PreparedModel

        vlm, found = model_and_scores(model, scores, k, seed, anyway, report)
        return PreparedModel(vlm, best_heads(found, k), found)

    return prepare


def model_and_scores(
    model: str,
    scores: HeadScores | None,
    k: int | None,
    seed: int,
    anyway: bool,
    report: Report = lambda share, what: None,
) -> tuple[VLM, HeadScores]:
    """The model, and its head scores: those given, or found now."""
    report(0.0, "Loading the model")
    from gazeheads.cli.resolve import check_k, heads_of
    from gazeheads.cli.terminal import in_a_grid, load_quietly
    from gazeheads.heads_by_default import default_scores

    vlm = load_quietly(model)
    check_k(vlm, k)
    if scores is not None:
        return vlm, heads_of(vlm, scores, anyway)
    report(0.2, "Drawing strips to find its gaze heads on")
    found = default_scores(
        vlm,
        seed=seed,
        in_rows=in_a_grid(),
        progress=lambda done, total: report(0.3 + 0.7 * done / total, "Finding gaze heads"),
    )
    return vlm, found
