"""Orders of reading, and what adding a direction of one does to the answers about strips."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.study.experiments.labelled import (
    Layout,
    asked,
    forward_questions,
    label_tokens,
    ordered_questions,
)

if TYPE_CHECKING:
    from gazeheads.models import VLM


def orders_of(panels: int, count: int | None, seed: int) -> list[tuple[int, ...]]:
    """The reverse order, then others without the natural one: `count` at random, or all."""
    natural = tuple(range(1, panels + 1))
    others = [o for o in itertools.permutations(natural) if o not in (natural, natural[::-1])]
    if count is not None and count < len(others):
        drawn = np.random.default_rng(seed).choice(len(others), count, replace=False)
        others = [others[int(i)] for i in sorted(drawn)]
    return [natural[::-1], *others]


def flip_record(
    vlm: VLM, strip: Strip, layout: Layout, directions: np.ndarray, batch: int, crossed: bool
) -> dict[str, Any]:
    """What the directions do to the answers about one strip, layer by layer.

    Args:
        vlm: the model.
        strip: with labels.
        layout: its kind.
        directions: (panels, L, D), by the panel asked about.
        batch: prompts at once.
        crossed: also try the first panel's direction on questions about the others, and the mean
            of all directions.

    Returns:
        Per layer and panel asked about whether the answer flips, and the logit of the reverse label
        over the plain one; of the first panel, as in the study, beside it by themselves.
    """
    from gazeheads.residual import Edit, edited  # noqa: PLC0415 - loads torch

    labels, layers = label_tokens(vlm, strip), directions.shape[1]
    tried: dict[str, list[tuple[int, list[int], list[float]]]] = {}
    before, right = {}, 0
    for k, prompt in enumerate(asked(vlm, strip, forward_questions(layout))):
        plain, reverse = labels[k], labels[-1 - k]
        used = {"own": directions[k]} if plain != reverse else {}  # the middle panel stays
        if crossed and plain != reverse:
            used |= {"first": directions[0]} if k else {}
            used |= {"averaged": directions.mean(0)}
        edits = [Edit(layer, own[layer]) for own in used.values() for layer in range(layers)]
        unsteered, *logits = edited(vlm, [prompt] * (len(edits) + 1), [None, *edits], batch)
        right += int(unsteered.argmax()) == plain
        before[k] = float(unsteered[reverse] - unsteered[plain])
        for i, name in enumerate(used):
            own = logits[i * layers : (i + 1) * layers]
            flips = [int(each.argmax() == reverse) for each in own]
            gaps = [round(float(each[reverse] - each[plain]), 4) for each in own]
            tried.setdefault(name, []).append((k + 1, flips, gaps))
    first = tried["own"][0]
    record = {
        "layout": layout.name,
        "asked": 1,
        "flips": first[1],
        "gap": first[2],
        "gap_unsteered": round(before[0], 4),
        "plain_right": int(right),
        "by_panel": {str(k): flips for k, flips, _ in tried["own"]},
    }
    for name in ("first", "averaged"):
        if several := tried.get(name):
            total = np.sum([flips for _, flips, _ in several], axis=0)
            record[name] = {"asked": len(several), "flips": total.tolist()}
    return record


def order_directions(
    vlm: VLM, strips: Sequence[Strip], layout: Layout, order: Sequence[int], batch: int
) -> tuple[np.ndarray, list[int]]:
    """(panels, L, D) of an order, and [hits, asked] when the order is asked for in text."""
    from gazeheads.residual import probe  # noqa: PLC0415 - loads torch

    panels, found, hits = layout.panels, [], 0
    for strip in strips:
        labels = label_tokens(vlm, strip)
        questions = [*forward_questions(layout), *ordered_questions(layout, order)]
        done = probe(vlm, asked(vlm, strip, questions), batch_size=batch)
        states = np.stack([p.states for p in done])
        found.append(states[panels:] - states[:panels])
        answers = [int(p.logits.argmax()) for p in done[panels:]]
        hits += sum(a == labels[panel - 1] for a, panel in zip(answers, order, strict=True))
    return np.mean(found, axis=0), [hits, panels * len(strips)]


def follow(
    vlm: VLM,
    strips: Sequence[Strip],
    layout: Layout,
    order: Sequence[int],
    directions: np.ndarray,
    layer: int,
    batch: int,
) -> list[int]:
    """[hits, asked] of plain questions, each under its own direction after one layer.

    Args:
        vlm: the model.
        strips: with labels.
        layout: their kind.
        order: counts where it says another panel than the natural one.
        directions: (panels, L, D).
        layer: after which they are added.
        batch: prompts at once.
    """
    from gazeheads.residual import Edit, edited  # noqa: PLC0415 - loads torch

    moved = [k for k, panel in enumerate(order, 1) if panel != k]
    hits = 0
    for strip in strips:
        labels, rows = label_tokens(vlm, strip), asked(vlm, strip, forward_questions(layout))
        edits = [Edit(layer, directions[k - 1, layer]) for k in moved]
        logits = edited(vlm, [rows[k - 1] for k in moved], edits, batch)
        named = [labels[order[k - 1] - 1] for k in moved]
        hits += sum(int(a.argmax()) == b for a, b in zip(logits, named, strict=True))
    return [hits, len(moved) * len(strips)]
