"""``gazeheads export``: models as files for other places to run them in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from gazeheads.cli.heads_options import HeadsAnyway
from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.export.storing import Weights
    from gazeheads.heads import HeadScores
    from gazeheads.models import VLM

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
    heads_anyway: HeadsAnyway = False,
    k: Annotated[int | None, typer.Option("--k", min=1, help="Heads steered at first.")] = None,
    weights: Annotated[
        str, typer.Option(help="How weights are stored: int8, float16, float32; int4: for WebGPU.")
    ] = "int8",
    dtype: Annotated[
        str, typer.Option(help="What the graphs compute in: float32 or float16.")
    ] = "float32",
    runtime: Annotated[
        Path | None,
        typer.Option(help="ONNX Runtime for WebGPU, where the installation has none."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
) -> None:
    """Write a static folder: the demo's page and a model that runs in the browser."""
    from gazeheads.cli import terminal
    from gazeheads.cli.commands.demo import model_and_scores, read_scores
    from gazeheads.cli.resolve import best_heads
    from gazeheads.data.drawn.strips import draw_strips

    try:
        from gazeheads.export.storing import Weights
        from gazeheads.export.web import WebSettings, check_free, export_web
    except ImportError as error:
        raise GazeheadsError("export needs `pip install 'gazeheads[web]'`") from error
    known = {str(each): each for each in get_args(Weights)}
    if weights not in known:
        raise GazeheadsError(f"unknown weights {weights!r}: use one of {', '.join(known)}")
    check_free(out)
    if runtime is not None and weights != "int4":
        raise GazeheadsError("--runtime is of WebGPU, which --weights int4 alone uses")
    page = _page(known[weights], runtime)
    scores = read_scores(heads) if heads is not None else None
    if dtype not in ("float32", "float16"):
        raise GazeheadsError(f"unknown dtype {dtype!r}: use float32 or float16")
    with terminal.ProgressBars() as bars:
        with bars.busy("Loading the model and its heads"):
            if dtype == "float32":
                vlm, scores = model_and_scores(model, scores, k, seed, heads_anyway)
                best = len(best_heads(scores, k))
            else:
                vlm, scores, best = _half(model, scores, k, heads_anyway)
        settings = WebSettings(known[weights], k=best, seed=seed)
        strips = draw_strips(CHECKED_STRIPS, CHECK_SEED + seed)
        found = export_web(vlm, scores, out, settings, strips, page, bars.busy)
    for each in found:
        line = f"{each.name}: {each.equal} of {each.tokens} tokens equal, logits differ by at most "
        terminal.out.print(f"{line}{each.difference:.2g}", markup=False)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    what = "Page and model" if page else "Model without a page, as none was built"
    terminal.out.print(f"{what}: {out} ({size / 1e6:.1f} MB)", markup=False)


def _half(
    model: str, scores: HeadScores | None, k: int | None, anyway: bool
) -> tuple[VLM, HeadScores, int]:
    """The model in 16 bits from the start, as a large one has no room in 32."""
    from gazeheads.cli.resolve import best_heads, check_k, heads_of
    from gazeheads.models import load

    if scores is None:
        raise GazeheadsError("--dtype float16 needs --heads: find them with `gazeheads discover`")
    vlm = load(model, device="cpu", dtype="float16")
    check_k(vlm, k)
    own = heads_of(vlm, scores, anyway)
    return vlm, own, len(best_heads(own, k))


def _page(weights: Weights, runtime: Path | None) -> dict[str, bytes]:
    """The page's files for a model; none if the page was not built."""
    from gazeheads.live.page import STATIC, page_for

    if not (STATIC / "index.html").is_file():
        return {}
    return page_for("webgpu" if weights == "int4" else "wasm", runtime=runtime)
