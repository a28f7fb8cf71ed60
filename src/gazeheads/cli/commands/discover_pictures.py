"""``gazeheads discover-pictures``: gaze heads found on pictures and with questions of one's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads.cli import region_options as given
from gazeheads.cli.heads_options import Model, Seed

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.regions import Region


EVEN_TIMES = 2.0
"""A best head below so many times an even look at all regions is doubted."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """A picture whose regions are asked about in turn; opened when it is measured."""

    id: str
    path: Path
    regions: tuple[Region, ...]

    @property
    def image(self) -> Image.Image:
        """Upright RGB."""
        from gazeheads.data.pictures import open_image

        return open_image(self.path)

    def __len__(self) -> int:
        return len(self.regions)


def discover_pictures_command(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    question: Annotated[
        str, typer.Option("--question", "--prompt", help="With {region}, the name of a region.")
    ] = "What is in the {region} of this picture? Answer briefly.",
    region: Annotated[
        list[str] | None,
        typer.Option("--region", help="NAME=x0,y0,x1,y1, in every picture; repeatable."),
    ] = None,
    grid: given.GridOption = None,
    units: Annotated[
        given.Units, typer.Option(help="Of --region: pixels, relative 0-1, per-mille 0-1000.")
    ] = given.Units.pixels,
    names: Annotated[
        str | None, typer.Option(help="Of the cells of --grid row by row, with commas between.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The scores, as JSON: heads for other commands.")
    ] = Path("scores.json"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what lies there.")
    ] = False,
    model: Model = "comic-tiny",
    k: Annotated[int, typer.Option("--k", min=1, help="List so many heads.")] = 12,
    seed: Seed = 0,
) -> None:
    """Score every head by how much it looks at the region that a question names."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.discovery.gaze import discover
    from gazeheads.errors import GazeheadsError
    from gazeheads.heads_by_default import followers
    from gazeheads.study.runs import check_writable

    if "{region}" not in question:
        raise GazeheadsError(
            "--question must hold {region}, which is filled with each name in turn"
        )
    if out.exists() and not overwrite:
        raise GazeheadsError(f"{out} exists: choose another --out, or add --overwrite")
    check_writable(out.absolute().parent)
    asked = _asked(pictures, region, grid, names, units)
    with terminal.ProgressBars() as bars:
        vlm = terminal.load_quietly(model)
        resolve.check_k(vlm, k)
        progress = bars("Finding gaze heads")
        scores = discover(vlm, asked, question, progress=progress, seed=seed)
    count = followers(scores)
    if count == 0:
        raise GazeheadsError(
            f"no head of {vlm.name} looks at the region asked about more than chance (permutation "
            f"test over {len(asked)} pictures, false-discovery rate 5%): the model does not follow "
            "this question on these pictures, or there are too few of them; nothing was written"
        )
    scores.save(out)
    rows = [(str(head), f"{scores[head]:.3f}") for head in scores.living_ranking()[:k]]
    terminal.table(("head", "gaze score"), rows)
    terminal.out.print(
        f"{count} of {len(scores)} heads look at the region asked about more than chance "
        f"({len(asked)} pictures, false-discovery rate 5%)",
        markup=False,
    )
    even = 1 / len(asked[0])
    best = scores[scores.living_ranking()[0]]
    if best < EVEN_TIMES * even:
        terminal.err.print(
            f"Note: even the best head gives the region asked about {best:.2f} of its attention, "
            f"hardly more than an even look at {len(asked[0])} regions would ({even:.2f}): the "
            "question is hardly followed",
            markup=False,
        )
    terminal.out.print(f"Scores: {out}", markup=False)


def _asked(
    pictures: list[Path],
    boxes: list[str] | None,
    grid: str | None,
    names: str | None,
    units: given.Units,
) -> list[_Asked]:
    """The pictures with their named regions; every mistake is told before a model is loaded."""
    from gazeheads.cli.places import pictures_at
    from gazeheads.data.pictures import open_image
    from gazeheads.errors import GazeheadsError

    if bool(boxes) == bool(grid):
        raise GazeheadsError(
            "which regions? Name several --region NAME=x0,y0,x1,y1, or a --grid, such as 2x3"
        )
    if names is not None and grid is None:
        raise GazeheadsError("--names names the cells of a --grid: name that too")
    called = None if names is None else [each.strip() for each in names.split(",")]
    found = []
    for name, path in pictures_at(pictures).items():
        size = open_image(path).size
        regions = _cells(grid, called, size, path) if grid else _boxes(boxes or [], units, size)
        if len(regions) < 2:
            raise GazeheadsError("a head can follow a question only if there are 2 regions or more")
        found.append(_Asked(name, path, tuple(regions)))
    return found


def _boxes(texts: list[str], units: given.Units, size: tuple[int, int]) -> list[Region]:
    """The regions of NAME=x0,y0,x1,y1."""
    from gazeheads.cli.places import region_of_text
    from gazeheads.errors import GazeheadsError

    found = []
    for text in texts:
        name, _, box = text.rpartition("=")
        if not name:
            raise GazeheadsError(f"--region wants NAME=x0,y0,x1,y1, not {text!r}")
        found.append(replace(region_of_text(box, units, size, "--region"), name=name))
    return found


def _cells(grid: str, names: list[str] | None, size: tuple[int, int], path: Path) -> list[Region]:
    """The cells of a grid, called by the names if there are any."""
    from gazeheads.cli.places import Places
    from gazeheads.errors import GazeheadsError

    cells = Places(grid=grid).on(size, str(path))
    if names is None:
        return list(cells)
    if len(names) != len(cells):
        raise GazeheadsError(f"--names has {len(names)} names for the {len(cells)} cells of {grid}")
    return [replace(cell, name=name) for cell, name in zip(cells, names, strict=True)]
