"""What the commands show while they work, and how they load a model without noise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.models import VLM
    from gazeheads.models.blueprint import Blueprint
    from gazeheads.progress import Progress

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

LOAD_OPTIONS: ContextVar[dict[str, Any]] = ContextVar("gazeheads_load_options")
"""Options named before the command: how models are loaded (see `vlm.options`)."""


class _Rate(ProgressColumn):
    """Units per second, or seconds per unit when they are slow."""

    def render(self, task: Task) -> Text:
        """The rate of a task."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each", "dim")


EVERY = 30.0
"""Seconds between two lines about a part that is not done yet."""


class PlainReport:
    """Lines about a part that counts, where there is no terminal: in a log.

    It says how much was there before, every half minute how far it is, and when it is done.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._begun = self._said = clock()

    def going_on(self, done: int, total: int) -> None:
        """See `progress.GoesOn`."""
        err.print(f"{self._name}: going on, {done} of {total} were there", markup=False)

    def __call__(self, done: int, total: int) -> None:
        """Says how far the part is, if it is time to."""
        now = self._clock()
        seconds = f"{now - self._begun:.0f} s"
        if done == total:
            err.print(f"{self._name}: {total} in {seconds}", markup=False)
        elif now - self._said >= EVERY:
            self._said = now
            err.print(f"{self._name}: {done} of {total} after {seconds}", markup=False)


class ProgressBars:
    """The parts of a job, one line each: a live bar on a terminal, a plain line elsewhere.

    Everything goes to stderr; a part that fails leaves no line on a plain one, so that the error
    stands alone.
    """

    def __init__(self) -> None:
        self._bars = RichProgress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=err,
        )
        self._live = err.is_terminal

    def __enter__(self) -> ProgressBars:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bars.stop()

    def __call__(self, name: str) -> Progress:
        """Begins a part that counts; report (done, total) to what is returned."""
        if not self._live:
            return PlainReport(name)
        task = self._bars.add_task(name, total=None)

        def report(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=total)

        return report

    @contextmanager
    def busy(self, name: str) -> Iterator[None]:
        """A part that does not count."""
        begun = time.monotonic()
        task = self._bars.add_task(name, total=None) if self._live else None
        yield
        if task is not None:
            self._bars.update(task, completed=1, total=1)
        else:
            err.print(f"{name}: {time.monotonic() - begun:.0f} s")


def load_quietly(name: str) -> VLM:
    """Loads a model without the bars and notices of transformers and the hub's retries."""
    _hush()
    from gazeheads.models import load

    return load(name, **LOAD_OPTIONS.get({}))


def blueprint_quietly(name: str) -> Blueprint:
    """Reads a model's small files alone, as quietly."""
    _hush()
    from gazeheads.models.blueprint import blueprint

    return blueprint(name, **LOAD_OPTIONS.get({}))


def _hush() -> None:
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hub_logging.set_verbosity_error()


def in_a_grid() -> bool:
    """Whether panels are to be laid out in rows before a model sees them."""
    return LOAD_OPTIONS.get({}).get("fit") == "grid"


def print_resize_cost(vlm: VLM, image: Image.Image) -> None:
    """Prints on stderr what fitting a picture to the model costs."""
    from gazeheads.models.fit import resize_cost

    encoded = vlm.encode(image, "")
    err.print(f"Picture: {resize_cost(encoded.tokens, encoded.shown)}", markup=False)


def print_doubt(vlm: VLM, drawn: bool) -> str:
    """Says on stderr, and returns, what has to be said about texts on a picture.

    Args:
        vlm: the model.
        drawn: whether the picture is known to be drawn by this package.
    """
    from gazeheads.models.asking import doubt

    said = doubt(vlm, drawn)
    if said:
        err.print(f"Note: {said}", markup=False)
    return said


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table as aligned plain text."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print("  ".join(cells).rstrip(), markup=False)


def plain(text: str) -> Text:
    """Text of a model, never read as markup."""
    return Text(text.strip() or "(nothing)")
