"""From the `gaze` of a request to the steering of its text, which may be moved while it is written.

What is told of every token: what it was steered to, and where the heads looked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gazeheads.head_names import Head, HeadError, head_of
from gazeheads.head_set import HeadSet
from gazeheads.live.generation import reading_order
from gazeheads.models.asking import when_to_steer
from gazeheads.models.continuous import Token
from gazeheads.models.inputs import Inputs
from gazeheads.models.rows import heads_in
from gazeheads.regions import Region
from gazeheads.serving.body import GazeBody, HeadsBody, RequestError
from gazeheads.serving.places import PlacesOf
from gazeheads.steering import LiveSteering, Schedule, Steering

if TYPE_CHECKING:
    from gazeheads.models import VLM


class TextGaze:
    """Where one text looks.

    Attributes:
        heads: that are steered at the start.
        steering: of the text.
        watched: heads whose attention is told; empty: none.
    """

    def __init__(
        self, vlm: VLM, prompt: Inputs, gaze: GazeBody, places: PlacesOf, default: HeadSet
    ) -> None:
        """What a request asks for.

        Args:
            vlm: the model.
            prompt: that was asked.
            gaze: of the request; one that names no place leaves the heads alone until it is moved.
            places: what its places are counted in.
            default: the server's heads.

        Raises:
            GazeheadsError: a head does not exist, a place is none or covers no image token.
        """
        self._vlm, self._prompt, self._gaze, self._places = vlm, prompt, gaze, places
        self._default = default
        self._known: dict[str, Region] = {}
        self._live: LiveSteering | None = None
        target = self._target()
        self.heads = self._heads(gaze, self._at_panels(target))
        self.steering = Steering(
            self.heads,
            target if isinstance(target, Schedule) else self._moving(target),
            self._strength(gaze.strength),
            gaze.mode,
            gaze.when or when_to_steer(target, prompt.prompt),
            gaze.rule,
            gaze.threshold,
        )
        self.watched: tuple[Head, ...] = self.heads.heads if gaze.watch is not None else ()
        self._order, self._grid, self._boxes = reading_order(prompt.tokens)
        self._columns: dict[str, Any] = {}

    def move(self, gaze: HeadsBody) -> Region | None:
        """Looks elsewhere from the next token on; the region, None if the heads are let go.

        Raises:
            RequestError: the text cannot be moved as asked.
            GazeheadsError: as at the start.
        """
        if self._live is None:
            raise _conflict("this text follows a schedule, which cannot be moved")
        if self.steering.when == "prefill":
            raise _conflict(
                "this text is steered while its question is read only: ask with when: both to "
                "move it"
            )
        mode = self.steering.mode
        if gaze.delta is not None and mode in ("paper", "within"):
            raise _conflict(f"this text is steered in mode {mode}, whose delta cannot be moved")
        region = self._checked(self._places.region(gaze))
        changes: dict[str, Any] = {"region": region}
        if gaze.heads is not None or gaze.k is not None:
            changes["heads"] = self._heads(gaze, self._at_panels(region))
        if gaze.delta is not None:
            changes["delta"] = gaze.strength
        self._live.set(**changes)
        return region

    def told(self, token: Token) -> dict[str, Any]:
        """What a client is told of a token."""
        told: dict[str, Any] = {"token": token.text, "region": token.region}
        if token.attention is None:
            return told
        mass = token.attention.mean(0)
        if self._gaze.watch == "map":
            return {**told, "map": [round(float(x), 5) for x in mass[self._order]]}
        regions = {region.name: region for region in self._places.panels}
        if token.region in self._known:
            regions[token.region] = self._known[token.region]
        shares = {
            name: float(mass[self._indices(region)].sum()) for name, region in regions.items()
        }
        shares["image"] = float(mass.sum())
        return {**told, "attention": {name: round(x, 5) for name, x in shares.items()}}

    def summary(self) -> dict[str, Any]:
        """What a client is told once of the whole text."""
        steering = self.steering
        told: dict[str, Any] = {
            "heads": [str(head) for head in self.heads],
            "mode": steering.mode,
            "delta": "inf" if steering.delta == math.inf else steering.delta,
            "when": steering.when,
        }
        if self._gaze.watch == "map":
            told["grid"] = list(self._grid)
            if self._boxes is not None:
                told["boxes"] = self._boxes.round(1).tolist()
        return told

    def _target(self) -> Region | Schedule | None:
        gaze = self._gaze
        if gaze.schedule is not None:
            entries = [
                (each.step, self._checked(self._places.region(each))) for each in gaze.schedule
            ]
            return Schedule(tuple(entries))
        return self._checked(self._places.region(gaze)) if gaze.named() else None

    def _moving(self, region: Region | None) -> LiveSteering:
        self._live = LiveSteering(None, region)
        return self._live

    def _checked(self, region: Region | None) -> Region | None:
        if region is not None:
            self._prompt.tokens.indices(region, self._gaze.rule, self._gaze.threshold)
            self._known[region.name] = region
        return region

    def _strength(self, asked: float | None) -> float:
        """As asked, else as the heads recommend, which is of hard and soft steering only."""
        if asked is not None:
            return asked
        recommended = self.heads.delta if self._gaze.mode in (None, "soft") else None
        return math.inf if recommended is None else recommended

    def _at_panels(self, target: Region | Schedule | None) -> bool:
        """Whether panels of a strip are looked at, and nothing else."""
        entries = target.entries if isinstance(target, Schedule) else ((0, target),)
        regions = [region for _, region in entries if region is not None]
        return all(region in self._places.panels for region in regions)

    def _heads(self, gaze: HeadsBody, at_panels: bool) -> HeadSet:
        if gaze.heads is None:
            if gaze.k is not None:
                return self._default.resized(gaze.k)
            return self._default if at_panels else self._default.for_regions()
        if gaze.k is not None:
            raise RequestError("gaze.k: it is of the server's heads: name either", param="gaze.k")
        heads = _named_heads(gaze.heads, self._vlm)
        self._vlm.check_heads(heads)
        return heads

    def _indices(self, region: Region) -> Any:
        if region.name not in self._columns:
            gaze = self._gaze
            found = self._prompt.tokens.indices(region, gaze.rule, gaze.threshold)
            self._columns[region.name] = found
        return self._columns[region.name]


def _named_heads(named: Sequence[str | list[int]] | str, vlm: VLM) -> HeadSet:
    if named == "all":
        return HeadSet(heads_in(vlm))
    several = named.split(",") if isinstance(named, str) else named
    try:
        heads = dict.fromkeys(map(head_of, several))
    except HeadError as error:
        raise RequestError(f"gaze.heads: {error}", param="gaze.heads") from error
    if not heads:
        raise RequestError("gaze.heads: name at least one head", param="gaze.heads")
    return HeadSet.of(heads)


def _conflict(message: str) -> RequestError:
    return RequestError(message, status=409, code="cannot_be_moved")
