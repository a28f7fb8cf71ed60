"""What a user says about steering: which heads, where to, how hard and when; and the paper's."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gazeheads.attention.plan import Mode, Steer, Target, TargetAt, When, check_strength
from gazeheads.errors import GazeheadsError
from gazeheads.heads import Head, HeadSet
from gazeheads.regions import ImageTokens, Region, Rule

PAPER_DELTA = 10_000.0
PAPER_SWITCH = 50  # new tokens between two switches of the study's dynamic narration


Aim = tuple[Region | None, float | None]
"""A region, or None for nowhere in particular, and a strength, or None for the steering's own."""


class SteeringError(GazeheadsError):
    """Steering that cannot be done as asked."""


@dataclass(frozen=True)
class Schedule:
    """Where to look from which step on; steps count generated tokens from 0.

    Attributes:
        entries: (step, region) in strictly increasing order of steps, the first at 0; a region of
            None leaves the heads alone.
    """

    entries: tuple[tuple[int, Region | None], ...]

    def __post_init__(self) -> None:
        entries = tuple((int(step), region) for step, region in self.entries)
        object.__setattr__(self, "entries", entries)
        steps = [step for step, _ in entries]
        if not steps or steps[0] != 0:
            raise SteeringError(f"a schedule starts at step 0, this one at {steps[:1] or 'never'}")
        if any(late <= early for early, late in itertools.pairwise(steps)):
            raise SteeringError(f"a schedule's steps must increase: {steps}")

    @classmethod
    def every(cls, steps: int, regions: Iterable[Region]) -> Schedule:
        """The next region every `steps` tokens."""
        if steps < 1:
            raise SteeringError(f"a schedule switches every 1 or more steps, not every {steps}")
        return cls(tuple((i * steps, region) for i, region in enumerate(regions)))

    def at(self, step: int) -> Region | None:
        """The region at a step."""
        current = self.entries[0][1]
        for start, region in self.entries:
            if start > step:
                break
            current = region
        return current


class LiveTarget:
    """A target that any thread may move while text is generated; takes effect at the next token.

    Once generation has begun every region must lie in the image of the prompt and cover tokens: a
    move to one that does not raises in the generating thread at the next token.
    """

    def __init__(self, region: Region | None = None) -> None:
        self._aim: Aim = (region, None)
        self._lock = threading.Lock()

    @property
    def aim(self) -> Aim:
        """Where to look now, and how hard."""
        with self._lock:
            return self._aim

    @property
    def region(self) -> Region | None:
        """Where to look now; None: nowhere in particular."""
        return self.aim[0]

    def move(self, region: Region | None, delta: float | None = None) -> None:
        """Looks at `region` from the next token on; None lets the heads go.

        Args:
            region: where.
            delta: strength from now on, infinite for mode "hard", else mode "soft"; None: what the
                steering says.

        Raises:
            PlanError: the strength is NaN or minus infinity.
        """
        if delta is not None:
            check_strength(delta, "hard" if delta == math.inf else "soft", "both")
        with self._lock:
            self._aim = (region, delta)


@dataclass(frozen=True)
class Steering:
    """Heads pointed at a region.

    Attributes:
        heads: which heads.
        target: a region, a schedule of regions, or a live target.
        delta: strength; infinite means only the target counts.
        mode: "hard", "soft" or "paper" (see `plan.Steer`); None: hard for an infinite delta, soft
            for a finite one. The paper mode turns an infinite delta into the paper's 10,000.
        when: steer the prefill, the decode steps, or both.
        rule, threshold: how the region picks tokens (see `ImageTokens.indices`).
    """

    heads: HeadSet
    target: Region | Schedule | LiveTarget
    delta: float = math.inf
    mode: Mode | None = None
    when: When = "both"
    rule: Rule = "centre"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.target, Region | Schedule | LiveTarget):
            raise SteeringError(f"cannot steer to a {type(self.target).__name__}")
        if not isinstance(self.heads, HeadSet):
            object.__setattr__(self, "heads", HeadSet.of(self.heads))
        if len(self.heads) == 0:
            raise SteeringError("no heads to steer")
        if self.mode is None:
            object.__setattr__(self, "mode", "hard" if self.delta == math.inf else "soft")
        if self.mode == "paper" and self.delta == math.inf:
            object.__setattr__(self, "delta", PAPER_DELTA)
        check_strength(self.delta, self.mode or "hard", self.when)

    @classmethod
    def paper(cls, heads: HeadSet, target: Region) -> Steering:
        """The study's steering for answers and static narration: prefill and decode."""
        return cls(heads, target, mode="paper")

    @classmethod
    def paper_dynamic(cls, heads: HeadSet, regions: Sequence[Region]) -> Steering:
        """The study's dynamic narration: decode only, the next region every 50 tokens."""
        schedule = Schedule.every(PAPER_SWITCH, regions)
        return cls(heads, schedule, mode="paper", when="decode")

    def region_at(self, step: int) -> Region | None:
        """Where the steering points at a step (for a live target: now)."""
        if isinstance(self.target, Region):
            return self.target
        if isinstance(self.target, Schedule):
            return self.target.at(step)
        return self.target.region

    def on(self, tokens: ImageTokens, row: int) -> Steer:
        """The plan entry for a row whose image tokens (padding included) are `tokens`.

        Raises:
            RegionError: a region known by now lies outside the image or covers no token.
        """
        heads: tuple[Head, ...] = self.heads.heads
        target = self._target_at(tokens)
        return Steer(row, heads, target, self.delta, self.mode or "hard", self.when)

    def _target_at(self, tokens: ImageTokens) -> TargetAt:
        resolve = _resolver(tokens, self.rule, self.threshold)
        if isinstance(self.target, Schedule):
            for _, region in self.target.entries:
                resolve(region, None)
        else:
            resolve(*self._aim(0))
        return lambda step: resolve(*self._aim(step))

    def _aim(self, step: int) -> Aim:
        if isinstance(self.target, LiveTarget):
            return self.target.aim
        return self.region_at(step), None


def _resolver(
    tokens: ImageTokens, rule: Rule, threshold: float
) -> Callable[[Region | None, float | None], Target | None]:
    """From a region and a strength to the target; the same two give the same object again."""
    known: dict[Aim, Target] = {}

    def resolve(region: Region | None, delta: float | None) -> Target | None:
        if region is None:
            return None
        if (region, delta) not in known:
            target = Target(
                tokens.select(region, rule, threshold),
                tokens.others(region, rule, threshold),
                region.name,
                delta,
            )
            known[region, delta] = target
        return known[region, delta]

    return resolve
