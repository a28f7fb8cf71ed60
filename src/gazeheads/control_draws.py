"""Random control heads, matched in layers to a set of heads."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from gazeheads.head_set import Head

GAZE_SHARE = 100 / 1152
"""The study's gaze heads as a share of its model."""
_TRIES = 50  # draws per set asked for, before it is taken that no other set exists


def study_size(heads: int) -> int:
    """How many of so many heads are the study's share, at least 1."""
    return max(1, round(GAZE_SHARE * heads))


def draw_matched(
    living: Sequence[Head],
    heads: Sequence[Head],
    draws: int,
    seed: int,
    protected: Iterable[Head] = (),
) -> tuple[tuple[Head, ...], ...] | None:
    """Random sets with as many heads in every layer as `heads` has.

    A layer may hold too few others; the rest then comes from the layers nearest to it, and where
    those leave no choice between sets, from layers a little farther.

    Args:
        living: the heads to draw from.
        heads: the set under test; none of them is drawn.
        draws: how many sets, no two alike; fewer if so many do not exist.
        seed: of the draws.
        protected: further heads that are never drawn.

    Returns:
        The sets, each in order of layer and head; None if fewer living heads are left than `heads`
        has.
    """
    others = sorted(set(living) - set(heads) - set(protected))
    if not heads or len(others) < len(heads):
        return None
    rng = np.random.default_rng(seed)
    found: dict[tuple[Head, ...], None] = {}
    for farther in range(1 + max(head.layer for head in living)):
        found.clear()
        for _ in range(_TRIES * draws):
            found.setdefault(_one(others, heads, farther, rng))
            if len(found) == draws:
                return tuple(found)
        if len(others) == len(heads) or in_their_layers(next(iter(found)), heads) == len(heads):
            break  # going farther would bring no other sets
    return tuple(found)


def _one(
    others: Sequence[Head], heads: Sequence[Head], farther: int, rng: np.random.Generator
) -> tuple[Head, ...]:
    free = [others[int(i)] for i in rng.permutation(len(others))]
    wanted = Counter(head.layer for head in heads)
    drawn: list[Head] = []
    for layer, count in sorted(wanted.items()):
        own = [head for head in free if head.layer == layer][:count]
        drawn += own
        wanted[layer] -= len(own)
    left = [head for head in free if head not in set(drawn)]
    # the layers take turns, in random order, so that none has the first choice of the neighbours
    short = [layer for layer, count in wanted.items() for _ in range(count)]
    for place in rng.permutation(len(short)):
        away = [abs(head.layer - short[int(place)]) for head in left]
        near = next(i for i, distance in enumerate(away) if distance <= min(away) + farther)
        drawn.append(left.pop(near))
    return tuple(sorted(drawn))


def shared(sets: Sequence[Iterable[Head]]) -> float | None:
    """Mean share of its heads that a set has in common with another; None for a single one."""
    table = [set(each) for each in sets]
    pairs = list(itertools.combinations(table, 2))
    if not pairs:
        return None
    return sum(len(a & b) / max(len(a), 1) for a, b in pairs) / len(pairs)


def in_their_layers(drawn: Iterable[Head], heads: Iterable[Head]) -> int:
    """How many of a control set stand in for a head of their own layer."""
    wanted, found = (Counter(head.layer for head in each) for each in (heads, drawn))
    return sum((wanted & found).values())
