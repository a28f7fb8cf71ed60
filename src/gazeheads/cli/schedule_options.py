"""Options that turn the heads to one panel after another while a text is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.regions import Region
    from gazeheads.steering import Schedule

EVERY = 50
"""Tokens between two panels of a schedule: the study's."""
ScheduleOption = Annotated[
    str | None,
    typer.Option("--schedule", help="Panels one after another in one text, such as 4,2,1,6,5,3."),
]
EveryOption = Annotated[
    int | None,
    typer.Option("--every", min=1, help=f"Tokens per panel of --schedule; default: {EVERY}."),
]


def schedule_of(order: str | None, every: int | None, panels: Sequence[Region]) -> Schedule | None:
    """Panels one after another, the next one every so many tokens.

    Args:
        order: their numbers, from 1, as the user wrote them; None: no schedule.
        every: tokens per panel.
        panels: of the picture.

    Raises:
        GazeheadsError: they are no numbers of its panels.
    """
    if order is None:
        if every is not None:
            raise GazeheadsError("--every is of --schedule: name that too")
        return None
    if not panels:
        raise GazeheadsError("--schedule names panels: say with --panels how many the image has")
    try:
        numbers = [int(part) for part in order.split(",")]
    except ValueError as error:
        told = f"--schedule wants numbers of panels, such as 4,2,1, not {order!r}"
        raise GazeheadsError(told) from error
    if wrong := [number for number in numbers if not 1 <= number <= len(panels)]:
        raise GazeheadsError(f"--schedule: no panel {wrong[0]}: there are 1 to {len(panels)}")
    from gazeheads.steering import Schedule

    return Schedule.every(every or EVERY, [panels[number - 1] for number in numbers])
