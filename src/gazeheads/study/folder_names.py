"""Where the run of an experiment on a model lives: two models never share a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gazeheads.errors import GazeheadsError
from gazeheads.files import file_name, marked_name, read_json
from gazeheads.study.disk import SETTINGS

_HUB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?")


def folder_of(out: str | os.PathLike[str], experiment: str, model: str) -> Path:
    """The folder of a run.

    The "/" of a model's hub id becomes "--", which no hub id holds. Any other name is marked as
    in `files`, and so is one whose folder another model has taken, as "A" and "a" would on some
    file systems. A folder that an earlier version named after this model is found and kept.

    Args:
        out: of all runs.
        experiment: names the folder of its runs.
        model: id or name, any text.
    """
    root = Path(out) / experiment
    known = model.replace("/", "--")
    there = None if known in ("", ".", "..") else _model_in(root / known)
    hub_like = _HUB_ID.fullmatch(model) is not None and "--" not in model
    free = hub_like and there is None and file_name(known.lower()) == known.lower()
    return root / (known if free or there == model else marked_name(model))


def _model_in(folder: Path) -> str | None:
    """The model whose run, or part of a run, is in a folder; None if nothing readable is."""
    try:
        found = [folder / SETTINGS, *sorted(folder.glob(f"*/{SETTINGS}"))]
        first = next((path for path in found if path.exists()), None)
        return None if first is None else str(read_json(first, "run-settings").get("model"))
    except (GazeheadsError, OSError, ValueError):  # not even a name the system takes
        return None
