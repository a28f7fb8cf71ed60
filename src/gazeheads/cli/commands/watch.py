"""``gazeheads watch``: a narration, and where the gaze heads looked while it was written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads import prompts
from gazeheads.cli.heads_options import HeadsAnyway

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.regions import Region
    from gazeheads.trace import GazeTrace, PanelTrace

ELSEWHERE = "elsewhere"
"""What figure and numbers call the image outside all boxes."""
_DIGITS = 4  # significant ones of an attention value per token


def watch_command(
    image: Annotated[Path, typer.Argument(help="An image, or a folder of strips.")],
    prompt: Annotated[str, typer.Option(help="Asks for a narration.")] = prompts.FREE_NARRATION,
    k: Annotated[int | None, typer.Option("--k", help="Number of heads.")] = None,
    heads: Annotated[
        Path | None, typer.Option(help="Scores or a head set, as JSON; default: discovered now.")
    ] = None,
    heads_anyway: HeadsAnyway = False,
    model: Annotated[
        str, typer.Option(help="comic-tiny, a model folder, or a hub id.")
    ] = "comic-tiny",
    comic: Annotated[str | None, typer.Option(help="Id or number of the comic in a folder.")] = (
        None
    ),
    panels: Annotated[
        int | None, typer.Option(min=1, help="Number of panels of an image; default: none.")
    ] = None,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Panels per row; default: one row.")
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Tell how much goes to x0,y0,x1,y1 in pixels; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the figure and the numbers.")] = Path(
        "runs/watch"
    ),
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the text.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
) -> None:
    """Narrate a picture and show where the gaze heads look, word by word.

    By panel for a strip, by box for an image with --box, else over the whole image.
    """
    from gazeheads.cli import resolve, terminal
    from gazeheads.errors import GazeheadsError
    from gazeheads.study.runs import check_writable

    check_writable(out)
    shown = resolve.shown_at(image, comic, panels, columns)
    if box and shown.panels:
        raise GazeheadsError(f"{shown.name} is told by its panels: leave --box out, or --panels")
    boxes = [region for each in box or () for region in shown.targets(None, each)]
    with terminal.ProgressBars() as bars:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway)
        terminal.print_resize_cost(vlm, shown.image)
        trace = vlm.watch(shown.image, prompt, chosen, max_new_tokens=max_new_tokens)
    # the text first: nothing that goes wrong with a figure may lose it
    terminal.out.print(terminal.plain(trace.text))
    about = {
        "model": vlm.name,
        "picture": shown.name,
        "prompt": prompt,
        "heads": [list(head) for head in chosen],
        "text": trace.text,
        "pieces": list(trace.pieces),
    }
    if shown.panels:
        told = _by_region(trace.by_panel(shown.panels), about, out, shown.name, "panel")
    elif boxes:
        told = _by_region(by_box(trace, boxes), about, out, shown.name, "box")
    else:
        told = _over_image(trace, shown.image, about, out, shown.name)
    terminal.out.print(told, markup=False)


def by_box(trace: GazeTrace, boxes: Sequence[Region]) -> PanelTrace:
    """Share of the attention to the whole image that goes to every box, and to none of them.

    Boxes may overlap: a token then counts for each.
    """
    import numpy as np

    from gazeheads.trace import PanelTrace

    values = trace.values()
    own = [trace.tokens.indices(region) for region in boxes]
    rest = np.setdiff1d(np.arange(values.shape[1]), np.concatenate(own))
    table = np.stack([values[:, tokens].sum(1) for tokens in (*own, rest)], 1)
    total = values.sum(1, keepdims=True)
    shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    return PanelTrace(shares, (*(region.name for region in boxes), ELSEWHERE), trace.pieces)


def _by_region(trace: PanelTrace, about: dict[str, Any], out: Path, name: str, what: str) -> str:
    """Writes numbers and staircase; says where they are."""
    from gazeheads.files import write_json

    data = {
        "kind": "gaze-by-panel",
        **about,
        "panels": list(trace.names),
        "attention": trace.values.tolist(),
    }
    numbers = write_json(out / "staircase.json", data)
    trace.plot(out / "staircase.png", name, what)
    return f"Staircase: {out / 'staircase.png'}, {numbers}"


def _over_image(
    trace: GazeTrace, image: Image.Image, about: dict[str, Any], out: Path, name: str
) -> str:
    """Writes the attention to every image token at every step, and heatmaps of it."""
    from gazeheads.figure_text import save_figure
    from gazeheads.files import write_json
    from gazeheads.trace_figures import contact_sheet

    values = trace.values(value_weighted=False) / len(trace.heads)
    data = {
        "kind": "gaze-over-image",
        **about,
        "size": list(image.size),
        # of a token that stands for no part of the image: none
        "boxes": [None if math.isnan(b[0]) else [round(float(x), 2) for x in b]
                  for b in trace.tokens.boxes],
        "attention": [[float(f"{x:.{_DIGITS}g}") for x in step] for step in values],
    }  # fmt: skip
    numbers = write_json(out / "gaze.json", data)
    save_figure(contact_sheet(trace, image, name), out / "gaze.png", dpi=120)
    return f"Heatmaps: {out / 'gaze.png'}, {numbers}"
