"""``gazeheads strips``: strips from data sets, from the COMICS corpus, and made to order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

sources_app = typer.Typer()

NewFolder = Annotated[Path, typer.Argument(help="A new or empty folder.")]


@sources_app.command("fetch")
def fetch_command(
    folder: NewFolder,
    dataset: Annotated[
        str, typer.Option(help="Hub id, parquet file or folder of parquet files.")
    ] = "baulab/openai-comic-strips",
    split: Annotated[str, typer.Option(help="Of a hub set.")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many strips.")] = None,
    height: Annotated[
        int, typer.Option(min=0, help="Of panels, in pixels; 0 keeps them as they are.")
    ] = 256,
) -> None:
    """Export the study's strips from the Hugging Face hub, or others of the same layout."""
    from gazeheads import terminal
    from gazeheads.experiments.identity import versions
    from gazeheads.experiments.runs import check_writable
    from gazeheads.strips.folders import write_strips
    from gazeheads.strips.hub import dataset_strips

    check_writable(folder)
    source = {
        "source": dataset,
        "split": split,
        "limit": limit,
        "height": height or None,
        "versions": versions(),
    }
    with terminal.Stages() as stages, stages.busy(f"Reading strips of {dataset}"):
        strips = dataset_strips(dataset, split, limit, height or None)
        written = write_strips(folder, strips, source)
    terminal.out.print(f"Strips: {written}", markup=False)


@sources_app.command("comics")
def comics_command(
    corpus: Annotated[Path, typer.Argument(help="Holds <comic>/<page>_<panel>.jpg.")],
    folder: NewFolder,
    count: Annotated[int, typer.Option(min=1, help="Number of strips.")] = 500,
    panels: Annotated[int, typer.Option(min=2, help="Panels per strip.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
) -> None:
    """Sample strips of consecutive panels from the COMICS corpus."""
    from gazeheads import terminal
    from gazeheads.experiments.identity import versions
    from gazeheads.experiments.runs import check_writable
    from gazeheads.strips.comics import ComicsCorpus
    from gazeheads.strips.folders import write_strips

    check_writable(folder)
    source = {
        "source": "COMICS",
        "count": count,
        "panels": panels,
        "seed": seed,
        "versions": versions(),
    }
    with terminal.Stages() as stages, stages.busy(f"Sampling {count} strips"):
        found = ComicsCorpus(corpus)
        strips = (found.strip(window) for window in found.sample(count, seed, panels))
        written = write_strips(folder, strips, source)
    terminal.out.print(f"Strips: {written}", markup=False)
