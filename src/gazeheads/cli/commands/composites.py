"""``gazeheads composites``: cut-out pictures put together, with known boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def composites_command(
    stamps: Annotated[
        Path, typer.Argument(help="Of Debian's tuxpaint-stamps-default: /usr/share/tuxpaint/stamps")
    ],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    count: Annotated[int, typer.Option(min=1, help="Number of pictures.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
) -> None:
    """Compose pictures of cut-outs at known boxes, in the format that coco --coco reads."""
    from gazeheads.cli import terminal
    from gazeheads.data.composites import read_stamps, write_composites
    from gazeheads.study.runs import check_writable

    found = read_stamps(stamps)
    check_writable(folder.absolute().parent)
    with terminal.ProgressBars() as bars, bars.busy(f"Composing {count} pictures"):
        written = write_composites(found, folder, count, seed)
    used = len({stamp.name for stamp in found})
    terminal.out.print(f"Stamps: {len(found)} of {used} names", markup=False)
    terminal.out.print(f"Pictures: {written}", markup=False)
