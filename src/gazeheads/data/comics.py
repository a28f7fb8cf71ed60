"""Strips from the COMICS corpus (Iyyer et al. 2017): consecutive panels of real comic pages.

The corpus holds one folder per comic with the panels of its pages, `<page>_<panel>.jpg`; the
other formats of panels will do as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gazeheads.data.folders import ENDINGS, read_panel
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError

MARGIN_PAGES = 5
"""So many pages at both ends of a comic, covers and advertisements mostly, are left out ..."""
LONG_COMIC = 10
"""... where it has more pages than this."""
_MISSES = 1_000  # tries in a row without a new strip before the corpus counts as used up
_FILE = re.compile(rf"([0-9]+)_([0-9]+)\.(?:{'|'.join(ENDINGS)})", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Window:
    """Consecutive panels of one page.

    Attributes:
        comic: Name of its folder.
        page: As in the names of the files.
        first, panels: The first panel's number, as in the files, and how many there are.
    """

    comic: str
    page: int
    first: int
    panels: int


class ComicsCorpus:
    """The corpus on the disk; a comic's folder is listed only when it is drawn.

    Args:
        root: Holds the folders of the comics.

    Raises:
        GazeheadsError: There are none.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise GazeheadsError(f"no folder {self.root}")
        self.comics = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        if not self.comics:
            raise GazeheadsError(
                f"no comics in {self.root}: expected folders with <page>_<panel>.jpg"
            )
        self._pages: dict[str, dict[int, dict[int, Path]]] = {}

    def sample(self, count: int, seed: int, panels: int = 6) -> list[Window]:
        """Draws different windows as the study's code does.

        A random comic, a random page of it (see `MARGIN_PAGES`), a random window on that page; a
        page without a window is drawn again.

        Args:
            count: How many windows.
            seed: Of every choice.
            panels: Per window.

        Raises:
            GazeheadsError: The corpus does not hold so many.
        """
        rng = np.random.default_rng(seed)
        found: dict[Window, None] = {}
        misses = 0
        while len(found) < count:
            window = self._draw(rng, panels)
            misses = misses + 1 if window is None or window in found else 0
            if window is not None:
                found[window] = None
            if misses == _MISSES:
                raise GazeheadsError(
                    f"found only {len(found)} windows of {panels} panels in {self.root}, "
                    f"not {count}: ask for fewer"
                )
        return list(found)

    def strip(self, window: Window) -> Strip:
        """Reads the panels of a window."""
        page = self._comic(window.comic)[window.page]
        numbers = range(window.first, window.first + window.panels)
        return Strip(
            f"comics-{window.comic}-{window.page}-{window.first}",
            tuple(read_panel(page[number]) for number in numbers),
        )

    def _draw(self, rng: np.random.Generator, panels: int) -> Window | None:
        comic = self.comics[rng.integers(len(self.comics))]
        pages = sorted(self._comic(comic))
        if len(pages) > LONG_COMIC:
            pages = pages[MARGIN_PAGES:-MARGIN_PAGES]
        if not pages:
            return None
        page = pages[rng.integers(len(pages))]
        firsts = _windows(sorted(self._comic(comic)[page]), panels)
        return Window(comic, page, firsts[rng.integers(len(firsts))], panels) if firsts else None

    def _comic(self, name: str) -> dict[int, dict[int, Path]]:
        """Files of a comic by page and panel.

        Raises:
            GazeheadsError: A panel is there twice.
        """
        if name not in self._pages:
            pages: dict[int, dict[int, Path]] = {}
            for path in sorted((self.root / name).iterdir()):
                if match := _FILE.fullmatch(path.name):
                    page, panel = int(match[1]), int(match[2])
                    first = pages.setdefault(page, {}).setdefault(panel, path)
                    if first != path:
                        raise GazeheadsError(
                            f"{path.parent}: {first.name} and {path.name} are the same panel"
                        )
            self._pages[name] = pages
        return self._pages[name]


def _windows(numbers: Sequence[int], panels: int) -> list[int]:
    """Where runs of consecutive numbers of that length begin."""
    return [
        first
        for first, last in zip(numbers, numbers[panels - 1 :], strict=False)
        if last - first == panels - 1
    ]
