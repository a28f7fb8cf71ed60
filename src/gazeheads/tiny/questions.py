"""What comic-tiny is taught to answer: questions about a strip or a scene, with exact answers.

Every kind of question has many wordings, the prompts of the study among them
(the constants in ``gazeheads.prompts``). Answers begin with content, so that the last
prompt token has something to fetch from the image.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gazeheads import prompts
from gazeheads.data.drawn.captions import event, headline, setting_first, with_article
from gazeheads.data.drawn.truth import CHARACTERS, THINGS, WEATHERS, PanelTruth

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_SUFFIXES = ("st", "nd", "rd", "th", "th", "th", "th", "th")


@dataclass(frozen=True)
class QA:
    """One question with its exact answer; ``kind`` groups questions in the evaluation."""

    kind: str
    question: str
    answer: str


@dataclass(frozen=True)
class Page:
    """What can be asked about: the panels of one strip in reading order, with their labels.

    ``row`` says that the panels stand in one row, so that "from the left" is well defined;
    ``plain`` that panels are only called "panel k".
    """

    truths: tuple[PanelTruth, ...]
    labels: tuple[str, ...] | None = None
    row: bool = True
    plain: bool = False


def panel_reference(rng: random.Random, k: int, page: Page) -> str:
    """One way to say "panel k" (from 1), such as ``"the 3rd panel from the left"``."""
    if page.plain:
        return f"panel {k}"
    n = len(page.truths)
    forms = [
        f"panel {k}",
        f"panel number {k}",
        f"the {k}{_SUFFIXES[k - 1]} panel",
        f"the {_ORDINALS[k - 1]} panel",
        f"the {k}-th panel",
    ]
    if page.row:
        forms += [f"{form} from the left" for form in forms[2:]]
        from_right = n + 1 - k
        forms.append(f"the {_ORDINALS[from_right - 1]} panel from the right")
    if k == n:
        forms += ["the last panel"] * 3
    return rng.choice(forms)


_DESCRIBE = (
    "What is happening in {ref}?",
    "What happens in {ref}?",
    "Describe {ref}.",
    "What can you see in {ref}?",
    "What does {ref} show?",
    "Tell me about {ref}.",
    "Look carefully at this comic strip. What is happening in {ref}? Answer briefly.",
)
_ATTRIBUTE_QUESTIONS: dict[str, tuple[str, ...]] = {
    "who": ("Who is in {ref}?", "Which character is in {ref}?", "Who can be seen in {ref}?"),
    "thing": ("Which thing is in {ref}?", "What object is in {ref}?", "Name the object in {ref}."),
    "action": ("What is the character doing in {ref}?", "Which action is shown in {ref}?"),
    "where": ("Where does {ref} take place?", "Where is {ref}?", "What is the setting of {ref}?"),
    "event": ("Who does what in {ref}?", "What is the main action in {ref}? Answer briefly."),
    "setting first": ("Describe {ref}, setting first.", "Start with the setting: what is {ref}?"),
}
_ATTRIBUTE_ANSWERS: dict[str, Callable[[PanelTruth], str]] = {
    "who": lambda t: f"{t.character.capitalize()}.",
    "thing": lambda t: f"{t.thing.capitalize()}.",
    "action": lambda t: f"{t.action.capitalize()} the {t.thing}.",
    "where": lambda t: f"{t.place.capitalize()}{' ' + WEATHERS[t.weather] if t.weather else ''}.",
    "event": lambda t: f"{event(t)}.".capitalize(),
    "setting first": setting_first,
}
_MAIN_EVENT = (
    prompts.VQA,
    *prompts.VQA_VARIANTS,
    "What is the main event?",
    "What happens in this comic?",
    "What is this comic about? Answer briefly.",
)
_THIS_PANEL = (
    prompts.STATIC_NARRATION,
    prompts.PAGE_EXAMPLE,
    "What is happening in this panel?",
    "Describe this panel.",
    "What does this panel show?",
)


def panel_question(rng: random.Random, page: Page) -> QA:
    """What happens in the k-th panel: the question that discovers gaze heads."""
    n = len(page.truths)
    k = rng.randint(1, n)
    if page.row and not page.plain and rng.random() < 0.35:
        question = prompts.discovery(k, n)
    else:
        question = rng.choice(_DESCRIBE).format(ref=panel_reference(rng, k, page))
    return QA("panel", question, headline(page.truths[k - 1]))


def attribute_question(rng: random.Random, page: Page) -> QA:
    """Who, what, where in the k-th panel."""
    kind = rng.choice(list(_ATTRIBUTE_QUESTIONS))
    k = rng.randint(1, len(page.truths))
    question = rng.choice(_ATTRIBUTE_QUESTIONS[kind]).format(ref=panel_reference(rng, k, page))
    return QA(kind, question, _ATTRIBUTE_ANSWERS[kind](page.truths[k - 1]))


def relation_question(rng: random.Random, page: Page) -> QA:
    """Panels found by what they show, or by their neighbour."""
    n = len(page.truths)
    k = rng.randint(1, n)
    truth = page.truths[k - 1]
    clue = rng.choice((f"the {truth.character}", f"the {truth.thing}"))
    form = rng.randrange(5)
    if form == 0 or n == 1:
        question = rng.choice((f"Which panel shows {clue}?", f"Where is {clue}?"))
        return QA("which", question, f"Panel {k}.")
    if form == 1:
        verb = rng.choice(("What does the {} do?", "What is the {} doing?"))
        return QA("find", verb.format(truth.character), headline(truth))
    if form == 2:
        return QA("find", f"What happens to the {truth.thing}?", headline(truth))
    if k == 1 or (form == 3 and k < n):
        after = "right of" if page.row and rng.random() < 0.5 else "right after"
        question = f"What is happening in the panel {after} {clue}?"
        return QA("neighbour", question, headline(page.truths[k]))
    before = "left of" if page.row and rng.random() < 0.5 else "right before"
    question = f"What is happening in the panel {before} {clue}?"
    return QA("neighbour", question, headline(page.truths[k - 2]))


def main_event_question(rng: random.Random, page: Page) -> QA:
    """The main event of the strip: how it begins and how it ends, as a summary would tell.

    A settled answer, so that steering has something to overcome; and of two panels, so that a
    steered answer about one of them differs from the unsteered one.
    """
    question = rng.choice(_MAIN_EVENT)
    summary = event(page.truths[0])
    if len(page.truths) > 1:
        summary += f", then {event(page.truths[-1])}"
    return QA("main event", question, f"{summary}.".capitalize())


def this_panel_question(rng: random.Random, page: Page) -> QA:
    """ "This panel" without saying which: the first, until the heads are steered elsewhere."""
    return QA("this panel", rng.choice(_THIS_PANEL), headline(page.truths[0]))


def existence_question(rng: random.Random, present: Sequence[str], things: float = 0.6) -> QA:
    """Is there a ...? Half of the answers are no; ``things`` is the share that ask for things.

    By default every noun is asked for as often as any other.
    """
    wanted = rng.random() < 0.5
    kind = THINGS if rng.random() < things else CHARACTERS
    nouns = [noun for noun in kind if (noun in present) == wanted]
    noun = rng.choice(nouns or [w for w in CHARACTERS + THINGS if (w in present) == wanted])
    place = rng.choice(("", " in this picture", " in this image", " here"))
    question = rng.choice(
        (f"Is there {with_article(noun)}{place}?", f"Can you see {with_article(noun)}{place}?")
    )
    return QA("yes/no", question, "Yes." if wanted else "No.")


def label_question(rng: random.Random, page: Page) -> QA:
    """The letter or digit painted on the k-th panel, also when the strip is read in reverse."""
    labels = page.labels or ()
    n = len(labels)
    k = rng.randint(1, n)
    noun = "letter" if labels[0].isalpha() else "digit"
    reverse = rng.random() < 0.4
    if not page.plain and rng.random() < 0.5:
        question = prompts.label(k, noun, reverse)
    else:
        ref = panel_reference(
            rng, k, Page(page.truths, labels, page.row and not reverse, page.plain)
        )
        ask = rng.choice((f"which {noun} is on {ref}?", f"what {noun} is painted on {ref}?"))
        question = f"{prompts.REVERSE_PREFIX}{ask}" if reverse else ask.capitalize()
    return QA("label", question, labels[n - k if reverse else k - 1])


_FORWARD = (
    prompts.FREE_NARRATION,
    "Describe every panel.",
    "Tell the story panel by panel.",
    "What happens in each panel?",
)
_REVERSE = (
    prompts.REVERSE_NARRATION,
    "Describe every panel from last to first.",
    "Tell the story backwards.",
)


def narration_question(rng: random.Random, page: Page) -> QA:
    """All panels, one line each: forward, in reverse or in a given order."""
    n = len(page.truths)
    order = list(range(n))
    form = rng.random()
    if form < 0.55:
        kind, question = "narration", rng.choice(_FORWARD)
    elif form < 0.8:
        kind, question = "reverse narration", rng.choice(_REVERSE)
        order.reverse()
    else:
        rng.shuffle(order)
        kind, question = "ordered narration", prompts.ordered_narration([k + 1 for k in order])
    named = rng.random() < 0.25
    if named:
        question += " " + prompts.NAME_PANELS
    lines = [
        f"Panel {k + 1}: {headline(page.truths[k]).lower()}" if named else headline(page.truths[k])
        for k in order
    ]
    return QA(kind, question, "\n".join(lines))


def _existence_on_strip(rng: random.Random, page: Page) -> QA:
    """Nearly always about things: characters are recognised long before."""
    present = [word for truth in page.truths for word in (truth.character, truth.thing)]
    return existence_question(rng, present, things=0.9)


_STRIP_MIX: tuple[tuple[float, Callable[[random.Random, Page], QA]], ...] = (
    (0.28, panel_question),
    (0.23, attribute_question),
    (0.24, relation_question),
    (0.08, main_event_question),
    (0.05, this_panel_question),
    (0.12, _existence_on_strip),
)
_LABEL_SHARE = 0.5


def strip_question(
    rng: random.Random, page: Page, short: float = 0.0, existence: float = 0.0
) -> QA:
    """One question about a strip, kinds mixed.

    At least ``short`` ask for one attribute, and of the others at least ``existence`` whether
    something can be seen.
    """
    if page.labels is not None and rng.random() < _LABEL_SHARE:
        return label_question(rng, page)
    if rng.random() < short:
        return attribute_question(rng, page)
    if rng.random() < existence:
        return _existence_on_strip(rng, page)
    weights, kinds = zip(*_STRIP_MIX, strict=True)
    found: QA = rng.choices(kinds, weights)[0](rng, page)
    return found
