"""What a user says about steering: which heads, where to, how hard and when; and the paper's."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gazeheads.attention.intervention import (
    InterventionAt,
    Mode,
    When,
    check_strength,
)
from gazeheads.heads import HeadSet
from gazeheads.live_steering import (
    LiveSteering,
    LiveTarget,
    LiveValue,
    Picks,
    Resolver,
    SteeringError,
)
from gazeheads.region_reading import region_of
from gazeheads.regions import ImageTokens, Region, Rule

__all__ = [
    "PAPER_DELTA",
    "PAPER_SWITCH",
    "LiveSteering",
    "LiveTarget",
    "LiveValue",
    "Schedule",
    "Steering",
    "SteeringError",
    "steering_of",
]

PAPER_DELTA = 10_000.0
PAPER_SWITCH = 50  # new tokens between two switches of the study's dynamic narration


@dataclass(frozen=True)
class Schedule:
    """Where to look from which step on; steps count generated tokens from 0.

    Attributes:
        entries: (step, region) in strictly increasing order of steps, the first at 0; a region of
            None leaves the heads alone.

    Example:
        >>> Schedule.every(50, [strip.panel(4), strip.panel(2)]).at(60).name
        'panel 2'
    """

    entries: tuple[tuple[int, Region | None], ...]

    def __post_init__(self) -> None:
        entries = tuple(
            (int(step), None if region is None else region_of(region))
            for step, region in self.entries
        )
        object.__setattr__(self, "entries", entries)
        steps = [step for step, _ in entries]
        if not steps or steps[0] != 0:
            raise SteeringError(f"a schedule starts at step 0, this one at {steps[:1] or 'never'}")
        if any(late <= early for early, late in itertools.pairwise(steps)):
            raise SteeringError(f"a schedule's steps must increase: {steps}")

    @classmethod
    def every(cls, steps: int, regions: Iterable[Region]) -> Schedule:
        """The next region every `steps` tokens, the prefill's token counted.

        When only decode steps are steered, the first region then gets one token fewer than the
        others: `every_decoded` gives each the same number.
        """
        return cls(_entries(steps, regions, 0))

    @classmethod
    def every_decoded(cls, steps: int, regions: Iterable[Region]) -> Schedule:
        """The next region every `steps` decode steps, as the study's released code counts.

        The prefill, which writes the first token unsteered there, is not counted: the pass that
        writes token `steps` + 2 (from 1) is the first of the second region.
        """
        return cls(_entries(steps, regions, 1))

    def at(self, step: int) -> Region | None:
        """The region at a step."""
        current = self.entries[0][1]
        for start, region in self.entries:
            if start > step:
                break
            current = region
        return current


def _entries(
    steps: int, regions: Iterable[Region], first: int
) -> tuple[tuple[int, Region | None], ...]:
    """A region every `steps` steps from step `first` on; the first one from the prefill on."""
    if steps < 1:
        raise SteeringError(f"a schedule switches every 1 or more steps, not every {steps}")
    return tuple((i * steps + (first if i else 0), region) for i, region in enumerate(regions))


@dataclass(frozen=True)
class Steering:
    """Heads pointed at a region.

    Attributes:
        heads: which heads.
        target: a region, a schedule of regions, or a live steering.
        delta: strength; infinite means only the target counts.
        mode: "hard", "soft", "paper" or "within" (see `Intervention`); None: hard for an infinite
            delta, soft for a finite one. The paper mode turns an infinite delta into the paper's
            10,000.
        when: steer the prefill, the decode steps, or both.
        rule, threshold: how the region picks tokens (see `ImageTokens.indices`).

    Example:
        >>> rows = [(vlm.encode(strip.image, "What happens?"), Steering(heads, strip.panel(2)))]
        >>> vlm.generate(rows, max_new_tokens=4)[0].steered_to[0]
        'panel 2'
    """

    heads: HeadSet
    target: Region | Schedule | LiveSteering
    delta: float = math.inf
    mode: Mode | None = None
    when: When = "both"
    rule: Rule = "centre"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.target, Region | Schedule | LiveSteering):
            object.__setattr__(self, "target", region_of(self.target))
        if not isinstance(self.heads, HeadSet):
            object.__setattr__(self, "heads", HeadSet.of(self.heads))
        if len(self.heads) == 0 and not isinstance(self.target, LiveSteering):
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
        """The study's dynamic narration: decode only, the next region every 50 decode steps."""
        schedule = Schedule.every_decoded(PAPER_SWITCH, regions)
        return cls(heads, schedule, mode="paper", when="decode")

    def value_at(self, step: int) -> LiveValue:
        """What it does at a step (a live steering: now)."""
        if isinstance(self.target, LiveSteering):
            return self.target.value
        region = self.target if isinstance(self.target, Region) else self.target.at(step)
        return LiveValue(region=region)

    def region_at(self, step: int) -> Region | None:
        """Where the steering points at a step (a live steering: now)."""
        return self.value_at(step).region

    @property
    def used_heads(self) -> HeadSet:
        """The heads it has; of a live steering those it has now."""
        live = self.target.value.heads if isinstance(self.target, LiveSteering) else None
        return self.heads if live is None else live

    def on(self, tokens: ImageTokens, shape: tuple[int, int], keys: int) -> InterventionAt:
        """What acts on a row of a batch.

        Args:
            tokens: the row's image tokens, at their places in the padded row.
            shape: (layers, heads per layer) of the model.
            keys: of the prompt, padding included.

        Raises:
            RegionError: a region known by now lies outside the image or covers no token.
        """
        resolver = Resolver(
            self.value_at,
            LiveValue(self.heads, None, self.delta),
            Picks(tokens, self.rule, self.threshold),
            shape,
            keys,
            self.mode,
            self.when,
        )
        if isinstance(self.target, Schedule):
            for _, region in self.target.entries:
                resolver.resolve(LiveValue(region=region))
        else:
            resolver.resolve(self.value_at(0))
        return resolver


def steering_of(
    heads: HeadSet | Iterable[tuple[int, int]] | LiveSteering,
    region: Region | Schedule | LiveSteering | None,
    delta: float,
    mode: Mode | None,
    when: When,
    rule: Rule,
    threshold: float,
    force: bool = False,
) -> Steering | LiveSteering:
    """What `VLM.steer` is asked for, as one value; see there.

    Raises:
        SteeringError: nowhere to look, or a region beside a live steering that holds its own.
    """
    if isinstance(heads, LiveSteering):
        if region is not None:
            raise SteeringError("a live steering holds its region: leave region out")
        return heads
    if region is None:
        raise SteeringError("steer to where? Name a region, a schedule or a live steering")
    own = heads if isinstance(heads, HeadSet) else HeadSet.of(heads)
    return Steering(own.forced() if force else own, region, delta, mode, when, rule, threshold)
