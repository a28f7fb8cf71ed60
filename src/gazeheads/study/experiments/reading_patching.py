"""Where the order of reading passes through: states of one token moved from prompt to prompt.

The residual stream of ONE token after ONE layer is taken from a question that asks to read in
reverse and put in its place in the plain question; the answer flips when it names the reverse
label. Image tokens stand before the question and are the same in both, so only the question's
tokens are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads.data.strip import Strip
from gazeheads.study.experiments.labelled import (
    Layout,
    asked,
    forward_questions,
    label_tokens,
    reverse_questions,
)

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import Encoded


def patch_record(vlm: VLM, strip: Strip, layout: Layout, batch: int) -> dict[str, Any]:
    """The map of one strip, over all questions whose answer reverse reading changes.

    Returns:
        The words of the question (the number of the panel as "k"), and by layer and word how many
        answers flip and the mean logit of the reverse label over the plain one.
    """
    from gazeheads.residual import Edit, edited, tail_states  # noqa: PLC0415 - loads torch

    labels = label_tokens(vlm, strip)
    pairs = [
        (k, plain, reverse)
        for k, (plain, reverse) in enumerate(
            zip(
                asked(vlm, strip, forward_questions(layout)),
                asked(vlm, strip, reverse_questions(layout)),
                strict=True,
            )
        )
        if labels[k] != labels[-1 - k]
    ]
    tail, layers = min(_after_the_image(plain) for _, plain, _ in pairs), vlm.num_layers
    states = tail_states(vlm, [reverse for _, _, reverse in pairs], tail, batch)
    flips, gaps = np.zeros((layers, tail), int), np.zeros((layers, tail))
    for (k, plain, _), own in zip(pairs, states, strict=True):
        edits = [
            Edit(layer, own[place, layer], tail - 1 - place, replace=True)
            for layer in range(layers)
            for place in range(tail)
        ]
        logits = edited(vlm, [plain] * len(edits), edits, batch)
        turned, meant = labels[-1 - k], labels[k]
        flips += (logits.argmax(1) == turned).reshape(layers, tail)
        gaps += (logits[:, turned] - logits[:, meant]).reshape(layers, tail)
    return {
        "layout": layout.name,
        "asked": len(pairs),
        "words": _words(vlm, [plain for _, plain, _ in pairs], tail),
        "patched": flips.tolist(),
        "patched_gap": (gaps / len(pairs)).round(4).tolist(),
    }


def _after_the_image(prompt: Encoded) -> int:
    return int(prompt.inputs["input_ids"].shape[1]) - int(prompt.tokens.positions[-1]) - 1


def _words(vlm: VLM, prompts: Sequence[Encoded], tail: int) -> list[str]:
    """The last tokens as text; "k" where the prompts differ."""
    table = np.stack([prompt.inputs["input_ids"][0, -tail:].numpy() for prompt in prompts])
    same = (table == table[0]).all(0)
    return [
        vlm.tokenizer.decode([int(token)]) if known else "k"
        for token, known in zip(table[0], same, strict=True)
    ]
