"""Labels painted on panels, and questions about them: how the order of reading is probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import Encoded

LETTERS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "123456789"


@dataclass(frozen=True)
class Layout:
    """A kind of labelled strip.

    Attributes:
        panels: how many.
        noun: "letter" or "digit".
    """

    panels: int = 6
    noun: str = "letter"

    def __post_init__(self) -> None:
        if self.noun not in ("letter", "digit") or not 2 <= self.panels <= len(DIGITS):
            raise GazeheadsError(
                f"labels are letters or digits on 2 to {len(DIGITS)} panels, not "
                f"{self.noun}s on {self.panels}"
            )

    @property
    def name(self) -> str:
        """In records."""
        return f"{self.panels} {self.noun}s"


def labelled(strip: Strip, layout: Layout, seed: int, number: int) -> Strip:
    """The strip with random labels, none twice, drawn from the seed and the strip's number."""
    known = LETTERS if layout.noun == "letter" else DIGITS
    rng = np.random.default_rng((seed, number))
    return strip.with_labels([str(c) for c in rng.choice(list(known), len(strip), replace=False)])


def forward_questions(layout: Layout) -> list[str]:
    """One question per panel, read in the natural order."""
    return [prompts.label(k, layout.noun) for k in range(1, layout.panels + 1)]


def reverse_questions(layout: Layout) -> list[str]:
    """The same, with the request to read in reverse."""
    return [prompts.label(k, layout.noun, reverse=True) for k in range(1, layout.panels + 1)]


def ordered_questions(layout: Layout, order: Sequence[int]) -> list[str]:
    """The same, with the request to read in a given order."""
    return [prompts.label_in_order(order, k, layout.noun) for k in range(1, layout.panels + 1)]


def asked(vlm: VLM, strip: Strip, questions: Sequence[str]) -> list[Encoded]:
    """The questions about a strip as prompts."""
    return vlm.encode_many(strip.image, questions)


def label_tokens(vlm: VLM, strip: Strip) -> list[int]:
    """The first token of every panel's label.

    Raises:
        GazeheadsError: two labels begin with the same token, so that they cannot be told apart.
    """
    tokens = [
        int(vlm.tokenizer(label, add_special_tokens=False)["input_ids"][0])
        for label in strip.labels or ()
    ]
    if len(set(tokens)) < len(tokens):
        raise GazeheadsError(f"labels {strip.labels} begin with the same token in {vlm.name}")
    return tokens
