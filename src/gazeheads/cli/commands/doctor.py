"""``gazeheads doctor``: whether and how a model would run here, before it is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gazeheads.cli.heads_options import Model


def doctor_command(
    model: Model = "comic-tiny",
    image: Annotated[
        Path | None, typer.Option(help="A picture to count tokens of; default: a drawn strip.")
    ] = None,
    card: Annotated[
        str | None, typer.Option(help="Time discovery on h100, a100 ...; default: this machine.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say whether and how a model would run on this machine, from its config alone."""
    from gazeheads.cli import terminal
    from gazeheads.cli.plan_options import estimator_of
    from gazeheads.data.drawn.strips import draw_strips
    from gazeheads.data.pictures import open_image
    from gazeheads.errors import GazeheadsError

    strip = None if image is not None else draw_strips(1, 0)[0]
    shown = open_image(image) if image is not None else strip.image  # type: ignore[union-attr]
    from gazeheads.study.planning.checkup import card_here, findings  # torch, after the picture

    options = terminal.LOAD_OPTIONS.get({})
    estimator, dtype = estimator_of(model, card or card_here(options.get("device")))
    found = list(findings(estimator, options, dtype, shown, len(strip) if strip else 0))
    if as_json:
        usable = all(each.usable for each in found)
        whole = {"kind": "doctor", "model": estimator.model.name, "usable": usable}
        print(json.dumps({**whole, "findings": [asdict(each) for each in found]}))
    else:
        for each in found:
            terminal.out.print(f"{each.about}: {each.told}", markup=False)
    wrong = [each for each in found if not each.usable]
    if wrong:
        told = "; ".join(f"{each.about}: {each.told}" for each in wrong)
        raise GazeheadsError(f"{estimator.model.name} cannot be used here: {told}")
