"""The heads that are steered where none are named: registered ones, or gaze heads found now."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from gazeheads.control_draws import study_size
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.layout import relaid
from gazeheads.discovery.nulls import RATE
from gazeheads.errors import GazeheadsWarning
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.heads_registry import RegisteredHeads, heads_registered_for

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
    """The heads registered for a model; else its gaze heads, found once per loaded model and seed.

    Args:
        vlm: the model.
        k: how many; None: as the registered set holds, or the study's share of all heads.
        seed: of the drawn strips.
        in_rows: lay the panels of the strips out in rows (of models loaded with fit="grid").
        progress: called with (strips done, strips in all), if they have to be found.

    Example:
        >>> len(default_heads(vlm)), len(default_heads(vlm, 5))
        (12, 5)
    """
    known = None if in_rows else registered(vlm)
    if known is not None:
        return known.heads if k is None else known.heads.resized(k)
    return discovered_heads(vlm, k, seed=seed, in_rows=in_rows, progress=progress)


def followers(scores: HeadScores) -> int | None:
    """How many heads look at the panel asked about more than chance; None: not tested."""
    return None if scores.q is None else int((scores.q <= RATE).sum())


def registered(vlm: VLM) -> RegisteredHeads | None:
    """The heads that are kept for a model, in this package or by the user; None: none are.

    They are given as those of this very model; the file knows whether that was by name alone
    (`RegisteredHeads.by_name`).

    Raises:
        HeadError: those kept under its name are of another shape.
    """
    fingerprint = vlm.fingerprint
    found = heads_registered_for(vlm.name, fingerprint)
    if found is None:
        return None
    found.heads.check(vlm.num_layers, vlm.num_heads, vlm.name, fingerprint)
    return replace(found, heads=found.heads.forced(vlm.name, fingerprint))


def discovered_heads(
    vlm: VLM,
    k: int | None = None,
    *,
    seed: int = 0,
    in_rows: bool = False,
    progress: Progress | None = None,
) -> HeadSet:
    """The same, whatever is registered; see `default_heads`."""
    scores = default_scores(vlm, seed=seed, in_rows=in_rows, progress=progress)
    return scores.top(k if k is not None else study_size(len(scores)))


def default_scores(
    vlm: VLM, *, seed: int = 0, in_rows: bool = False, progress: Progress | None = None
) -> HeadScores:
    """The scores that `discovered_heads` are the best of; see there."""
    known = _FOUND.setdefault(vlm, {})
    if (seed, in_rows) not in known:
        from gazeheads.discovery.gaze import discover  # noqa: PLC0415 - loads torch

        strips = draw_strips(DISCOVERY_STRIPS, seed + TUNING_SEED)
        strips = [relaid(strip) for strip in strips] if in_rows else strips
        scores = discover(vlm, strips, progress=progress, seed=seed)
        if followers(scores) == 0:
            warnings.warn(
                f"no head of {vlm.name} looks at the panel asked about more than chance: the heads "
                "with the highest scores are no gaze heads, and pointing them means little",
                GazeheadsWarning,
                stacklevel=3,
            )
        known[seed, in_rows] = scores
    return known[seed, in_rows]
