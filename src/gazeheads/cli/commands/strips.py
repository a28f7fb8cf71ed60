"""``gazeheads strips``: drawn, from data sets, from the COMICS corpus, and made to order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gazeheads.cli.service_options import (
    BaseUrl,
    KeyEnv,
    Prices,
    Protocol,
    Service,
    Temperature,
    Workers,
    endpoint_of,
    read_prices,
)
from gazeheads.errors import GazeheadsError

strips_app = typer.Typer(help="Comic strips in folders.", no_args_is_help=True)

NewFolder = Annotated[Path, typer.Argument(help="A new or empty folder.")]


@strips_app.command("write")
def write_command(
    folder: NewFolder,
    count: Annotated[int, typer.Option(min=1, help="Number of strips.")] = 20,
    panels: Annotated[int, typer.Option(help="Panels per strip.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    columns: Annotated[
        int | None, typer.Option(min=1, help="Panels per row; default: one row.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Painted on the panels, one character each: ABCDEF.")
    ] = None,
    size: Annotated[int, typer.Option(min=32, help="Edge of a panel in pixels.")] = 256,
) -> None:
    """Draw comic strips whose truth is known: comicN/p1.png ..., captions.jsonl."""
    from gazeheads.cli import terminal
    from gazeheads.data.drawn.strips import draw_strips
    from gazeheads.data.folders import write_strips
    from gazeheads.study.runs import check_writable

    check_writable(folder)
    if labels is not None and len(labels) != panels:
        raise GazeheadsError(f"{panels} panels need {panels} labels, not {labels!r}")
    with terminal.ProgressBars() as bars, bars.busy(f"Drawing {count} strips"):
        drawn = draw_strips(
            count, seed, panels, size=size, columns=columns, labels=list(labels) if labels else None
        )
        written = write_strips(folder, drawn)
    terminal.out.print(f"Strips: {written}", markup=False)


@strips_app.command("fetch")
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
    from gazeheads.cli import terminal
    from gazeheads.data.folders import write_strips
    from gazeheads.data.hub import dataset_strips
    from gazeheads.study.identity import versions
    from gazeheads.study.runs import check_writable

    check_writable(folder)
    source = {
        "source": dataset,
        "split": split,
        "limit": limit,
        "height": height or None,
        "versions": versions(),
    }
    with terminal.ProgressBars() as bars, bars.busy(f"Reading strips of {dataset}"):
        strips = dataset_strips(dataset, split, limit, height or None)
        written = write_strips(folder, strips, source)
    terminal.out.print(f"Strips: {written}", markup=False)


@strips_app.command("comics")
def comics_command(
    corpus: Annotated[Path, typer.Argument(help="Holds <comic>/<page>_<panel>.jpg.")],
    folder: NewFolder,
    count: Annotated[int, typer.Option(min=1, help="Number of strips.")] = 500,
    panels: Annotated[int, typer.Option(min=2, help="Panels per strip.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
) -> None:
    """Sample strips of consecutive panels from the COMICS corpus."""
    from gazeheads.cli import terminal
    from gazeheads.data.comics import ComicsCorpus
    from gazeheads.data.folders import write_strips
    from gazeheads.study.identity import versions
    from gazeheads.study.runs import check_writable

    check_writable(folder)
    source = {
        "source": "COMICS",
        "count": count,
        "panels": panels,
        "seed": seed,
        "versions": versions(),
    }
    with terminal.ProgressBars() as bars, bars.busy(f"Sampling {count} strips"):
        found = ComicsCorpus(corpus)
        strips = (found.strip(window) for window in found.sample(count, seed, panels))
        written = write_strips(folder, strips, source)
    terminal.out.print(f"Strips: {written}", markup=False)


@strips_app.command("write-prompts")
def write_prompts_command(
    model: Annotated[str, typer.Option(help="Chat model; gpt-4o-mini in the study.")],
    count: Annotated[int, typer.Option(min=1, help="Number of stories.")] = 500,
    panels: Annotated[int, typer.Option(min=2, help="Panels per story.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of heroes, themes and styles.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    service: Service = Protocol.openai,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    temperature: Temperature = None,
    prices: Prices = None,
    workers: Workers = 8,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False,
) -> None:
    """Have a chat model invent stories for new strips under the study's six rules."""
    from gazeheads.cli import terminal
    from gazeheads.services import Chat
    from gazeheads.study.experiments import written_stories
    from gazeheads.study.runs import check_writable

    check_writable(out)
    paid = read_prices(prices)
    chat = Chat(endpoint_of(service, model, base_url, key_env, temperature))
    chat.connect()
    settings = written_stories.StorySettings(count, panels, seed)
    with terminal.ProgressBars() as bars:
        folder = written_stories.run(
            chat, settings, out, workers=workers, progress=bars("Writing stories"), fresh=fresh
        )
    terminal.out.print(f"Used: {chat.usage.told(paid)}", markup=False)
    terminal.out.print(f"Stories: {folder.path}", markup=False)


@strips_app.command("render")
def render_command(
    stories: Annotated[Path, typer.Argument(help="Run folder of strips write-prompts.")],
    folder: Annotated[Path, typer.Argument(help="New, empty, or begun earlier.")],
    model: Annotated[str, typer.Option(help="Image model; gpt-image-1 in the study.")],
    size: Annotated[str, typer.Option(help="Of a panel.")] = "1024x1024",
    quality: Annotated[str | None, typer.Option(help="As the service names it.")] = None,
    ask_base64: Annotated[
        bool, typer.Option("--ask-base64", help="For services that would send links instead.")
    ] = False,
    base_url: BaseUrl = None,
    key_env: KeyEnv = None,
    prices: Prices = None,
    workers: Workers = 4,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many calls it would make; make none.")
    ] = False,
) -> None:
    """Paint the panels of written stories; what is painted already is not painted again."""
    from gazeheads.cli import terminal
    from gazeheads.data.written.rendering import missing_panels, render
    from gazeheads.services.images import Painter
    from gazeheads.study.experiments.written_stories import read_stories, stories_fingerprint
    from gazeheads.study.runs import check_writable

    paid = read_prices(prices)
    told = read_stories(stories)
    endpoint = endpoint_of(Protocol.openai, model, base_url, key_env)
    painter = Painter(endpoint, size, quality, ask_base64)
    if dry_run:
        calls = missing_panels(folder, told)
        terminal.out.print(f"{calls} panels to paint, one call each, at {endpoint.url}")
        return
    check_writable(folder)
    painter.connect()
    source = {
        "source": "written stories",
        "stories_mark": stories_fingerprint(told),
        "model": model,
        "url": endpoint.url,
        "size": size,
        "quality": quality,
    }
    with terminal.ProgressBars() as bars:
        refused = render(
            folder, told, painter, source, workers=workers, progress=bars("Painting panels")
        )
    terminal.out.print(f"Used: {painter.usage.told(paid)}", markup=False)
    terminal.out.print(f"Strips: {folder.absolute()}", markup=False)
    if refused:
        raise GazeheadsError(
            f"{len(refused)} panels were declined, their comics are left out; {refused[0]}"
        )
