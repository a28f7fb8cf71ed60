"""``gazeheads steer``: one question, with the gaze heads pointed at panels or a box."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gazeheads import prompts
from gazeheads.cli import region_options as regions
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.cli.schedule_options import EveryOption, ScheduleOption, schedule_of
from gazeheads.cli.strength_options import DeltaOption, ModeOption, Strength
from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.models import Generation
    from gazeheads.steering import Steering

KIND = "steered-answers"

Place = Annotated[Path, typer.Argument(help="An image, or a folder of strips.")]
Comic = Annotated[str | None, typer.Option(help="Id or number of the comic in a folder.")]
Panels = Annotated[int | None, typer.Option(min=1, help="Number of panels of an image.")]
Columns = Annotated[int | None, typer.Option(min=1, help="Panels per row; default: one row.")]


def steer_command(
    image: Place,
    prompt: Annotated[
        str, typer.Option("--prompt", "--question", help="What is asked.")
    ] = prompts.VQA,
    panel: Annotated[int | None, typer.Option(help="Look there; default: each in turn.")] = None,
    box: regions.BoxOption = None,
    units: regions.UnitsOption = None,
    rule: regions.RuleOption = regions.Rule.centre,
    threshold: regions.ThresholdOption = None,
    schedule: ScheduleOption = None,
    every: EveryOption = None,
    delta: DeltaOption = None,
    mode: ModeOption = None,
    when: Annotated[
        regions.Steered,
        typer.Option("--when", help="Steer the reading of the question, the writing, or both."),
    ] = regions.Steered.both,
    k: K = None,
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    model: Model = "comic-tiny",
    comic: Comic = None,
    panels: Panels = None,
    columns: Columns = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of answers.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Seed = 0,
) -> None:
    """Answer a question unsteered, and with the gaze heads pointed at panels or a box."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.files import json_text

    strength = Strength(delta, mode)
    shown = resolve.shown_at(image, comic, panels, columns)
    share = resolve.overlap_share(rule, threshold)
    turns = schedule_of(schedule, every, shown.panels)
    if turns is not None and (panel is not None or box is not None):
        raise GazeheadsError("name either --schedule or one place, not both")
    targets = () if turns is not None else shown.targets(panel, box, units)
    with terminal.ProgressBars() as bars:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway)
        terminal.print_resize_cost(vlm, shown.image)
        encoded = vlm.encode(shown.image, prompt)
        names = [where.name for where in targets]
        if turns is None:
            steerings = resolve.steerings(chosen, targets, rule, share, strength)
        else:
            from gazeheads.steering import Steering

            how = strength.of(chosen)
            steerings = [Steering(chosen, turns, **how, rule=rule.value, threshold=share)]
            names = [f"schedule {schedule}"]
        steerings = [replace(each, when=when.value) for each in steerings]
        rows: list[Any] = [encoded, *((encoded, each) for each in steerings)]
        done = vlm.generate(rows, max_new_tokens=max_new_tokens)
    named = list(zip(["unsteered", *names], done, strict=True))
    note = terminal.print_doubt(vlm, shown.drawn)
    if as_json:
        data = {
            "kind": KIND, "picture": shown.name, "model": vlm.name, "fingerprint": vlm.fingerprint,
            "prompt": prompt, "heads": [list(head) for head in chosen], "when": when.value,
            **_strength(steerings), "answers": [_answer(*each) for each in named],
            "note": note or None,
        }  # fmt: skip
        terminal.out.print(json_text(data), markup=False)
        return
    wide = max(len(name) for name, _ in named)
    for name, generation in named:
        terminal.out.print(f"{name:<{wide}}  ", terminal.plain(generation.text), sep="")


def _answer(name: str, generation: Generation) -> dict[str, Any]:
    return {"name": name, "text": generation.text, "steered_to": list(generation.steered_to)}


def _strength(steerings: list[Steering]) -> dict[str, Any]:
    """How strongly all of them steer."""
    delta = steerings[0].delta
    return {"delta": "inf" if delta == float("inf") else delta, "mode": steerings[0].mode}
