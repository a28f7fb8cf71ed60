"""What a drawn panel shows: the vocabulary of the drawn comics and the exact truth of one panel.

The vocabulary is closed on purpose: an answer of a model can then be judged exactly,
word by word, without another model.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np

CHARACTERS = (
    "cat", "dog", "fox", "rabbit", "panda", "lion", "cow", "pig",
    "frog", "monkey", "penguin", "owl", "robot", "unicorn", "wizard", "alien",
)  # fmt: skip
THINGS = (
    "ball", "balloon", "gift", "car", "bike", "rocket", "guitar", "drum",
    "book", "diamond", "key", "boat", "kite", "umbrella", "cake", "pizza",
    "apple", "banana", "donut", "flower", "mushroom", "clock", "crown", "pumpkin",
)  # fmt: skip
ACTIONS = (
    "rides", "paints", "finds", "juggles", "pulls", "cuts",
    "washes", "cooks", "buries", "balances", "throws", "imagines",
)  # fmt: skip
PLACES = {
    "forest": "in the forest",
    "beach": "at the beach",
    "desert": "in the desert",
    "city": "in the city",
    "mountains": "in the mountains",
    "castle": "at the castle",
    "circus": "at the circus",
    "volcano": "at the volcano",
    "space": "in space",
    "reef": "at the reef",
    "meadow": "in the meadow",
    "bedroom": "in the bedroom",
}
WEATHERS = {
    "night": "at night",
    "rain": "in the rain",
    "snow": "in the snow",
    "storm": "in a storm",
    "sun": "in the sun",
    "rainbow": "under a rainbow",
}
INDOORS = frozenset({"space", "reef", "bedroom"})
"""Places without weather."""

HELD_OUT_SHARE = 8
"""One (character, action, thing) combination in this many is never drawn in training."""


@dataclass(frozen=True)
class PanelTruth:
    """What one drawn panel shows: who does what with which thing, where and in which weather."""

    character: str
    action: str
    thing: str
    place: str
    weather: str | None = None

    def attributes(self) -> dict[str, str]:
        """Attribute name -> word, without the weather when there is none."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: word for name, word in pairs if word is not None}

    @property
    def held_out(self) -> bool:
        """Whether this (character, action, thing) combination is kept from training."""
        key = f"{self.character}|{self.action}|{self.thing}"
        return zlib.crc32(key.encode()) % HELD_OUT_SHARE == 0


def sample_truths(
    rng: np.random.Generator, panels: int, held_out: bool, weather_share: float = 0.4
) -> tuple[PanelTruth, ...]:
    """Truths of one strip in which no attribute repeats.

    Args:
        rng: Source of every choice.
        panels: Number of panels, 1 to 12.
        held_out: Draw only combinations kept from training (True) or only the others (False).
        weather_share: Probability that an outdoor panel has weather.
    """
    places = rng.choice(list(PLACES), panels, replace=False)
    weathers = list(rng.permutation(list(WEATHERS)))
    chosen: list[PanelTruth] = []
    for place in places:
        weather = None
        if place not in INDOORS and weathers and rng.random() < weather_share:
            weather = str(weathers.pop())
        while True:
            truth = PanelTruth(
                _unused(rng, CHARACTERS, {t.character for t in chosen}),
                _unused(rng, ACTIONS, {t.action for t in chosen}),
                _unused(rng, THINGS, {t.thing for t in chosen}),
                str(place),
                weather,
            )
            if truth.held_out == held_out:
                break
        chosen.append(truth)
    return tuple(chosen)


def _unused(rng: np.random.Generator, words: Collection[str], used: set[str]) -> str:
    return str(rng.choice([word for word in words if word not in used]))
