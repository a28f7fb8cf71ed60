"""``gazeheads tiny``: train comic-tiny from scratch and examine it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as RichProgress

tiny_app = typer.Typer(
    name="tiny",
    help="Train and examine comic-tiny, the small vision-language model that ships with gazeheads.",
    no_args_is_help=True,
)


@tiny_app.command("train")
def train_command(
    out: Annotated[Path, typer.Argument(help="Run folder; a run that was stopped continues.")],
    encoder_steps: Annotated[int, typer.Option(min=0, help="Steps of the encoder alone.")] = 2600,
    steps: Annotated[int, typer.Option(min=1, help="Steps of question answering.")] = 8000,
    images: Annotated[int, typer.Option(min=1, help="Images per process and step.")] = 8,
    processes: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 2,
    panels: Annotated[int, typer.Option(min=100, help="Drawn panels to train on.")] = 30_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    start: Annotated[
        Path | None, typer.Option(help="Model folder to go on from; default: random weights.")
    ] = None,
    begin: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the curriculum to begin at.")
    ] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    heads_kept: Annotated[
        int, typer.Option(min=1, help="Heads left alive; the least needed are pruned.")
    ] = 48,
) -> None:
    """Train comic-tiny on drawn comics, on CPU. OUT/model is a stock Hugging Face folder."""
    from gazeheads.tiny.loop import TrainSettings
    from gazeheads.tiny.model import TinyShape
    from gazeheads.tiny.train import train

    settings = TrainSettings(
        encoder_steps=encoder_steps,
        steps=steps,
        images=images,
        processes=processes,
        panels=panels,
        seed=seed,
        start=str(start or ""),
        begin=begin,
        learning_rate=learning_rate,
        heads_kept=heads_kept,
    )
    train(out, settings, TinyShape(), Console())


@tiny_app.command("exam")
def exam_command(
    model: Annotated[str, typer.Option(help="comic-tiny, or a model folder.")] = "comic-tiny",
    strips: Annotated[int, typer.Option(min=1, help="Held-out six-panel strips.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of strips and questions.")] = 1000,
    out: Annotated[Path | None, typer.Option(help="Also write the marks here, as JSON.")] = None,
) -> None:
    """Ask the unsteered model about held-out combinations and mark its answers exactly."""
    import gazeheads
    from gazeheads.files import write_json
    from gazeheads.tiny.exam import ExamSettings, examine

    vlm = gazeheads.load(model)
    settings = ExamSettings(strips=strips, scenes=strips, seed=seed)
    with RichProgress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking")
        marks = examine(
            vlm.model,
            vlm.processor,
            settings,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    console = Console()
    for mark in marks:
        console.print(f"{mark.kind:24} {mark.right:7.1%}  of {mark.asked}")
    if out is not None:
        write_json(
            out,
            {
                "kind": "tiny-exam",
                "model": vlm.name,
                "settings": json.loads(json.dumps(settings.__dict__)),
                "marks": [mark.__dict__ for mark in marks],
            },
        )
