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
    vlm: VLM, strip: Strip, layout: Layout, direction: np.ndarray, batch: int
) -> dict[str, Any]:
    """Per layer how many answers flip, and the mean logit of the reverse label over the plain."""
    from gazeheads.residual import probe  # noqa: PLC0415 - loads torch

    labels, layers = label_tokens(vlm, strip), len(direction)
    one_layer = direction * np.eye(layers)[:, :, None]  # (L, L, D): row l adds at layer l only
    flips, gaps, before, plain_right, counted = np.zeros(layers, int), np.zeros(layers), 0.0, 0, 0
    for k, prompt in enumerate(asked(vlm, strip, forward_questions(layout))):
        plain, reverse = labels[k], labels[-1 - k]
        additions = np.concatenate([np.zeros_like(one_layer[:1]), one_layer])
        unsteered, *steered = probe(vlm, [prompt] * (layers + 1), additions, batch)
        plain_right += int(unsteered.logits.argmax()) == plain
        if plain == reverse:  # the middle panel is the same in both orders
            continue
        counted += 1
        before += float(unsteered.logits[reverse] - unsteered.logits[plain])
        flips += [int(p.logits.argmax()) == reverse for p in steered]
        gaps += [float(p.logits[reverse] - p.logits[plain]) for p in steered]
    return {
        "layout": layout.name,
        "asked": counted,
        "flips": flips.tolist(),
        "gap": (gaps / counted).round(4).tolist(),
        "gap_unsteered": round(before / counted, 4),
        "plain_right": int(plain_right),
    }


def order_direction(
    vlm: VLM, strips: Sequence[Strip], layout: Layout, order: Sequence[int], batch: int
) -> tuple[np.ndarray, list[int]]:
    """The direction of an order, and [hits, asked] when the order is asked for in text."""
    from gazeheads.residual import difference_of_means, probe  # noqa: PLC0415 - loads torch

    plain, other, hits = [], [], 0
    for strip in strips:
        labels = label_tokens(vlm, strip)
        questions = [*forward_questions(layout), *ordered_questions(layout, order)]
        done = probe(vlm, asked(vlm, strip, questions), batch_size=batch)
        plain += [p.states for p in done[: layout.panels]]
        other += [p.states for p in done[layout.panels :]]
        answers = [int(p.logits.argmax()) for p in done[layout.panels :]]
        hits += sum(a == labels[panel - 1] for a, panel in zip(answers, order, strict=True))
    return difference_of_means(other, plain), [hits, layout.panels * len(strips)]


def follow(
    vlm: VLM,
    strips: Sequence[Strip],
    layout: Layout,
    order: Sequence[int],
    addition: np.ndarray,
    batch: int,
) -> list[int]:
    """[hits, asked] of plain questions under a direction, where the order says another panel."""
    from gazeheads.residual import probe  # noqa: PLC0415 - loads torch

    hits = total = 0
    for strip in strips:
        labels = label_tokens(vlm, strip)
        rows = asked(vlm, strip, forward_questions(layout))
        done = probe(vlm, rows, np.repeat(addition[None], len(rows), 0), batch)
        for k, (panel, probed) in enumerate(zip(order, done, strict=True), 1):
            if panel != k:
                total += 1
                hits += int(probed.logits.argmax()) == labels[panel - 1]
    return [hits, total]
