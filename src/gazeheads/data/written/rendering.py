"""Panels of written stories, painted by an image model; every panel is kept as it arrives.

A folder being rendered has the layout of any strips folder, and grows: `rendering/` holds the
panels of comics that are not whole yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from gazeheads.data.folders import SOURCE_FILE, write_source
from gazeheads.data.notes import write_captions
from gazeheads.data.strip import Strip
from gazeheads.data.written.stories import Story
from gazeheads.errors import GazeheadsError
from gazeheads.files import read_json, write_bytes
from gazeheads.progress import Progress
from gazeheads.services import RefusedError
from gazeheads.services.images import Painter

UNFINISHED = "rendering"


def render(
    folder: str | os.PathLike[str],
    stories: Mapping[str, Story],
    painter: Painter,
    source: Mapping[str, Any],
    *,
    workers: int = 4,
    progress: Progress | None = None,
) -> list[str]:
    """Paints every panel that is not there yet.

    Args:
        folder: New, empty, or begun with the same stories and source.
        stories: By the id of the strip, in order: `comic1`, `comic2`, ...
        painter: Paints.
        source: Everything the pictures depend on, as JSON values, for `source.json`.
        workers: Panels painted at the same time.
        progress: Called with (panels there, panels in all).

    Returns:
        One line for every panel that the service declined; its comic stays unfinished.

    Raises:
        GazeheadsError: The folder is another one's, or the service failed; what was painted stays.
    """
    root = Path(folder)
    if not stories:
        raise GazeheadsError("no stories to render")
    _begin(root, stories, source)
    total = sum(len(story.scenes) for story in stories.values())
    there, refused = 0, []
    for number, story in enumerate(stories.values(), 1):
        comic = root / f"comic{number}"
        if not comic.exists():
            refused += _paint(root / UNFINISHED / comic.name, story, painter, workers)
            _finish(root / UNFINISHED / comic.name, comic, len(story.scenes))
        there += len(story.scenes)
        if progress is not None:
            progress(there, total)
    if not refused and (root / UNFINISHED).exists():
        (root / UNFINISHED).rmdir()
    return refused


def missing_panels(folder: str | os.PathLike[str], stories: Mapping[str, Story]) -> int:
    """How many panels are not painted yet, each of which is one call."""
    root = Path(folder)
    return sum(
        not (root / UNFINISHED / f"comic{number}" / f"p{k}.png").exists()
        for number, story in enumerate(stories.values(), 1)
        if not (root / f"comic{number}").exists()
        for k in range(1, len(story.scenes) + 1)
    )


def _begin(root: Path, stories: Mapping[str, Story], source: Mapping[str, Any]) -> None:
    """Makes the folder with the captions of all stories, or checks that it was begun so."""
    asked = json.loads(json.dumps(dict(source)))
    if (root / SOURCE_FILE).exists():
        there = read_json(root / SOURCE_FILE, "strips-source")
        changed = [key for key in asked if there.get(key) != asked[key]]
        if changed:
            raise GazeheadsError(
                f"{root} was begun with another {', '.join(changed)}: name another folder"
            )
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise GazeheadsError(f"{root} exists and is not an empty folder: name another one")
    else:
        write_source(root, asked)
        known = ((f"comic{n}", _told(*entry)) for n, entry in enumerate(stories.items(), 1))
        write_captions(root, known)


def _told(name: str, story: Story) -> Strip:
    """A strip with the captions of a story, which do not wait for its panels."""
    blank = (Image.new("RGB", (1, 1)),) * len(story.scenes)
    return Strip(name, blank, captions=tuple((scene.caption,) for scene in story.scenes))


def _paint(comic: Path, story: Story, painter: Painter, workers: int) -> list[str]:
    """Paints what is missing of one comic; tells what was declined."""

    def paint(number: int) -> str | None:
        path = comic / f"p{number}.png"
        if path.exists():
            return None
        try:
            write_bytes(path, painter.paint(story.prompt(number)))
        except RefusedError as error:
            return f"{comic.name}, panel {number}: {error}"
        return None

    with ThreadPoolExecutor(workers) as pool:
        told = list(pool.map(paint, range(1, len(story.scenes) + 1)))
    return [line for line in told if line is not None]


def _finish(unfinished: Path, comic: Path, panels: int) -> None:
    """Moves a comic to its place when it is whole."""
    if all((unfinished / f"p{k}.png").exists() for k in range(1, panels + 1)):
        unfinished.rename(comic)
