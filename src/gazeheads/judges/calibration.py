"""How far the caption judge agrees with the exact label judge, on answers made up for the purpose.

Drawn comics know what every panel shows, so texts about them can be written in words that no
caption uses, and the label judge still tells exactly which panel they describe. Where the words
are synonyms, which the label judge does not know, the panel meant is known by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

import numpy as np

from gazeheads.data.drawn.captions import FORMS, headline, with_article
from gazeheads.data.drawn.truth import PanelTruth
from gazeheads.data.strip import Strip
from gazeheads.judges.caption import CaptionJudge, verdict_of
from gazeheads.judges.label import LabelJudge
from gazeheads.judges.verdict import Verdict

FLOORS = tuple(round(0.05 * step, 2) for step in range(13))
MARGINS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
OFF_TOPIC = (
    "I am not able to help with that.",
    "Interest rates rose again last quarter.",
    "Please upload the missing attachment.",
    "The recipe needs two spoons of salt.",
)
SYNONYMS = {
    "cat": "kitten", "dog": "puppy", "fox": "red-furred vixen", "rabbit": "bunny",
    "panda": "black and white bear", "lion": "big maned feline", "cow": "cattle",
    "pig": "hog", "frog": "toad", "monkey": "chimpanzee", "penguin": "antarctic bird",
    "owl": "nocturnal bird", "robot": "android", "unicorn": "horned magical horse",
    "wizard": "sorcerer", "alien": "extraterrestrial",
    "ball": "round toy", "balloon": "inflatable", "gift": "wrapped present",
    "car": "automobile", "bike": "bicycle", "rocket": "spaceship", "guitar": "string instrument",
    "drum": "percussion instrument", "book": "novel", "diamond": "gemstone", "key": "door opener",
    "boat": "ship", "kite": "flying toy on a string", "umbrella": "parasol", "cake": "dessert",
    "pizza": "italian flatbread", "apple": "fruit", "banana": "yellow fruit", "donut": "doughnut",
    "flower": "blossom", "mushroom": "toadstool", "clock": "timepiece", "crown": "tiara",
    "pumpkin": "squash",
    "rides": "travels on", "paints": "colors in", "finds": "discovers",
    "juggles": "keeps tossing up", "pulls": "drags", "cuts": "slices", "washes": "scrubs clean",
    "cooks": "prepares in a pan", "buries": "hides in the ground", "balances": "keeps steady",
    "throws": "hurls", "imagines": "daydreams of",
    "forest": "the woods", "beach": "the seaside", "desert": "the sand dunes", "city": "downtown",
    "mountains": "the high peaks", "castle": "the fortress", "circus": "the big top",
    "volcano": "the lava mountain", "space": "outer orbit", "reef": "the corals under the sea",
    "meadow": "the grassland", "bedroom": "the sleeping chamber",
}  # fmt: skip
"""A word of the drawn comics -> words the label judge does not know."""


@dataclass(frozen=True)
class Sample:
    """A text about a strip, and what a judge should make of it.

    Attributes:
        kind: how the text was made.
        strip: what the judge is shown; its captions are the headlines alone.
        text: to be judged.
        expected: by the label judge, or for synonyms by construction.
    """

    kind: str
    strip: Strip
    text: str
    expected: Verdict


@dataclass(frozen=True)
class Agreement:
    """Of the texts of one kind, how many got the expected verdict.

    Attributes:
        kind: of the texts.
        same, total: texts judged alike, and all texts.
    """

    kind: str
    same: int
    total: int


def made_up(strips: Sequence[Strip], seed: int) -> list[Sample]:
    """Texts of every kind about drawn strips.

    Args:
        strips: with truths.
        seed: of every choice.
    """
    rng = np.random.default_rng(seed)
    judge = LabelJudge()
    found: list[Sample] = []
    for number, strip in enumerate(strips):
        truths = strip.truths or ()
        shown = replace(strip, captions=tuple((headline(truth),) for truth in truths))
        stranger = strips[number - 1].truths or ()
        for kind, text in (
            *_by_label(truths, rng),
            *(("another strip", headline(truth)) for truth in stranger[:2]),
        ):
            (expected,) = judge.judge(strip, [text])
            found.append(Sample(kind, shown, text, expected))
        found += [
            Sample("synonyms", shown, _in_synonyms(truth), Verdict(panel, "described"))
            for panel, truth in enumerate(truths, 1)
        ]
    return found


def similarities(judge: CaptionJudge, samples: Sequence[Sample]) -> list[np.ndarray]:
    """(panels,) similarities of every text, in order; neighbours about one strip go together."""
    rows: list[np.ndarray] = []
    for _, group in groupby(samples, key=lambda sample: sample.strip.id):
        together = list(group)
        rows += list(judge.similarities(together[0].strip, [s.text for s in together]))
    return rows


def agreement(
    samples: Sequence[Sample], rows: Sequence[np.ndarray], floor: float, margin: float
) -> list[Agreement]:
    """How often these limits give the expected verdict, by kind and over all.

    Args:
        samples, rows: texts and their `similarities`.
        floor, margin: of the judge.
    """
    right: dict[str, list[bool]] = {}
    for sample, row in zip(samples, rows, strict=True):
        same = verdict_of(sample.text, row, floor, margin) == sample.expected
        right.setdefault(sample.kind, []).append(same)
    by_kind = [Agreement(kind, sum(found), len(found)) for kind, found in right.items()]
    return [*by_kind, Agreement("all", sum(a.same for a in by_kind), len(samples))]


def best_limits(samples: Sequence[Sample], rows: Sequence[np.ndarray]) -> tuple[float, float]:
    """The (floor, margin) under which most texts get the expected verdict; ties: the lowest."""
    return max(
        product(FLOORS, MARGINS), key=lambda limits: agreement(samples, rows, *limits)[-1].same
    )


def _by_label(truths: Sequence[PanelTruth], rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """(kind, text) of texts in the label judge's own words."""
    for truth in truths:
        yield "reworded", _reworded(truth, int(rng.integers(3)))
        yield "two attributes", _partial(truth, int(rng.integers(3)))
        yield "one attribute", f"There is {with_article(truth.thing)}."
    one, other = (truths[int(i)] for i in rng.choice(len(truths), 2, replace=False))
    yield "two panels", f"{headline(one)} {headline(other)}"
    yield "off topic", str(rng.choice(OFF_TOPIC))
    yield "junk", str(rng.choice(["", "1 2 3", "Panel 4:", "no no no no no"]))


def _reworded(truth: PanelTruth, form: int) -> str:
    doing, done = FORMS[truth.action]
    return (
        f"The picture shows {with_article(truth.thing)} that was {done} by the {truth.character}; "
        f"behind them is the {truth.place}.",
        f"In this scene of the story, one {truth.character} keeps {doing} the {truth.thing} "
        f"near the {truth.place}.",
        f"You can see the {truth.place}, where {truth.character} and {truth.thing} meet: "
        f"it is being {done}.",
    )[form]


def _partial(truth: PanelTruth, form: int) -> str:
    doing, _ = FORMS[truth.action]
    return (
        f"It looks like the {truth.character} is busy {doing} something.",
        f"The {truth.character} stands in or near the {truth.place}.",
        f"Somebody is {doing} the {truth.thing}.",
    )[form]


def _in_synonyms(truth: PanelTruth) -> str:
    who, does, what, where = (
        SYNONYMS[word] for word in (truth.character, truth.action, truth.thing, truth.place)
    )
    return f"The {who} {does} the {what} at {where}."
