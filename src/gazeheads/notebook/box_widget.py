"""A widget: draw a box on a picture, read what the model says with its heads pointed there."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from gazeheads.boxes import RegionError
from gazeheads.data.pictures import open_image
from gazeheads.errors import GazeheadsError
from gazeheads.models.asking import NEVER_SAW, never_saw
from gazeheads.prompts import DESCRIBE_REGION

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.models import VLM
    from gazeheads.models.inputs import ImageLike

_HERE = Path(__file__).parent


class BoxWidget(anywidget.AnyWidget):
    """A picture; the box drawn on it, and what the model says about it.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright picture; empty: none is drawn. Set from Python
            it is drawn and answered too.
        question: asked about the box; a changed one is asked at once.
        answer: the model's.
        problem: why there is none, in a line; empty: there is one.
        note: what has to be said about the model on this picture.

    Example:
        >>> widget = BoxWidget(vlm, "photo.jpg")
        >>> widget.box = [40, 60, 200, 220]
        >>> widget.answer
    """

    _esm = _HERE / "box_widget.js"
    _css = _HERE / "box_widget.css"
    picture = traitlets.Unicode().tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    box = traitlets.List(traitlets.Float()).tag(sync=True)
    question = traitlets.Unicode(DESCRIBE_REGION).tag(sync=True)
    answer = traitlets.Unicode().tag(sync=True)
    plain = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(self, vlm: VLM, image: ImageLike, **options: Any) -> None:
        """Shows a picture.

        Args:
            vlm: the model.
            image: the picture.
            options: of `VLM.describe`, such as `heads` and `closer`.
        """
        note = NEVER_SAW if never_saw(vlm, image) else ""
        self._vlm, self._options = vlm, options
        self._image = open_image(image)
        super().__init__(picture=data_uri(self._image), size=list(self._image.size), note=note)
        self.observe(self._asked, names=["box", "question"])

    def _asked(self, change: Any) -> None:
        """Answers; a box that cannot be looked at is told in a line and keeps nothing old."""
        del change
        self.answer = self.plain = self.problem = ""
        if not self.box:
            return
        try:
            if len(self.box) != 4:
                raise RegionError(f"a box is x0, y0, x1, y1, not {self.box}")
            self.plain = self._vlm.ask(self._image, self.question, max_new_tokens=24).strip()
            box = tuple(self.box)
            self.answer = self._vlm.describe(
                self._image, box, self.question, **self._options
            ).strip()
        except GazeheadsError as error:
            self.plain = ""
            self.problem = str(error)


def data_uri(image: Image.Image) -> str:
    """A picture as an address that holds it, PNG."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
