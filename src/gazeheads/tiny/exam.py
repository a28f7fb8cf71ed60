"""The exam of comic-tiny: unsteered answers on held-out combinations, through stock transformers.

Nothing of the training's shortcuts is used: the pictures are the study's layout (256 px panels),
the inputs come from the processor and the answers from ``generate``.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.progress import Progress
from gazeheads.tiny.batches import LETTERS
from gazeheads.tiny.questions import (
    QA,
    Page,
    attribute_question,
    existence_question,
    label_question,
    narration_question,
    panel_question,
    relation_question,
)
from gazeheads.tiny.scene_questions import scene_page, scene_question

AMBIGUOUS = frozenset({"some object"})
"""Kinds of questions with several right answers: nothing to mark."""


@dataclass(frozen=True)
class ExamSettings:
    """What is asked: strips of every length, scenes, and the seed they are drawn from."""

    strips: int = 40
    scenes: int = 40
    panels: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    seed: int = 1000
    batch: int = 24


@dataclass(frozen=True)
class Mark:
    """Marks of one kind of question: how many asked, share right (of lines, for narrations)."""

    kind: str
    asked: int
    right: float


def examine(model: Any, processor: Any, settings: ExamSettings, progress: Progress) -> list[Mark]:
    """Ask everything and mark it.

    Args:
        model: Any model with transformers' image-text-to-text interface.
        processor: Its processor.
        settings: What is asked.
        progress: Called with (answered, all).
    """
    asked = list(_questions(settings))
    scores: dict[str, list[float]] = defaultdict(list)
    # Answers of similar length share a batch.
    asked.sort(key=lambda entry: len(entry[2].answer))
    for start in range(0, len(asked), settings.batch):
        part = asked[start : start + settings.batch]
        answers = _answers(model, processor, [(image, qa) for _, image, qa in part])
        for (kind, _, qa), answer in zip(part, answers, strict=True):
            scores[kind].append(_mark(qa, answer))
        progress(start + len(part), len(asked))
    return [Mark(kind, len(m), float(np.mean(m))) for kind, m in sorted(scores.items())]


def _questions(settings: ExamSettings) -> Iterator[tuple[str, Image.Image, QA]]:
    words = random.Random(settings.seed)
    for panels in settings.panels:
        few = settings.strips if panels == 6 else max(1, settings.strips // 4)
        for strip in draw_strips(few, settings.seed + panels, panels=panels):
            page = Page(strip.truths or ())
            yield f"panel of {panels}", strip.image, panel_question(words, page)
            if panels != 6:
                continue
            yield "panel of 6", strip.image, panel_question(words, page)
            for ask in (attribute_question, relation_question, narration_question):
                qa = ask(words, page)
                yield qa.kind, strip.image, qa
            named = [w for t in page.truths for w in (t.character, t.thing)]
            yield "yes/no", strip.image, existence_question(words, named)
            labels = tuple(words.sample(LETTERS, panels))
            labelled = strip.with_labels(labels)
            for _ in range(2):
                qa = label_question(words, Page(page.truths, labels))
                kind = "label in reverse" if "in reverse" in qa.question else "label"
                yield kind, labelled.image, qa
    numbers = np.random.default_rng(settings.seed)
    for _ in range(settings.scenes):
        scene = draw_scene(numbers)
        for _ in range(2):
            qa = scene_question(words, scene_page(scene))
            if qa.kind not in AMBIGUOUS:
                yield f"{qa.kind} (scene)", scene.image, qa


@torch.inference_mode()
def _answers(model: Any, processor: Any, asked: Sequence[tuple[Image.Image, QA]]) -> list[str]:
    texts = [
        processor.apply_chat_template(
            [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": qa.question}],
                }
            ],
            add_generation_prompt=True,
        )
        for _, qa in asked
    ]
    inputs = processor(
        text=texts, images=[image for image, _ in asked], padding=True, return_tensors="pt"
    ).to(model.device)
    longest = max(len(processor.tokenizer(qa.answer).input_ids) for _, qa in asked)
    out = model.generate(**inputs, max_new_tokens=longest + 4, do_sample=False)
    answers: list[str] = processor.batch_decode(
        out[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
    )
    return answers


def _mark(qa: QA, answer: str) -> float:
    """1 for the exact answer; for narrations the share of lines in place and exact."""
    wanted, given = qa.answer.split("\n"), answer.strip().split("\n")
    right = sum(a == b for a, b in zip(wanted, given, strict=False))
    return right / len(wanted)
