"""Image tokens drawn over their image, so that a person can check where they lie."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from gazeheads.figure_text import plain_text, save_figure, shown
from gazeheads.regions import ImageTokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT_EDGE, LONG_EDGE = 480, 2400


def draw_tokens(
    image: Image.Image, tokens: ImageTokens, path: str | os.PathLike[str], title: str = ""
) -> None:
    """Saves a figure: one picture per size of token, so that tiles and thumbnail stand apart.

    Pixels under no token are shaded; every box carries the number of its token, counted over the
    prompt's image tokens from 0, where there is room.

    Args:
        image: upright RGB, the first image of the prompt.
        tokens: of the prompt.
        path: the ending chooses the format.
        title: above the figure.

    Raises:
        GazeheadsError: the figure cannot be saved.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - only a drawing pays for it

    own = np.flatnonzero((tokens.image_index == 0) & ~np.isnan(tokens.boxes[:, 0]))
    levels = _by_size(tokens.boxes[own])
    enlarged, scale = _enlarged(image)
    unseen = np.asarray(tokens.coverage() < 1e-6, dtype=float)
    width = 10.0
    height = width * image.height / image.width
    with plain_text():
        figure = Figure(figsize=(width, (height + 0.6) * len(levels)), layout="constrained")
        figure.suptitle(shown(title))
        for axes, level in zip(
            np.ravel(figure.subplots(len(levels), 1, squeeze=False)), levels, strict=True
        ):
            axes.imshow(enlarged, extent=(0, image.width, image.height, 0))
            if unseen.any():
                axes.imshow(
                    unseen, extent=(0, image.width, image.height, 0), cmap="Reds", vmin=0, vmax=1,
                    alpha=0.6 * unseen,
                )  # fmt: skip
            for token in own[level]:
                _draw_box(axes, tokens.boxes[token], str(token), scale)
            axes.set_title(f"{len(level)} tokens", fontsize="small")
            axes.set_axis_off()
    save_figure(figure, path, dpi=120)


def _by_size(boxes: np.ndarray) -> list[np.ndarray]:
    """Indices of the boxes of like size (within a factor of 1.5 in area), coarse ones first."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-area, kind="stable")
    levels: list[np.ndarray] = []
    while len(left):
        alike = area[left] * 1.5 > area[left[0]]
        levels.append(np.sort(left[alike]))
        left = left[~alike]
    return levels


def _enlarged(image: Image.Image) -> tuple[Image.Image, float]:
    """The image at a size to look at, and by how much it was enlarged."""
    scale = min(max(1.0, SHORT_EDGE / min(image.size)), LONG_EDGE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Resampling.BILINEAR), scale


def _draw_box(axes: Axes, box: np.ndarray, number: str, scale: float) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415

    x0, y0, x1, y1 = box
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor="#00b4d8", lw=0.7))
    if (x1 - x0) * scale > 24:
        axes.text(
            (x0 + x1) / 2, (y0 + y1) / 2, number, ha="center", va="center", fontsize=5,
            color="white", bbox={"boxstyle": "square,pad=0.1", "fc": "#00000080", "ec": "none"},
        )  # fmt: skip
