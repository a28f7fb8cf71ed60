"""Settings of the one question that is steered to every panel, for all experiments that ask it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gazeheads import prompts
from gazeheads.errors import GazeheadsError
from gazeheads.head_rankings import heads_of_text, read_ranking
from gazeheads.head_set import head_named
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.study.experiments.controls import DRAWS, ControlPool, check_draws
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.experiments.steered_answers import Condition, Question, conditions_of

LONG_TEXT_STRIPS = 10
"""Strips that the random heads of narrations are measured on by default: texts cost seven times
as much as answers."""
SWEEP_STRIPS = 4
"""Strips that the random heads of the sweep are measured on by default, at every K."""
SWEEP_SHARES = (0.0125, 0.025, 0.05, 0.075, 0.1, 0.12, 0.15, 0.25, 0.5)
"""Default sizes of the sweep, as shares of all heads; the study's peak is at 0.087."""


@dataclass(frozen=True)
class OwnHeads:
    """Heads of the user's that are steered beside the gaze heads and the controls.

    Attributes:
        name: of the condition.
        heads: such as "L3H1".
    """

    name: str
    heads: tuple[str, ...]

    @property
    def condition(self) -> Condition:
        """The condition under which they are steered."""
        heads = HeadSet(tuple(head_named(each) for each in self.heads), self.name)
        return Condition(self.name, len(heads), (heads,))


@dataclass(frozen=True)
class SteerVqaSettings:
    """Settings of `run`.

    Attributes:
        ks: numbers of heads to steer.
        conditions: which of "gaze", "random" and "all".
        prompt, max_new_tokens: the question.
        mode, delta, when: of the steering; the defaults are the study's.
        pool, draws: of the random heads: where from, and how many sets.
        draw_strips: the random heads are measured on so many of the first strips; None: on all.
        seed: of the random heads.
        judge: name of the judge.
        own: further heads to steer.
    """

    ks: tuple[int, ...]
    conditions: tuple[str, ...] = (GAZE, RANDOM, ALL)
    prompt: str = prompts.VQA
    max_new_tokens: int = 15
    mode: Literal["soft", "hard", "paper", "within"] = "paper"
    delta: float = 10_000.0
    when: Literal["prefill", "decode", "both"] = "both"
    pool: ControlPool = "matched"
    draws: int = DRAWS
    draw_strips: int | None = None
    seed: int = 0
    judge: str = "label"
    own: tuple[OwnHeads, ...] = ()

    def __post_init__(self) -> None:
        check_draws(self.draws, self.draw_strips)

    @property
    def question(self) -> Question:
        """What is asked, and how the heads are steered meanwhile."""
        return Question(self.prompt, self.max_new_tokens, self.mode, self.delta, self.when)

    def conditions_of(self, scores: HeadScores) -> list[Condition]:
        """The heads to steer."""
        found = conditions_of(scores, self.ks, self.conditions, self.draws, self.seed, self.pool)
        return [*found, *(each.condition for each in self.own)]


def own_conditions(named: Sequence[str], k: int | None = None) -> tuple[OwnHeads, ...]:
    """Conditions of the user's, each written NAME=HEADS.

    Args:
        named: as they were written.
        k: how many heads of a file of scores; None: all of them, where only their form matters.

    Raises:
        GazeheadsError: a name is taken or none, or there are no such heads.
    """
    found: dict[str, OwnHeads] = {}
    for each in named:
        name, equals, heads = each.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_ ]*", name):
            raise GazeheadsError(f"--condition wants NAME=HEADS, not {each!r}")
        if name in (GAZE, RANDOM, ALL) or name in found:
            raise GazeheadsError(f"--condition: there is a condition {name!r} already")
        chosen = heads_of_text(heads) or read_ranking(heads)
        if isinstance(chosen, HeadScores):
            chosen = chosen.top(k or len(chosen))
        found[name] = OwnHeads(name, tuple(str(head) for head in chosen))
    return tuple(found.values())


def narration(ks: tuple[int, ...], seed: int = 0) -> SteerVqaSettings:
    """Settings of the static narration: "this panel" without saying which, a hundred tokens."""
    return SteerVqaSettings(
        ks,
        prompt=prompts.STATIC_NARRATION,
        max_new_tokens=100,
        draw_strips=LONG_TEXT_STRIPS,
        seed=seed,
    )


def default_ks(heads: int) -> tuple[int, ...]:
    """Sizes of a sweep that suit a model with so many heads."""
    return tuple(sorted({max(1, math.floor(share * heads)) for share in SWEEP_SHARES}))


def check_sizes(ks: Sequence[int], heads: int) -> None:
    """Raises GazeheadsError unless every K is between 1 and the number of heads."""
    if not ks:
        raise GazeheadsError("no number of heads given: K must be at least 1")
    for k in ks:
        if not 1 <= k <= heads:
            raise GazeheadsError(f"K = {k} does not exist: the model has {heads} heads")


def sweep_settings(
    ks: tuple[int, ...], seed: int, draws: int = DRAWS, draw_strips: int | None = None
) -> SteerVqaSettings:
    """Settings of the sweep over K: gaze heads, and a band of random ones on few strips."""
    few = SWEEP_STRIPS if draw_strips is None else draw_strips
    return SteerVqaSettings(ks, (GAZE, RANDOM), draws=draws, draw_strips=few, seed=seed)
