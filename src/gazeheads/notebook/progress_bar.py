"""How far work is, as a bar in a notebook or a terminal."""

from __future__ import annotations

from typing import Any

from tqdm.auto import tqdm

from gazeheads.progress import Progress


def progress_bar(what: str) -> Progress:
    """A bar for `progress=`; it appears with the first unit of work and ends with the last.

    Args:
        what: is done.

    Example:
        >>> scores = gazeheads.discover(vlm, strips, progress=progress_bar("Finding gaze heads"))
    """
    shown: Any = None

    def told(done: int, total: int) -> None:
        nonlocal shown
        if shown is None:
            shown = tqdm(total=total, desc=what)
        shown.update(done - shown.n)
        if done >= total:
            shown.close()
            shown = None

    return told
