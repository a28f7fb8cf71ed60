"""The experiment `coco`: what `natural` measures, on COCO's pictures or on drawn scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict

from gazeheads.data import objects
from gazeheads.data.coco import coco_annotations, coco_pictures
from gazeheads.data.objects import SCENES, ObjectPictures, drawn_pictures
from gazeheads.study import published
from gazeheads.study.experiment import Command, Experiment, Option, register
from gazeheads.study.experiments import natural
from gazeheads.study.experiments.controls import control_heads
from gazeheads.study.experiments.counting import GAZE, RANDOM
from gazeheads.study.experiments.natural import NaturalSettings, say_doubt
from gazeheads.study.runs import RunFolder
from gazeheads.study.schema import Record, Stored

if TYPE_CHECKING:
    from gazeheads.study.context import ExperimentContext


class ThingRecord(Stored):
    """One object of a picture, pointed at.

    Attributes:
        name, size: its category and the class of its size.
        box: x0, y0, x1, y1 in pixels.
        covered: whether the box holds the centre of an image token.
        why_not: why it cannot be pointed at; None: it can, or the run does not say.
        answers: by head set.
        named: by head set, and unsteered, whether the answer names it.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    size: str
    box: tuple[float, float, float, float]
    covered: bool
    why_not: str | None = None
    answers: dict[str, str]
    named: dict[str, bool]


class PictureRecord(Record):
    """One picture: what was answered unsteered, and its objects."""

    model_config = ConfigDict(extra="allow")

    unsteered: str
    things: list[ThingRecord]


@dataclass(frozen=True)
class CocoOptions:
    """Options of the command.

    Attributes:
        folder: of COCO val2017; None: drawn scenes.
        each: pictures; None: as many as are asked for.
    """

    folder: Annotated[
        Path | None, Option("Folder of COCO val2017; default: drawn scenes.", name="--coco")
    ] = None
    each: int | None = None

    def __post_init__(self) -> None:
        if self.folder is not None:
            coco_annotations(self.folder)


def _pointed(context: ExperimentContext, options: CocoOptions) -> list[RunFolder]:
    """The gaze pointed at single objects, of COCO or of drawn scenes."""
    count = options.each or context.limit
    if options.folder is None:
        source = SCENES
        pictures = ObjectPictures(tuple(drawn_pictures(count, context.seed)))
    else:
        source, pictures = objects.COCO, coco_pictures(options.folder, count, context.seed)
    say_doubt(context.vlm, options.folder is None)
    sets = {GAZE: context.scores.top(context.k)}
    if drawn := control_heads(context.scores, context.k, 1, context.seed, "matched"):
        sets[RANDOM] = drawn[0]
    settings = NaturalSettings(source, seed=context.seed)
    announced = context.announced(f"Pointing at objects of {source}")
    return [natural.run(context.vlm, pictures, sets, settings, announced)]


COCO = register(
    Experiment(
        natural.EXPERIMENT,
        "The gaze pointed at single objects of a picture",
        NaturalSettings,
        natural.results,
        PictureRecord,
        Command(
            "coco",
            "Point the gaze at single objects, by the size of their boxes.",
            _pointed,
            CocoOptions,
            judges=False,
            place=90,
            full=(CocoOptions(each=30),),
            quick=(CocoOptions(each=4),),
        ),
        {"accuracy": published.COCO},
    )
)
