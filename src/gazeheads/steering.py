"""What a user says about steering: which heads, where to, how hard and when; and the paper's."""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gazeheads.attention.intervention import (
    Intervention,
    InterventionAt,
    Mode,
    When,
    acts_in,
    check_strength,
)
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.regions import ImageTokens, Region, Rule

PAPER_DELTA = 10_000.0
PAPER_SWITCH = 50  # new tokens between two switches of the study's dynamic narration


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


@dataclass(frozen=True)
class LiveValue:
    """What a live steering does at one moment.

    Attributes:
        heads: which heads; None: those of the `Steering` it is the target of.
        region: where they look; None: nowhere in particular, the heads are let go.
        delta: strength, infinite for mode "hard", else mode "soft"; None: as that `Steering` says.
    """

    heads: HeadSet | None = None
    region: Region | None = None
    delta: float | None = None


class LiveSteering:
    """Steering that any thread may change while text is generated; takes effect at the next token.

    Heads, region and strength are ONE value, swapped at once: no token is ever steered by half of
    a change. Once generation has begun every region must lie in the image of the prompt and cover
    tokens, and every head exist: a change to one that does not raises in the generating thread at
    the next token.

    Example:
        >>> from gazeheads import HeadSet, LiveSteering, Region
        >>> live = LiveSteering(HeadSet.of([(3, 1)]), Region.from_box(0, 0, 64, 64))
        >>> live.set(region=Region.from_box(64, 0, 128, 64), delta=5.0)
        >>> live.value.delta
        5.0
    """

    def __init__(
        self,
        heads: HeadSet | Iterable[tuple[int, int]] | None = None,
        region: Region | None = None,
        delta: float | None = None,
        *,
        rule: Rule = "centre",
        threshold: float = 0.5,
    ) -> None:
        self.rule, self.threshold = rule, threshold
        self._lock = threading.Lock()
        self._value = LiveValue()
        self.set(heads=heads, region=region, delta=delta)

    @property
    def value(self) -> LiveValue:
        """What it does now."""
        return self._value

    @property
    def region(self) -> Region | None:
        """Where to look now; None: nowhere in particular."""
        return self._value.region

    def set(self, **changes: Any) -> None:
        """Changes heads, region and delta at once; what is not named stays.

        Raises:
            SteeringError: another name.
            InterventionError: the strength is NaN or minus infinity.
        """
        if unknown := sorted(set(changes) - {"heads", "region", "delta"}):
            raise SteeringError(
                f"a live steering has heads, region and delta, not {', '.join(unknown)}"
            )
        heads, delta = changes.get("heads"), changes.get("delta")
        if heads is not None and not isinstance(heads, HeadSet):
            changes["heads"] = HeadSet.of(heads)
        if delta is not None:
            check_strength(delta, "hard" if delta == math.inf else "soft", "both")
        with self._lock:
            self._value = replace(self._value, **changes)

    def move(self, region: Region | None, delta: float | None = None) -> None:
        """Looks at `region` from the next token on; None lets the heads go.

        Args:
            region: where.
            delta: strength from now on; None: as before it was ever moved.
        """
        self.set(region=region, delta=delta)

    @property
    def used_heads(self) -> HeadSet:
        """The heads it has now.

        Raises:
            SteeringError: none yet.
        """
        if self._value.heads is None:
            raise SteeringError("this live steering names no heads: LiveSteering(heads, region)")
        return self._value.heads

    def on(self, tokens: ImageTokens, shape: tuple[int, int], keys: int) -> InterventionAt:
        """What acts on a row of a batch; see `Steering.on`."""
        return Steering(HeadSet(()), self, rule=self.rule, threshold=self.threshold).on(
            tokens, shape, keys
        )


class LiveTarget(LiveSteering):
    """A live steering that leaves the choice of heads to the `Steering` it is the target of."""

    def __init__(self, region: Region | None = None) -> None:
        super().__init__(None, region)


@dataclass(frozen=True)
class Steering:
    """Heads pointed at a region.

    Attributes:
        heads: which heads.
        target: a region, a schedule of regions, or a live steering.
        delta: strength; infinite means only the target counts.
        mode: "hard", "soft" or "paper" (see `Intervention`); None: hard for an infinite delta, soft
            for a finite one. The paper mode turns an infinite delta into the paper's 10,000.
        when: steer the prefill, the decode steps, or both.
        rule, threshold: how the region picks tokens (see `ImageTokens.indices`).
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
            raise SteeringError(f"cannot steer to a {type(self.target).__name__}")
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
        """The study's dynamic narration: decode only, the next region every 50 tokens."""
        schedule = Schedule.every(PAPER_SWITCH, regions)
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
        resolver = _Resolver(self, tokens, shape, keys)
        if isinstance(self.target, Schedule):
            for _, region in self.target.entries:
                resolver.resolve(LiveValue(region=region))
        else:
            resolver.resolve(self.value_at(0))
        return resolver


class _Resolver:
    """From a step to the intervention on one row; equal values give the same object again."""

    _KEPT = 64

    def __init__(
        self, steering: Steering, tokens: ImageTokens, shape: tuple[int, int], keys: int
    ) -> None:
        self._steering, self._tokens = steering, tokens
        self._shape, self._keys = shape, keys
        self._known: OrderedDict[LiveValue, Intervention] = OrderedDict()
        self._latest: tuple[LiveValue, Intervention | None] | None = None

    def __call__(self, step: int, decoding: bool) -> Intervention | None:
        if not acts_in(self._steering.when, decoding):
            return None
        return self.resolve(self._steering.value_at(step))

    def resolve(self, value: LiveValue) -> Intervention | None:
        """The intervention of a value; None: nothing is steered."""
        known = self._latest
        if (
            known is None
            or known[0].region is not value.region
            or known[0].heads is not value.heads
            or known[0].delta != value.delta
        ):
            self._latest = known = (value, self._find(value))
        return known[1]

    def _find(self, value: LiveValue) -> Intervention | None:
        heads = self._steering.heads if value.heads is None else value.heads
        if value.region is None or len(heads) == 0:
            return None
        found = self._known.pop(value, None) or self._build(value, heads, value.region)
        self._known[value] = found
        if len(self._known) > self._KEPT:
            self._known.popitem(last=False)
        return found

    def _build(self, value: LiveValue, heads: HeadSet, region: Region) -> Intervention:
        own = self._steering
        delta, mode = own.delta, own.mode or "hard"
        if value.delta is not None:
            delta = value.delta
            mode = "hard" if delta == math.inf else "soft"
        return Intervention.of(
            heads,
            self._shape,
            self._tokens.select(region, own.rule, own.threshold),
            self._tokens.others(region, own.rule, own.threshold),
            self._keys,
            delta,
            mode,
            region.name,
        )
