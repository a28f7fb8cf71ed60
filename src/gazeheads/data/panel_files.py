"""Panels that stay in their files: many strips take the memory of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import overload

from PIL import Image

Read = Callable[[Path], Image.Image]


class PanelFiles(Sequence[Image.Image]):
    """The panels of one comic, read from their files when they are asked for.

    Only the comic asked for last is kept in memory, whichever it is.

    Args:
        paths: of the panels, in reading order; all of them are read once at the start, so that a
            damaged one is told before any work begins.
        read: reads one.
    """

    _last: tuple[PanelFiles | None, tuple[Image.Image, ...]] = (None, ())

    def __init__(self, paths: Sequence[Path], read: Read) -> None:
        self._paths, self._read = tuple(paths), read
        self._panels()

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Image.Image, ...]: ...

    def __getitem__(self, index: int | slice) -> Image.Image | tuple[Image.Image, ...]:
        return self._panels()[index]

    def __eq__(self, other: object) -> bool:
        """Whether the other panels, in files or not, are the same pictures."""
        return isinstance(other, Sequence) and self._panels() == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of pictures: they can be changed

    def _panels(self) -> tuple[Image.Image, ...]:
        owner, panels = PanelFiles._last
        if owner is not self:
            PanelFiles._last = (None, ())  # not two comics at the same time
            panels = tuple(self._read(path) for path in self._paths)
            PanelFiles._last = (self, panels)
        return panels
