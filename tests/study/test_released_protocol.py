"""Our pipeline writes what the released protocol writes, text for text.

The whole comparison (216 answers, 108 narrations, 28 narrations along a schedule):

    pytest tests/study/test_released_protocol.py --released-texts all -s
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gazeheads
from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.heads import HeadSet
from gazeheads.steering import Schedule, Steering
from gazeheads.study.experiments.steer_dynamic import derangement

if TYPE_CHECKING:
    from gazeheads.models import VLM

SEED, SEGMENT = 5_200_003, 10
PANELS = range(6)
pytestmark = pytest.mark.slow


def some_strips(count: int) -> list[Strip]:
    """Drawn strips; every other one with panels of several widths, whose tokens fit no panel."""
    strips = draw_strips(count, SEED, len(PANELS))
    rng = np.random.default_rng(SEED)
    for number in range(1, count, 2):
        strip = strips[number]
        cut = [
            panel.crop((0, 0, int(rng.integers(panel.width // 4, panel.width)), panel.height))
            for panel in strip.panels
        ]
        strips[number] = replace(strip, panels=tuple(cut))
    return strips


@dataclass(frozen=True)
class Both:
    """Two implementations, and the heads that both steer."""

    vlm: VLM
    released: Any
    heads: dict[str, HeadSet]
    whole: bool


@pytest.fixture(scope="module")
def both(request: pytest.FixtureRequest) -> Both:
    from released_protocol import Released

    folder = Path(gazeheads.__file__).parent / "tiny/model"
    vlm = gazeheads.load("comic-tiny", device="cpu", check=False)
    whole = request.config.getoption("--released-texts") == "all"
    scores = gazeheads.discover(vlm, draw_strips(3 if whole else 1, SEED + 1, len(PANELS)))
    gaze = scores.top(16)
    alive = [tuple(map(int, head)) for head in np.argwhere(vlm.living_heads())]
    others = [head for head in alive if head not in set(gaze)]
    rng = np.random.default_rng(SEED)
    drawn = [others[i] for i in sorted(rng.choice(len(others), 16, replace=False))]
    every = [(layer, head) for layer in range(vlm.num_layers) for head in range(vlm.num_heads)]
    heads = {"gaze": gaze, "others": HeadSet.of(drawn), "all": HeadSet.of(every)}
    return Both(vlm, Released(folder), heads, whole)


def compare(name: str, pairs: Iterator[tuple[str, str]]) -> None:
    """Every text equal; tells how many."""
    found = list(pairs)
    equal = sum(ours == theirs for ours, theirs in found)
    print(f"\n{name}: {equal} of {len(found)} texts equal")
    for ours, theirs in found:
        assert ours == theirs
    assert len({ours for ours, _ in found}) > 1


def static(both: Both, prompt: str, tokens: int, strips: int) -> Iterator[tuple[str, str]]:
    for strip in some_strips(strips):
        encoded = both.vlm.encode(strip.image, prompt)
        panels = PANELS if both.whole else (1, 4)
        rows = [(heads, panel) for heads in both.heads.values() for panel in panels]
        asked = [(encoded, Steering.paper(heads, strip.regions[k])) for heads, k in rows]
        done = both.vlm.generate(asked, max_new_tokens=tokens)
        for (heads, panel), ours in zip(rows, done, strict=True):
            yield (
                ours.text.strip(),
                both.released.text(strip.panels, prompt, list(heads), [panel], tokens),
            )


def test_answers(both: Both) -> None:
    compare("answers", static(both, prompts.VQA, 15, 12 if both.whole else 2))


def test_narrations_of_one_panel(both: Both) -> None:
    compare("narrations", static(both, prompts.STATIC_NARRATION, 100, 6 if both.whole else 1))


def test_narrations_along_a_schedule(both: Both) -> None:
    def texts() -> Iterator[tuple[str, str]]:
        tokens = SEGMENT * len(PANELS)
        for number, strip in enumerate(some_strips(14 if both.whole else 2)):
            if not both.whole and number == 0:
                continue  # the strip of uneven panels says more
            order = derangement(len(PANELS), np.random.default_rng((SEED, number)))
            schedule = Schedule.every_decoded(SEGMENT, [strip.panel(k) for k in order])
            encoded = both.vlm.encode(strip.image, prompts.FREE_NARRATION)
            for heads in (both.heads["gaze"], both.heads["others"]):
                steering = Steering(heads, schedule, mode="paper", when="decode")
                (ours,) = both.vlm.generate((encoded, steering), max_new_tokens=tokens)
                yield (
                    ours.text.strip(),
                    both.released.text(
                        strip.panels,
                        prompts.FREE_NARRATION,
                        list(heads),
                        [k - 1 for k in order],
                        tokens,
                        SEGMENT,
                        prefill=False,
                    ),
                )

    compare("narrations along a schedule", texts())
