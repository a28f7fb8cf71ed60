"""The heads that are steered where none are named: the gaze heads, found on drawn strips."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from gazeheads.control_draws import study_size
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.layout import relaid
from gazeheads.heads import HeadScores, HeadSet

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.progress import Progress

DISCOVERY_STRIPS = 12
"""Enough to rank heads when they are needed at once."""
TUNING_SEED = 1_000_003
"""Distance of the seeds of strips that heads are found on and those they are tried on."""
_FOUND: WeakKeyDictionary[VLM, dict[tuple[int, bool], HeadScores]] = WeakKeyDictionary()


def default_heads(
    vlm: VLM,
    k: int | None = None,
    *,
    seed: int = 0,
    in_rows: bool = False,
    progress: Progress | None = None,
) -> HeadSet:
    """The gaze heads of a model, found once per loaded model and seed.

    Args:
        vlm: the model.
        k: how many; None: the study's share of all heads.
        seed: of the drawn strips.
        in_rows: lay the panels of the strips out in rows (of models loaded with fit="grid").
        progress: called with (strips done, strips in all), if they have to be found.
    """
    scores = default_scores(vlm, seed=seed, in_rows=in_rows, progress=progress)
    return scores.top(k if k is not None else study_size(len(scores)))


def default_scores(
    vlm: VLM, *, seed: int = 0, in_rows: bool = False, progress: Progress | None = None
) -> HeadScores:
    """The scores that `default_heads` are the best of; see there."""
    known = _FOUND.setdefault(vlm, {})
    if (seed, in_rows) not in known:
        from gazeheads.discovery.gaze import discover  # noqa: PLC0415 - loads torch

        strips = draw_strips(DISCOVERY_STRIPS, seed + TUNING_SEED)
        strips = [relaid(strip) for strip in strips] if in_rows else strips
        known[seed, in_rows] = discover(vlm, strips, progress=progress, seed=seed)
    return known[seed, in_rows]
