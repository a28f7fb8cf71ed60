"""A phrase's place by steering: the heads are pointed at every cell, and what is named tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gazeheads import prompts
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.locating.cells import MOST, Cells
from gazeheads.locating.located import NAMING, Located

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import ImageLike


def answer_for(phrase: str) -> str:
    """A phrase as a model begins an answer with it.

    Raises:
        GazeheadsError: it is empty.
    """
    words = phrase.strip()
    if not words:
        raise GazeheadsError("name a phrase to look for, such as 'the red boat'")
    return words[0].upper() + words[1:]


def check_sayable(vlm: VLM, phrase: str) -> None:
    """Raises GazeheadsError for an empty phrase, or a word the model has no token for."""
    from gazeheads.models.likelihood import answer_tokens  # noqa: PLC0415 - loads torch

    answer_tokens(vlm, answer_for(phrase))


def locate(
    vlm: VLM,
    image: ImageLike,
    phrase: str,
    heads: HeadSet | Sequence[tuple[int, int]] | None = None,
    *,
    prompt: str = prompts.COCO,
    cells: int = MOST,
) -> Located:
    """Where a phrase is in a picture: where the heads look when the model is likely to say it.

    The heads are pointed at one cell of the picture after another while a question is answered
    that does not name the phrase; every cell is worth the probability of the phrase as the answer's
    beginning. Nothing is read off the attention, which the heads may spend on what is not named.

    Args:
        vlm: the model.
        image: the picture.
        phrase: what is looked for, as the model would call it.
        heads: the heads to point; None: the default ones.
        prompt: the question; it asks for what is looked at.
        cells: along an edge, at most; each costs a pass over the prompt.

    Raises:
        GazeheadsError: the phrase is empty, or has words that the model does not know.

    Example:
        >>> from gazeheads.locating.naming import locate
        >>> box = locate(vlm, "photo.jpg", "dog").box
    """
    return locate_all(vlm, image, [phrase], heads, prompt=prompt, cells=cells)[0]


def locate_all(
    vlm: VLM,
    image: ImageLike,
    phrases: Sequence[str],
    heads: HeadSet | Sequence[tuple[int, int]] | None = None,
    *,
    prompt: str = prompts.COCO,
    cells: int = MOST,
) -> list[Located]:
    """`locate` for several phrases, which share the passes."""
    from gazeheads.models.asking import heads_of, steering_to  # noqa: PLC0415 - loads torch
    from gazeheads.models.likelihood import answer_tokens, answers_log_probs  # noqa: PLC0415
    from gazeheads.models.rows import UNSTEERED  # noqa: PLC0415

    answers = [answer_tokens(vlm, answer_for(phrase)) for phrase in phrases]
    encoded = vlm.encode(image, prompt)
    grid = Cells.of(encoded.tokens, cells)
    chosen = heads_of(vlm, heads)
    steerings = [steering_to(vlm, region, chosen) for region in grid.regions()]
    found = answers_log_probs(vlm, encoded, answers, [UNSTEERED, *steerings])
    lengths = np.array([len(answer) for answer in answers])
    per_token = np.exp(found / lengths)
    located = []
    for phrase, values in zip(phrases, per_token.T, strict=True):
        table = values[1:].reshape(grid.rows, grid.columns)
        if not table.max() > 0:  # a probability too small for a number
            raise GazeheadsError(f"{vlm.name} would nowhere say {phrase!r}: it cannot be located")
        box, peak = grid.best_box(table), grid.centre(table)
        located.append(Located(phrase, NAMING, table, grid, box, peak, float(values[0])))
    return located
