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

from gazeheads.files import json_text, write_text
from gazeheads.study.experiment import registry
from gazeheads.study.report import embedding
from gazeheads.study.report.blocks import Section, TableBlock, Tile
from gazeheads.study.report.chapters import Bundle, bundles_of
from gazeheads.study.report.glossary import Explained, terms
from gazeheads.study.report.models import comparison_section
from gazeheads.study.report.samples import Samples, colours, samples_of
from gazeheads.study.report.sections import headline, sections_of
from gazeheads.study.report.side_by_side import side_by_side
from gazeheads.study.report.tables import csv_text
from gazeheads.study.report.theme import DARK, LIGHT
from gazeheads.study.runs import RunFolder

_LONG = ("head_sets", "variants", "layouts")
"""Settings too long to be shown; they stand in summary.json."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """Runs that belong together; see `chapters.Bundle`.

    Attributes:
        model: its name.
        title: what tells the chapter from the others.
        prefix: of the ids of its sections, so that none is there twice.
        tiles: the numbers to see first.
        sections: in reading order.
    """

    model: str
    title: str
    prefix: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class ContentsLine:
    """A line of the contents; `chapter`: it begins one, or belongs to none of several."""

    id: str
    title: str
    chapter: bool = False


def write_report(runs: Sequence[RunFolder], path: str | os.PathLike[str]) -> Path:
    """Draws the figures into the run folders and writes the page.

    The page is whole: figures, pictures and the files with the numbers are inside.

    Args:
        runs: finished runs; of several models, or of one experiment with several settings, they
            stand side by side too.
        path: of the page.

    Raises:
        GazeheadsError: a run is not finished, or something can't be written.
    """
    target = Path(path)
    bundles = bundles_of(runs)
    for run in runs:
        if (experiment := registry().get(run.experiment)) is not None:
            experiment.settings_of(run)  # raises if they are damaged
    chapters = [_chapter(bundle, i) for i, bundle in enumerate(bundles, 1)]
    compared = _compared(bundles, target.parent)
    page = (
        _environment(bundles)
        .get_template("page.html.j2")
        .render(
            models=list(dict.fromkeys(chapter.model for chapter in chapters)),
            chapters=chapters,
            compared=compared,
            contents=_contents(chapters, compared),
            glossary=terms(),
            runs=[_about(run, target) for run in runs],
            css=_inline("page.css", "viewer.css"),
            js=_inline("page.js", "viewer.js"),
        )
    )
    return write_text(target, page.lstrip())


def _environment(bundles: Sequence[Bundle]) -> Environment:
    """Templates, and what they put inside the page."""
    pictures = embedding.Pictures()
    folders = [run.path for bundle in bundles for run in bundle.runs.values()]
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = _whole
    environment.globals |= {
        "pictures": pictures,
        "samples_of": lambda: samples_of(bundles, pictures),
        "script_data": _script_data,
        "figure_uri": embedding.figure_uri,
        "file_uri": embedding.file_uri,
        "table_uri": _table_uri,
        "saved_as": lambda file: embedding.download_name(file, folders),
        "new_section": Explained,
        "light": LIGHT,
        "dark": DARK,
    }
    return environment


def _inline(*names: str) -> Markup:
    return Markup("\n".join((_HERE / name).read_text(encoding="utf-8") for name in names))


def _script_data(samples: Samples) -> Markup:
    """What the viewer reads, as JSON that cannot end the script element it stands in."""
    text = json_text({**samples.values, "colours": colours(samples)})
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _table_uri(block: TableBlock) -> str:
    return embedding.text_uri(csv_text(block.head, block.rows), "text/csv")


def _compared(bundles: Sequence[Bundle], folder: Path) -> list[Section]:
    """Sections about several chapters at once; their figures go into folders beside the page."""
    found = [side_by_side(bundles, folder / "side-by-side")]
    if len({bundle.model for bundle in bundles}) > 1:
        by_title = {bundle.title: bundle.runs for bundle in bundles}
        found = [comparison_section(by_title, folder / "models"), *found]
    return [section for section in found if section is not None]


def _contents(chapters: Sequence[Chapter], compared: Sequence[Section]) -> list[ContentsLine]:
    entries = [ContentsLine(section.id, section.title) for section in compared]
    for chapter in chapters:
        if len(chapters) > 1:
            entries.append(ContentsLine(f"{chapter.prefix}chapter", chapter.title, chapter=True))
        entries += [ContentsLine(chapter.prefix + own.id, own.title) for own in chapter.sections]
    several = len(chapters) > 1
    last = {
        "samples": "Every answer, one at a time",
        "glossary": "Words",
        "settings": "How this was made",
    }
    return [*entries, *(ContentsLine(name, title, several) for name, title in last.items())]


def _whole(cell: str) -> Markup:
    """A table's cell in which no interval "(5.0-9.0)" and no number of heads is broken in two."""
    return Markup(
        re.sub(r"(\([^()<>]{1,16}\))", r'<span class="whole">\1</span>', str(escape(cell)))
    )


def _chapter(bundle: Bundle, number: int) -> Chapter:
    prefix = "" if number == 1 else f"r{number}-"
    tiles, sections = tuple(headline(bundle.runs)), tuple(sections_of(bundle.runs))
    return Chapter(bundle.model, bundle.title, prefix, tiles, sections)


def _about(run: RunFolder, page: Path) -> dict[str, Any]:
    """What the last section tells about a run."""
    return {
        "experiment": run.experiment,
        "model": run.model,
        "seed": run.summary["seed"],
        "units": run.summary["units"],
        "settings": {
            key: _setting(value)
            for key, value in run.settings.items()
            if key not in _LONG and not _is_packed(value)
        },
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "folder": _relative(run.path, page),
    }


def _is_packed(value: Any) -> bool:
    """Whether it is an array, which only programs can read."""
    return isinstance(value, dict) and "data" in value


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _relative(file: Path, page: Path) -> str:
    return Path(os.path.relpath(file.absolute(), page.absolute().parent)).as_posix()
