"""``gazeheads export``: models as files for other places to run them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from gazeheads.errors import GazeheadsError

export_app = typer.Typer(help="Models as files for a browser.", no_args_is_help=True)
CHECKED_STRIPS = 2
CHECK_SEED = 77


@export_app.callback()
def about() -> None:
    """Models as files for a browser."""


@export_app.command("web")
def web_command(
    out: Annotated[Path, typer.Option("--out", "-o", help="A new or empty folder.")],
    model: Annotated[
        str, typer.Option(help="comic-tiny, a model folder, or a hub id.")
    ] = "comic-tiny",
    heads: Annotated[
        Path | None, typer.Option(help="Head scores, as JSON; default: discovered now.")
    ] = None,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Heads steered at first.")] = None,
    weights: Annotated[
        str, typer.Option(help="How weights are stored: int8, float16 or float32.")
    ] = "int8",
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
) -> None:
    """Write a static folder: the demo's page and a model that runs in the browser."""
    from gazeheads import terminal
    from gazeheads.demo.commands import preparing, read_scores
    from gazeheads.strips.drawn import draw_strips

    try:
        from gazeheads.demo.export.storing import Weights
        from gazeheads.demo.export.web import WebSettings, check_free, export_web
    except ImportError as error:
        raise GazeheadsError("export needs `pip install 'gazeheads[web]'`") from error
    known = {str(each): each for each in get_args(Weights)}
    if weights not in known:
        raise GazeheadsError(f"unknown weights {weights!r}: use one of {', '.join(known)}")
    check_free(out)
    scores = read_scores(heads) if heads is not None else None
    with terminal.Stages() as stages:
        with stages.busy("Loading the model and its heads"):
            vlm, scores, best = preparing(model, scores, k, seed)(lambda share, what: None)
        settings = WebSettings(known[weights], k=best, seed=seed)
        strips = draw_strips(CHECKED_STRIPS, CHECK_SEED + seed)
        page = _page()
        found = export_web(vlm, scores, out, settings, strips, page, stages.busy)
    for each in found:
        line = f"{each.name}: {each.equal} of {each.tokens} tokens equal, logits differ by at most "
        terminal.out.print(f"{line}{each.difference:.2g}", markup=False)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    what = "Page and model" if page else "Model without a page, as none was built"
    terminal.out.print(f"{what}: {out} ({size / 1e6:.1f} MB)", markup=False)


def _page() -> dict[str, bytes]:
    """The page's files, without the model that ships with it; none if the page was not built."""
    from gazeheads.demo.page import STATIC, page_files

    if not (STATIC / "index.html").is_file():
        return {}
    return {path: data for path, data in page_files().items() if not path.startswith("model/")}
