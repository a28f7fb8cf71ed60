"""A widget: choose a place on a picture, read what the model says with its heads pointed there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from gazeheads.boxes import RegionError
from gazeheads.data.pictures import open_image
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.html_parts import image_uri
from gazeheads.models.asking import NEVER_SAW, never_saw
from gazeheads.prompts import DESCRIBE_REGION, VQA

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import ImageLike
    from gazeheads.regions import Region

_HERE = Path(__file__).parent
_PLACES = ("box", "panel", "schedule")
PLAIN_TOKENS, SCHEDULE_TOKENS = 24, 48


class BoxWidget(anywidget.AnyWidget):
    """A picture, the place chosen on it, and what the model says about it.

    The place is a box that is drawn, a panel of a strip, or several panels in turn: a schedule.
    Set from Python they are shown and answered too; the one set last counts.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright picture; empty: none is drawn.
        panel: of a strip, from 1; 0: none is chosen.
        schedule: panels looked at in turn, for equal parts of the text; empty: none.
        panels: x0, y0, x1, y1 of every panel of a strip; empty for other pictures.
        question: asked about the place; a changed one is asked at once.
        answer: the model's.
        problem: why there is none, in a line; empty: there is one.
        note: what has to be said about the model on this picture.

    Example:
        >>> widget = BoxWidget(vlm, "photo.jpg")
        >>> widget.box = [40, 60, 200, 220]
        >>> answer = widget.answer
        >>> BoxWidget(vlm, draw_strips(1, seed=0)[0]).schedule = [4, 2, 6]
    """

    _esm = _HERE / "box_widget.js"
    _css = _HERE / "box_widget.css"
    picture = traitlets.Unicode().tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    box = traitlets.List(traitlets.Float()).tag(sync=True)
    panels = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)
    panel = traitlets.Int(0).tag(sync=True)
    schedule = traitlets.List(traitlets.Int()).tag(sync=True)
    question = traitlets.Unicode(DESCRIBE_REGION).tag(sync=True)
    answer = traitlets.Unicode().tag(sync=True)
    plain = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(self, vlm: VLM, image: ImageLike | Strip, **options: Any) -> None:
        """Shows a picture.

        Args:
            vlm: the model.
            image: the picture, or a strip whose panels can be chosen.
            options: of `VLM.describe`, such as `heads` and `closer`.
        """
        strip = image if isinstance(image, Strip) else None
        shown: Any = image if strip is None else strip.image
        note = NEVER_SAW if never_saw(vlm, shown) else ""
        self._vlm, self._options, self._strip = vlm, options, strip
        self._image = open_image(shown)
        super().__init__(
            picture=image_uri(self._image),
            size=list(self._image.size),
            panels=[list(map(float, each.boxes[0])) for each in strip.regions] if strip else [],
            question=DESCRIBE_REGION if strip is None else VQA,
            note=note,
        )
        self.observe(self._placed, names=list(_PLACES))
        self.observe(self._answer, names=["question"])

    def _placed(self, change: Any) -> None:
        """One place at a time: what was chosen before goes."""
        if not change["new"] and any(getattr(self, name) for name in _PLACES):
            return  # it went because another came
        for name in _PLACES:
            if name != change["name"]:
                setattr(self, name, 0 if name == "panel" else [])
        self._answer(change)

    def _answer(self, change: Any) -> None:
        """Answers; a place that cannot be looked at is told in a line and keeps nothing old."""
        del change
        self.answer = self.plain = self.problem = ""
        if not any(getattr(self, name) for name in _PLACES):
            return
        try:
            answer = self._in_turn() if self.schedule else self._at(self._place())
            plain = self._vlm.ask(self._image, self.question, max_new_tokens=PLAIN_TOKENS)
            self.answer, self.plain = answer.strip(), plain.strip()
        except GazeheadsError as error:
            self.problem = str(error)

    def _place(self) -> Region | tuple[float, ...]:
        if self.panel:
            return self._panel(self.panel)
        if len(self.box) != 4:
            raise RegionError(f"a box is x0, y0, x1, y1, not {self.box}")
        return tuple(self.box)

    def _panel(self, number: int) -> Region:
        if self._strip is None:
            raise RegionError("this picture has no panels: give the widget a strip, or draw a box")
        return self._strip.panel(number)

    def _at(self, place: Region | Sequence[float]) -> str:
        return self._vlm.describe(self._image, place, self.question, **self._options)

    def _in_turn(self) -> str:
        places = [self._panel(number) for number in self.schedule]
        # a text about several panels is longer, and no part of the picture is cut out for it
        own = {name: value for name, value in self._options.items() if name != "closer"}
        options = {"max_new_tokens": SCHEDULE_TOKENS, **own}
        return self._vlm.ask(self._image, self.question, places, **options)
