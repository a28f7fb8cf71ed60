"""``gazeheads locate``: where in a picture a phrase is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads import prompts
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.heads import HeadSet
    from gazeheads.locating.located import Located
    from gazeheads.models import VLM

KIND = "located-phrase"


class Method(StrEnum):
    """How a phrase is located (see `Located.method`)."""

    naming = "naming"
    attention = "attention"
    localization = "localization"


def locate_command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[IMAGE] PHRASE", help="A picture, or none: a drawn scene; what is looked for."
        ),
    ],
    method: Annotated[
        Method,
        typer.Option(
            help="By what the model names where its heads are pointed; by where they look when the "
            "phrase is asked for; or by 3 localization heads."
        ),
    ] = Method.naming,
    prompt: Annotated[
        str,
        typer.Option("--prompt", "--question", help="Of naming; it does not name the phrase."),
    ] = prompts.COCO,
    cells: Annotated[
        int, typer.Option(min=1, help="Of naming: cells along an edge, at most.")
    ] = 12,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A PNG; its numbers go into a JSON beside it."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what lies there.")
    ] = False,
    model: Model = "comic-tiny",
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    k: K = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Seed = 0,
) -> None:
    """Locate a phrase in a picture."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.cli.picture_tasks import picture_or_scene
    from gazeheads.cli.place_figure import place_figure
    from gazeheads.errors import GazeheadsError
    from gazeheads.files import json_text, write_json
    from gazeheads.locating.naming import answer_for

    if len(words) > 2:
        raise GazeheadsError(
            f"name a picture and a phrase, the phrase in quotes, not {len(words)} words"
        )
    phrase = words[-1]
    answer_for(phrase)  # an empty one is told before a model is loaded
    if out is not None:
        _check_free(out, overwrite)
    task = picture_or_scene(Path(words[0]) if len(words) == 2 else None, seed)
    if task.regions:
        there = ", ".join(region.name for region in task.regions)
        terminal.err.print(f"Drawn scene {seed}: {there}", markup=False)
    with terminal.ProgressBars() as bars:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway, True)
        found = _located(vlm, task.image(), phrase, chosen, method, prompt, cells, seed)
    note = terminal.print_doubt(vlm, task.drawn)
    data = {
        "kind": KIND, "picture": task.called, "pixels": task.pixels, "size": list(task.size),
        "model": vlm.name, "fingerprint": vlm.fingerprint, "heads": [list(h) for h in chosen],
        "prompt": prompt if method is Method.naming else None, "seed": seed, **found.as_dict(),
        "note": note or None,
    }  # fmt: skip
    if out is not None:
        place_figure(task.image(), found, out, note)
        write_json(out.with_suffix(".json"), data)
    if as_json:
        terminal.out.print(json_text(data), markup=False)
        return
    _tell(found)
    if out is not None:
        terminal.out.print(f"Figure: {out}, numbers: {out.with_suffix('.json')}", markup=False)


def _check_free(out: Path, overwrite: bool) -> None:
    from gazeheads.errors import GazeheadsError
    from gazeheads.study.runs import check_writable

    if out.suffix.lower() != ".png":
        raise GazeheadsError(f"--out wants a PNG file, such as place.png, not {out}")
    if not out.absolute().parent.is_dir():
        raise GazeheadsError(f"there is no folder {out.absolute().parent} for {out.name}")
    check_writable(out.absolute().parent)
    taken = [path for path in (out, out.with_suffix(".json")) if path.exists()]
    if taken and not overwrite:
        raise GazeheadsError(f"{taken[0]} exists: choose another --out, or add --overwrite")


def _located(
    vlm: VLM,
    image: Image.Image,
    phrase: str,
    heads: HeadSet,
    method: Method,
    prompt: str,
    cells: int,
    seed: int,
) -> Located:
    from gazeheads.locating import attending, naming

    if method is Method.naming:
        return naming.locate(vlm, image, phrase, heads, prompt=prompt, cells=cells)
    naming.check_sayable(vlm, phrase)
    if method is Method.localization:
        heads = attending.default_localization_heads(vlm, seed)
    return attending.attended(vlm, image, phrase, heads, method.value)


def _tell(found: Located) -> None:
    from gazeheads.cli import terminal

    box = ",".join(f"{edge:.0f}" for edge in found.box)
    where = f"box {box}" if found.likely is not False else f"not found (likeliest in {box})"
    terminal.out.print(f"{found.phrase}: {where}", markup=False)
    if found.unsteered is None:
        return
    terminal.out.print(
        f"named with p = {found.score:.2f} per token at best, {found.unsteered:.2f} unsteered",
        markup=False,
    )
    if not found.likely:
        terminal.err.print(
            f"Note: wherever the heads look, the model hardly says {found.phrase!r}: it is likely "
            "not in the picture",
            markup=False,
        )
