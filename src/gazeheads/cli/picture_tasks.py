"""The pictures a command asks about, each with its regions, checked before a model is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gazeheads.cli.places import Places, pictures_at
from gazeheads.cli.region_options import Units
from gazeheads.data.drawn.mark import is_drawn
from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.pictures import open_image
from gazeheads.errors import GazeheadsError
from gazeheads.regions import Region


@dataclass(frozen=True, eq=False)
class PictureTask:
    """One picture and its regions; a file is read again when its turn comes.

    Attributes:
        name: of its files.
        source: its path, or the drawn scene itself.
        pixels: a mark of them.
        drawn: whether it is known to be drawn by this package.
        size: (width, height).
        regions: of the picture.
    """

    name: str
    source: Path | Image.Image
    pixels: str
    drawn: bool
    size: tuple[int, int]
    regions: tuple[Region, ...]

    @property
    def called(self) -> str:
        """The path, or the name of a picture that has none."""
        return str(self.source) if isinstance(self.source, Path) else self.name

    def image(self) -> Image.Image:
        """Upright RGB."""
        return open_image(self.source)


def places_of(
    boxes: Sequence[str] | None,
    masks: Sequence[Path] | None,
    grid: str | None,
    units: Units | None,
) -> Places:
    """The regions that options name.

    Raises:
        GazeheadsError: units without a box.
    """
    if units is not None and not boxes:
        raise GazeheadsError("--units says what the numbers of --region are: name a --region too")
    return Places(tuple(boxes or ()), tuple(masks or ()), grid, units or Units.pixels)


def tasks_of(images: Sequence[Path], places: Places, seed: int) -> Iterator[PictureTask]:
    """Every picture with its regions; a scene with its objects if no picture is named.

    Args:
        images: files, and folders of them.
        places: the regions; none for a drawn scene: its objects.
        seed: of the scene.

    Raises:
        GazeheadsError: a picture cannot be read, or a region is none of it.
    """
    if not images:
        scene = draw_scene(np.random.default_rng(seed))
        objects = tuple(Region.from_box(each.box, name=each.name) for each in scene.objects)
        regions = places.on(scene.image.size, "the scene") if places else objects
        mark, size = pixel_mark(scene.image), scene.image.size
        yield PictureTask(f"scene-{seed}", scene.image, mark, True, size, regions)
        return
    if not places:
        raise GazeheadsError(
            "which regions? Name a --region x0,y0,x1,y1 in pixels, a --mask, or a --grid, such as "
            "2x3"
        )
    for name, path in pictures_at(images).items():
        image = open_image(path)
        regions = places.on(image.size, str(path))
        yield PictureTask(name, path, pixel_mark(image), is_drawn(path), image.size, regions)


def picture_or_scene(image: Path | None, seed: int) -> PictureTask:
    """One picture without regions; a drawn scene if none is named.

    Args:
        image: a file.
        seed: of the scene.

    Raises:
        GazeheadsError: it is a folder, or cannot be read.
    """
    if image is None:
        return next(tasks_of([], Places(), seed))
    if image.is_dir():
        raise GazeheadsError(f"{image} is a folder: name one image")
    picture = open_image(image)
    return PictureTask(image.stem, image, pixel_mark(picture), is_drawn(image), picture.size, ())


def pixel_mark(image: Image.Image) -> str:
    """Of a picture's size and pixels: another one has another."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16]
