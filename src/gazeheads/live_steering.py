"""Steering that other threads change while text is generated, and what a row makes of it."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
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
from gazeheads.region_reading import region_of
from gazeheads.regions import ImageTokens, Region, Rule


class SteeringError(GazeheadsError):
    """Steering that cannot be done as asked."""


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
        self._first_delta = self._value.delta

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
            RegionError: what is named is no region.
        """
        if unknown := sorted(set(changes) - {"heads", "region", "delta"}):
            raise SteeringError(
                f"a live steering has heads, region and delta, not {', '.join(unknown)}"
            )
        heads, delta = changes.get("heads"), changes.get("delta")
        if heads is not None and not isinstance(heads, HeadSet):
            changes["heads"] = HeadSet.of(heads)
        if changes.get("region") is not None:
            changes["region"] = region_of(changes["region"])
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
        self.set(region=region, delta=self._first_delta if delta is None else delta)

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
        picks = Picks(tokens, self.rule, self.threshold)
        resolver = Resolver(lambda step: self.value, LiveValue(delta=math.inf), picks, shape, keys)
        resolver.resolve(self.value)
        return resolver


class LiveTarget(LiveSteering):
    """A live steering that leaves the choice of heads to the `Steering` it is the target of."""

    def __init__(self, region: Region | None = None) -> None:
        super().__init__(None, region)


@dataclass(frozen=True, eq=False)
class Picks:
    """How a region picks tokens of a row.

    Attributes:
        tokens: the row's image tokens, at their places in the padded row.
        rule, threshold: see `ImageTokens.indices`.
    """

    tokens: ImageTokens
    rule: Rule = "centre"
    threshold: float = 0.5


class Resolver:
    """From a step to the intervention on one row; equal values give the same object again."""

    _KEPT = 64

    def __init__(
        self,
        value_at: Callable[[int], LiveValue],
        default: LiveValue,
        picks: Picks,
        shape: tuple[int, int],
        keys: int,
        mode: Mode | None = None,
        when: When = "both",
    ) -> None:
        """What acts on a row.

        Args:
            value_at: what is wanted at a step.
            default: heads and strength where that leaves them open.
            picks: how regions pick tokens.
            shape: (layers, heads per layer) of the model.
            keys: of the prompt, padding included.
            mode: of the default strength; None: hard for an infinite one, soft for a finite one.
            when: in which passes.
        """
        self._value_at, self._default, self._picks = value_at, default, picks
        self._shape, self._keys, self._mode, self._when = shape, keys, mode, when
        self._known: OrderedDict[LiveValue, Intervention] = OrderedDict()
        self._latest: tuple[LiveValue, Intervention | None] | None = None

    def __call__(self, step: int, decoding: bool) -> Intervention | None:
        """See `InterventionAt`."""
        return self.resolve(self._value_at(step)) if acts_in(self._when, decoding) else None

    def resolve(self, value: LiveValue) -> Intervention | None:
        """The intervention of a value; None: nothing is steered.

        Raises:
            RegionError: its region lies outside the image or covers no token.
        """
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
        heads = self._default.heads if value.heads is None else value.heads
        if value.region is None or not heads:
            return None
        found = self._known.pop(value, None) or self._build(value, heads, value.region)
        self._known[value] = found
        if len(self._known) > self._KEPT:
            self._known.popitem(last=False)
        return found

    def _build(self, value: LiveValue, heads: HeadSet, region: Region) -> Intervention:
        own = value.delta is not None
        delta = value.delta if value.delta is not None else self._default.delta or 0.0
        mode = None if own else self._mode
        picks = self._picks
        return Intervention.of(
            heads,
            self._shape,
            picks.tokens.select(region, picks.rule, picks.threshold),
            picks.tokens.others(region, picks.rule, picks.threshold),
            self._keys,
            delta,
            mode or ("hard" if delta == math.inf else "soft"),
            region.name,
        )
