"""The study's prompts, word for word: constants of the protocol that every command can override."""

from __future__ import annotations

from collections.abc import Sequence

DISCOVERY = (
    "Look carefully at this {count}-panel comic strip. "
    "What is happening in the {ordinal} panel from the left? Answer briefly."
)
VQA = "What is the main action or event happening in this comic strip? Answer briefly."
VQA_VARIANTS = (
    "Describe this comic briefly.",
    "Look at this comic strip carefully. What is the main action or event happening across the "
    "panels? Answer in one short sentence.",
    "What story does this comic strip tell? Answer briefly.",
    "Summarize the main event of this comic in a few words.",
)
STATIC_NARRATION = "What is happening in this panel of the comic strip?"
FREE_NARRATION = "Please describe what happens in each panel, in order."
REVERSE_NARRATION = "Please describe what happens in each panel, in reverse order:"
PAGE_EXAMPLE = (
    "Read each of the panels and tell me. What is the main action happening in this particular "
    "comic panel? Just output the answer in few words."
)
REVERSE_PREFIX = "Read the comic in reverse, "
DESCRIBE_IMAGE = "Describe what is happening in this image in detail:"
LIST_OBJECTS = "List all the objects present in this image:"
COCO = "What is the main object in this part of the image? Answer in a few words."
DESCRIBE_REGION = COCO
NAME_PANELS = "Name the panels."

_SUFFIXES = {1: "st", 2: "nd", 3: "rd"}
_COUNTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")


def seen_while_read(question: str) -> bool:
    """Whether a question is answered from what is looked at while it is read.

    Known of `DESCRIBE_REGION` alone, by measurement on comic-tiny (docs/describe.md): the study's
    question about a strip is followed only if the heads are steered while the answer is written.
    """
    return question == DESCRIBE_REGION


def discovery(k: int, panels: int) -> str:
    """The discovery question for panel ``k`` (from 1) of a strip with that many panels."""
    count = _COUNTS[panels] if panels < len(_COUNTS) else str(panels)
    return DISCOVERY.format(count=count, ordinal=ordinal(k))


def ordinal(k: int) -> str:
    """A number as the study's code writes it: "1st", "2nd", "3rd", "4th", "11th", "21st"."""
    last = 0 if k % 100 in (11, 12, 13) else k % 10
    return f"{k}{_SUFFIXES.get(last, 'th')}"


def _label_question(k: int, noun: str) -> str:
    return f"what is the {noun} on the {k}-th panel? Answer with one {noun}:"


def label(k: int, noun: str = "letter", reverse: bool = False) -> str:
    """The reading-order probe's question for the label on the k-th panel."""
    question = _label_question(k, noun)
    return f"{REVERSE_PREFIX}{question}" if reverse else f"W{question[1:]}"


def ordered_narration(order: Sequence[int]) -> str:
    """Narration in a given order of panels (from 1)."""
    listed = ", ".join(str(k) for k in order)
    return f"Please describe what happens in each panel, in the order {listed}."


def label_in_order(order: Sequence[int], k: int, noun: str = "letter") -> str:
    """The question for the label on the k-th panel when panels are read in a given order."""
    listed = ", ".join(str(panel) for panel in order)
    return f"Read the comic in the order {listed}, {_label_question(k, noun)}"
