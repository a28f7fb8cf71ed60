"""The text the tokenizer learns its merges from: questions and answers of every kind."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from gazeheads.data.drawn.truth import CHARACTERS, PLACES, THINGS, sample_truths
from gazeheads.tiny.questions import (
    Page,
    narration_question,
    strip_question,
)
from gazeheads.tiny.scene_questions import ScenePage, scene_question

_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789"


def tokenizer_texts(seed: int, pages: int = 6000) -> Iterator[str]:
    """Texts of ``pages`` strips and scenes, with the chat template's words between them."""
    words, numbers = random.Random(seed), np.random.default_rng(seed)
    for _ in range(pages):
        truths = sample_truths(numbers, words.randint(1, 8), held_out=False)
        labels = tuple(words.sample(_SIGNS, len(truths))) if words.random() < 0.3 else None
        page = Page(truths, labels)
        names = tuple(words.sample(CHARACTERS + THINGS, 3))
        scene = ScenePage(words.choice(list(PLACES)), names, ((0.2, 0.2), (0.7, 0.2), (0.2, 0.8)))
        for qa in (
            strip_question(words, page),
            narration_question(words, page),
            scene_question(words, scene),
        ):
            yield qa.question
            yield qa.answer
        yield "user\n"
        yield "assistant\n"
