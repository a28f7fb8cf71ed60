"""Stories for new strips as a resumable run: one record per story."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gazeheads.data.written.stories import REQUEST, Story, write_story
from gazeheads.errors import GazeheadsError
from gazeheads.progress import Progress
from gazeheads.services import Chat
from gazeheads.study.identity import versions
from gazeheads.study.runs import RunFolder, RunOptions

EXPERIMENT = "stories"


@dataclass(frozen=True)
class StorySettings:
    """Settings of `run`.

    Attributes:
        count: number of stories, 500 in the study.
        panels: per story.
        seed: of heroes, themes and styles.
    """

    count: int = 500
    panels: int = 6
    seed: int = 0


def run(
    chat: Chat,
    settings: StorySettings,
    out: str | os.PathLike[str],
    *,
    workers: int = 8,
    progress: Progress | None = None,
    fresh: bool = False,
) -> RunFolder:
    """Has every story written that is not there yet.

    Args:
        chat: the writer.
        settings: see there.
        out: folder of all runs.
        workers: stories asked for at the same time.
        progress: called with (stories there, stories in all).
        fresh: start over.
    """
    endpoint = chat.endpoint
    whole = {
        **asdict(settings),
        "url": endpoint.url,
        "temperature": endpoint.temperature,
        "request_mark": hashlib.sha256(REQUEST.encode()).hexdigest()[:12],
    }

    def write(number: int) -> dict[str, Any]:
        return write_story(chat, number, settings.seed, settings.panels).as_record()

    options = RunOptions(out, fresh=fresh)
    with (
        # a service writes them: they go on whatever the software here
        RunFolder.open(options, EXPERIMENT, endpoint.model, whole, versions(), ()) as folder,
        ThreadPoolExecutor(workers) as pool,
    ):

        def do(part: Sequence[int]) -> list[dict[str, Any]]:
            return list(pool.map(write, part))

        units = [(f"written-{settings.seed}-{i:04}", i) for i in range(settings.count)]
        folder.work(units, do, progress, workers)
        folder.summarise({"stories": len(folder.records)})
    return folder


def read_stories(path: str | os.PathLike[str]) -> dict[str, Story]:
    """The stories of a finished run, by name.

    Raises:
        GazeheadsError: it is no such run, or not finished.
    """
    folder = RunFolder(Path(path))
    if folder.experiment != EXPERIMENT:
        raise GazeheadsError(f"{path} holds a run of {folder.experiment!r}, no stories")
    _ = folder.summary  # raises if the run is not finished
    try:
        return {unit: Story.of_record(record) for unit, record in folder.records.items()}
    except (KeyError, TypeError) as error:
        raise GazeheadsError(f"the stories in {path} are damaged: {error!r}") from error


def stories_fingerprint(stories: dict[str, Story]) -> str:
    """A short fingerprint of stories, so that panels of other stories are not mixed in."""
    listed = {name: story.as_record() for name, story in stories.items()}
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:12]
