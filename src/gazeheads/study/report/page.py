"""One self-contained page from run folders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gazeheads.files import write_text
from gazeheads.study.experiment import registry
from gazeheads.study.report.blocks import Section, Tile
from gazeheads.study.report.models import comparison_section
from gazeheads.study.report.sections import headline, sections_of
from gazeheads.study.report.theme import DARK, LIGHT
from gazeheads.study.runs import RunError, RunFolder

_LONG = ("head_sets", "variants", "layouts")
"""Settings too long to be shown; they stand in summary.json."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """Everything about one model."""

    model: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


def write_report(runs: Sequence[RunFolder], path: str | os.PathLike[str]) -> Path:
    """Draws the figures into the run folders and writes the page.

    Args:
        runs: finished runs, of one model or several.
        path: of the page; the files with the numbers are linked relative to it.

    Raises:
        GazeheadsError: a run is not finished, or something can't be written.
    """
    target = Path(path)
    models = _by_model(runs)
    for run in runs:
        if (experiment := registry().get(run.experiment)) is not None:
            experiment.settings_of(run)  # raises if they are damaged
    chapters = [_chapter(model, own) for model, own in models.items()]
    comparison = comparison_section(models, target.parent / "models") if len(models) > 1 else None
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = _whole
    page = environment.get_template("page.html.j2").render(
        chapters=chapters,
        comparison=comparison,
        runs=[_about(run, target) for run in runs],
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        link=lambda file: _relative(file, target),
        light=LIGHT,
        dark=DARK,
    )
    return write_text(target, page)


def _whole(cell: str) -> Markup:
    """A table's cell in which no interval "(5.0-9.0)" and no number of heads is broken in two."""
    return Markup(re.sub(r"(\([^()]*\))", r'<span class="whole">\1</span>', str(escape(cell))))


def _by_model(runs: Sequence[RunFolder]) -> dict[str, dict[str, RunFolder]]:
    """Runs by model and experiment."""
    models: dict[str, dict[str, RunFolder]] = {}
    for run in runs:
        own = models.setdefault(run.model, {})
        if run.experiment in own:
            raise RunError(
                f"{own[run.experiment].path} and {run.path} are the same experiment on the same "
                "model: report them one by one"
            )
        own[run.experiment] = run
    if not models:
        raise RunError("no runs to report")
    return models


def _chapter(model: str, runs: dict[str, RunFolder]) -> Chapter:
    return Chapter(model, tuple(headline(runs)), tuple(sections_of(runs)))


def _about(run: RunFolder, page: Path) -> dict[str, Any]:
    """What the last section tells about a run."""
    return {
        "experiment": run.experiment,
        "model": run.model,
        "seed": run.summary["seed"],
        "units": run.summary["units"],
        "settings": {
            key: _setting(value) for key, value in run.settings.items() if key not in _LONG
        },
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "files": [_relative(run.path / name, page) for name in ("summary.json", "records.jsonl")],
    }


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _relative(file: Path, page: Path) -> str:
    return Path(os.path.relpath(file.absolute(), page.absolute().parent)).as_posix()
