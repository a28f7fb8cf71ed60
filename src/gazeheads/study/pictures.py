"""Pictures of the strips beside the records: a report, or another judge, needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gazeheads.data.drawn.captions import headline
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.pictures import ImageError, open_image
from gazeheads.data.strip import Strip
from gazeheads.files import file_name
from gazeheads.study.disk import STRIPS, RunError

_WIDEST = 1600
"""Pictures are for reading a report, not for asking a model again."""


def keep_picture(folder: Path, strip: Strip) -> dict[str, Any]:
    """Saves the strip's picture in a run folder; returns what a record says about the strip.

    Returns:
        The picture's name in the folder, the boxes of its panels as shares of width and height,
        and one caption and the truth per panel if they are known.
    """
    name = f"{STRIPS}/{file_name(strip.id)}.webp"
    _save(folder / name, strip)
    width, height = strip.image.size
    boxes = [
        [round(x0 / width, 5), round(y0 / height, 5), round(x1 / width, 5), round(y1 / height, 5)]
        for ((x0, y0, x1, y1),) in (region.boxes for region in strip.regions)
    ]
    said: list[str] | None = None
    if strip.captions is not None:
        said = [wordings[0] for wordings in strip.captions]
    elif strip.truths is not None:
        said = [headline(truth) for truth in strip.truths]
    return {
        "picture": name,
        "aspect": round(width / height, 5),
        "panels": boxes,
        "captions": said,
        "truths": [truth.attributes() for truth in strip.truths] if strip.truths else None,
    }


def kept_strip(folder: Path, name: str, kept: dict[str, Any]) -> Strip:
    """The strip that `keep_picture` kept, cut from its picture, with its captions and truths.

    Args:
        folder: of the run.
        name: of the strip.
        kept: what the record says about it.
    """
    path = folder / kept["picture"]
    try:
        page = open_image(path)
    except ImageError as error:
        raise RunError(str(error)) from error
    width, height = page.size
    boxes = [
        (round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height))
        for x0, y0, x1, y1 in kept["panels"]
    ]
    across = sum(box[1] == boxes[0][1] for box in boxes)
    said, truths = kept["captions"], kept.get("truths")
    return Strip(
        id=name,
        panels=tuple(page.crop(box) for box in boxes),
        truths=tuple(PanelTruth(**truth) for truth in truths) if truths else None,
        captions=tuple((caption,) for caption in said) if said else None,
        columns=across if across < len(boxes) else None,
        panel_height=boxes[0][3] - boxes[0][1],
    )


def _save(path: Path, strip: Strip) -> None:
    picture = strip.image
    if picture.width > _WIDEST:
        picture = picture.resize((_WIDEST, round(picture.height * _WIDEST / picture.width)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        picture.save(partial, "WEBP", quality=82)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
