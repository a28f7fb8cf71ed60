"""``gazeheads compare``: looking at which region makes an answer likely."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gazeheads import prompts
from gazeheads.cli import region_options as given
from gazeheads.cli.heads_options import Heads, HeadsAnyway, K, Model, Seed
from gazeheads.cli.strength_options import DeltaOption, ModeOption, Strength

KIND = "region-comparison"


def compare_command(
    image: Annotated[
        Path | None, typer.Argument(help="An image; none: a drawn scene and its objects.")
    ] = None,
    answer: Annotated[
        str, typer.Option(help="As the model would write it: of which region is it said?")
    ] = "",
    region: given.RegionsOption = None,
    mask: given.MasksOption = None,
    grid: given.GridOption = None,
    units: given.UnitsOption = None,
    rule: given.RuleOption = given.Rule.centre,
    threshold: given.ThresholdOption = None,
    when: given.WhenOption = None,
    delta: DeltaOption = None,
    mode: ModeOption = None,
    prompt: Annotated[
        str, typer.Option("--prompt", "--question", help="What is asked.")
    ] = prompts.DESCRIBE_REGION,
    model: Model = "comic-tiny",
    heads: Heads = None,
    heads_anyway: HeadsAnyway = False,
    k: K = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Seed = 0,
) -> None:
    """Rank regions by how likely an answer is with the gaze heads pointed at each."""
    from gazeheads.cli import resolve, terminal
    from gazeheads.cli.picture_tasks import places_of, tasks_of
    from gazeheads.errors import GazeheadsError
    from gazeheads.files import json_text

    if not answer.strip():
        raise GazeheadsError("name the answer to compare regions by: --answer 'A dog.'")
    if image is not None and image.is_dir():
        raise GazeheadsError(f"{image} is a folder: name one image")
    share, strength = resolve.overlap_share(rule, threshold), Strength(delta, mode)
    (task,) = tasks_of([image] if image else [], places_of(region, mask, grid, units), seed)
    with terminal.ProgressBars() as bars:
        vlm, chosen = resolve.model_and_heads(model, heads, k, seed, bars, heads_anyway, True)
        from gazeheads.models.likelihood import answer_log_probs, answer_tokens

        encoded = vlm.encode(task.image(), prompt)
        tokens = answer_tokens(vlm, answer)
        steered: list[Any] = [
            replace(each, when=given.passes_of(when, prompt))
            for each in resolve.steerings(chosen, task.regions, rule, share, strength)
        ]
        plain, *found = answer_log_probs(vlm, encoded, tokens, [None, *steered])
    ranked = sorted(zip(task.regions, found, strict=True), key=lambda each: -each[1])
    note = terminal.print_doubt(vlm, task.drawn)
    if as_json:
        regions = [
            {"name": where.name, "boxes": [list(box) for box in where.boxes],
             "log_prob": value, "difference": value - plain}
            for where, value in ranked
        ]  # fmt: skip
        data = {
            "kind": KIND, "picture": task.called, "size": list(task.size), "model": vlm.name,
            "heads": [list(head) for head in chosen], "prompt": prompt, "answer": answer,
            "tokens": len(tokens), "unsteered": plain, "regions": regions, "note": note or None,
        }  # fmt: skip
        terminal.out.print(json_text(data), markup=False)
        return
    rows = [(where.name, f"{value:.3f}", f"{value - plain:+.3f}") for where, value in ranked]
    head = ("region", f"log-probability ({len(tokens)} tokens)", "against unsteered")
    terminal.table(head, [*rows, ("unsteered", f"{plain:.3f}", "")])
