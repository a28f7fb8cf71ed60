"""The twelve actions: where character and thing go, and the props that make the deed visible.

Every layout is written for a character on the left and the thing on the right;
`Cast.x` mirrors it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gazeheads.data.drawn.canvas import Canvas
from gazeheads.data.strip import PixelBox

FLOOR = 0.95
"""Where figures stand."""
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Cast:
    """Who and what is on the canvas, and which way they face.

    Attributes:
        canvas: The panel with its background.
        character: Sprite of the character.
        thing: Sprite of the thing.
        way: 1 with the character on the left, -1 on the right.
        scale: Size factor of both figures.
    """

    canvas: Canvas
    character: str
    thing: str
    way: int
    scale: float

    def x(self, x: float) -> float:
        """Mirrors an x coordinate when the character is on the right."""
        return x if self.way == 1 else 1 - x

    def actor(self, x: float, y: float, side: float = 0.5, lean: float = 0) -> PixelBox:
        """Puts the character standing on y."""
        return self._figure(self.character, x, y, side, lean=lean, ground=True)

    def item(self, x: float, y: float, side: float = 0.35, lean: float = 0) -> PixelBox:
        """Puts the thing standing on y."""
        return self._figure(self.thing, x, y, side, lean=lean, ground=True)

    def afloat(self, x: float, y: float, side: float = 0.35, lean: float = 0) -> PixelBox:
        """Puts the thing centred on y, without a shadow."""
        return self._figure(self.thing, x, y, side, lean=lean, ground=False)

    def prop(
        self, name: str, x: float, y: float, side: float, *, lean: float = 0, opacity: float = 1
    ) -> PixelBox:
        """Puts a prop or helper sprite centred on a point, mirrored with the layout."""
        return self.canvas.put(
            name, self.x(x), y, side, flip=self.way == -1, angle=lean * self.way, opacity=opacity
        )

    def stroke(
        self, points: list[tuple[float, float]], width: float, colour: tuple[int, int, int]
    ) -> None:
        """A line, mirrored with the layout."""
        self.canvas.stroke([(self.x(x), y) for x, y in points], width, colour)

    def trail(self, points: list[tuple[float, float]]) -> None:
        """A line of motion, white with a dark edge so that it shows on any background."""
        self.stroke(points, 0.03, (70, 82, 104))
        self.stroke(points, 0.016, WHITE)

    def _figure(
        self, name: str, x: float, y: float, side: float, *, lean: float, ground: bool
    ) -> PixelBox:
        canvas = self.canvas
        gains = (canvas.between(0.88, 1), canvas.between(0.88, 1), canvas.between(0.88, 1))
        return canvas.put(
            name,
            self.x(x) + canvas.between(-0.015, 0.015),
            y + canvas.between(-0.015, 0.01),
            side * self.scale,
            flip=canvas.toss(),
            angle=lean * self.way + canvas.between(-7, 7),
            inside=True,
            ground=ground,
            gains=gains,
        )


def paint_action(action: str, cast: Cast) -> None:
    """Puts character, thing and props of an action on the canvas."""
    ACTION_PAINTERS[action](cast)


def _rides(cast: Cast) -> None:
    cast.prop("speed", 0.14, 0.6, 0.28)
    cast.prop("puff", 0.2, 0.89, 0.18)
    cast.actor(0.57, 0.55, 0.46, lean=-6)
    cast.item(0.6, FLOOR, 0.46)


def _paints(cast: Cast) -> None:
    cast.actor(0.25, FLOOR, 0.47)
    cast.prop("easel", 0.68, 0.63, 0.64)
    cast.afloat(0.68, 0.565, 0.34)
    cast.prop("blob", 0.51, 0.4, 0.12)
    cast.prop("brush", 0.42, 0.49, 0.26, lean=90)
    cast.prop("glove", 0.34, 0.57, 0.11)


def _finds(cast: Cast) -> None:
    cast.prop("burst", 0.7, 0.6, 0.72, lean=cast.canvas.between(-10, 10))
    cast.actor(0.25, FLOOR, 0.47)
    cast.afloat(0.7, 0.6, 0.35)


def _juggles(cast: Cast) -> None:
    cast.actor(0.5, FLOOR, 0.47)
    turns = [math.pi * t / 16 for t in range(17)]
    arc = [(0.5 + 0.35 * math.cos(turn), 0.5 - 0.34 * math.sin(turn)) for turn in turns]
    cast.trail(arc)
    for x, y in ((0.15, 0.42), (0.5, 0.15), (0.85, 0.42)):
        cast.afloat(x, y, 0.26)
    for x in (0.22, 0.78):
        cast.prop("glove", x, 0.66, 0.12)


def _pulls(cast: Cast) -> None:
    cast.prop("puff", 0.92, 0.9, 0.16)
    cast.prop("sled", 0.73, 0.84, 0.46)
    cast.item(0.74, 0.82, 0.35)
    cast.actor(0.23, FLOOR, 0.46, lean=12)
    rope = [(0.33 + 0.28 * t / 8, 0.78 + 0.05 * math.sin(math.pi * t / 8)) for t in range(9)]
    cast.stroke(rope, 0.05, (92, 58, 24))
    cast.stroke(rope, 0.028, (222, 172, 104))
    cast.prop("glove", 0.32, 0.78, 0.13)


def _cuts(cast: Cast) -> None:
    cast.actor(0.21, FLOOR, 0.43)
    canvas = cast.canvas
    canvas.shade(cast.x(0.69) * canvas.size, FLOOR * canvas.size, 0.5 * canvas.size)
    canvas.put_halves(cast.thing, cast.x(0.69), FLOOR, 0.44 * cast.scale, 0.13)
    cast.prop("scissors", 0.69, 0.35, 0.36)


def _washes(cast: Cast) -> None:
    cast.actor(0.25, FLOOR, 0.47)
    cast.afloat(0.71, 0.55, 0.37)
    cast.prop("tub", 0.71, 0.84, 0.52)
    cast.prop("foam", 0.71, 0.73, 0.5)
    for x in (0.5, 0.6, 0.71, 0.82, 0.93):
        spot = (x + cast.canvas.between(-0.05, 0.05), cast.canvas.between(0.2, 0.38))
        cast.prop("bubble", *spot, cast.canvas.between(0.07, 0.12), opacity=0.9)
    for x in (0.47, 0.95):
        spot = (x, cast.canvas.between(0.5, 0.62))
        cast.prop("bubble", *spot, cast.canvas.between(0.08, 0.12), opacity=0.9)


def _cooks(cast: Cast) -> None:
    cast.actor(0.24, FLOOR, 0.46)
    for x in (0.58, 0.71, 0.84):
        cast.prop("fire", x, 0.9, 0.19)
    for x in (0.53, 0.9):
        cast.prop("steam", x, 0.38, 0.26, opacity=0.85)
    cast.afloat(0.71, 0.48, 0.37)
    cast.prop("pot", 0.71, 0.72, 0.46)


def _buries(cast: Cast) -> None:
    cast.actor(0.23, FLOOR, 0.45)
    cast.afloat(0.72, 0.56, 0.4)
    cast.prop("mound", 0.72, 0.83, 0.58)
    cast.prop("spade", 0.46, 0.7, 0.44, lean=14)
    cast.prop("glove", 0.435, 0.6, 0.11)


def _balances(cast: Cast) -> None:
    cast.prop("pole", 0.5, 0.475, 0.24)
    cast.actor(0.5, FLOOR, 0.48)
    cast.afloat(0.5, 0.2, 0.35)
    for way in (-1, 1):
        for reach in (0.25, 0.32):
            bow = [
                (0.5 + way * reach * math.cos(turn), 0.22 + reach * math.sin(turn))
                for turn in (-0.5, -0.25, 0, 0.25, 0.5)
            ]
            cast.trail(bow)


def _throws(cast: Cast) -> None:
    cast.actor(0.24, FLOOR, 0.46)
    for i in range(6):
        rise = 0.34 * math.sin(0.55 * math.pi * i / 6)
        cast.prop("dot", 0.34 + 0.23 * i / 6, 0.5 - rise, 0.06)
    for shift in (-0.09, 0.01, 0.11):
        cast.trail([(0.57, 0.29 + shift), (0.68, 0.32 + shift)])
    cast.afloat(0.81, 0.34, 0.34, lean=20)
    cast.prop("glove", 0.39, 0.58, 0.13)


def _imagines(cast: Cast) -> None:
    cast.actor(0.26, FLOOR, 0.47)
    cast.prop("thought dot", 0.47, 0.57, 0.09)
    cast.prop("thought dot", 0.41, 0.65, 0.06)
    cast.prop("thought", 0.65, 0.31, 0.68)
    cast.afloat(0.65, 0.31, 0.35)


ACTION_PAINTERS: dict[str, Callable[[Cast], None]] = {
    "rides": _rides, "paints": _paints, "finds": _finds, "juggles": _juggles,
    "pulls": _pulls, "cuts": _cuts, "washes": _washes, "cooks": _cooks,
    "buries": _buries, "balances": _balances, "throws": _throws, "imagines": _imagines,
}  # fmt: skip
"""Action -> its layout."""
