"""The experiment `grounding`: phrases located in pictures with known boxes.

Beside each other: what the model names where its heads look (`locating.naming`), with the gaze
heads and with random ones; where the gaze heads look when the question names the phrase; and the
published pipeline of localization heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from gazeheads import prompts
from gazeheads.data.coco import coco_annotations, coco_pictures
from gazeheads.data.drawn.truth import CHARACTERS, THINGS
from gazeheads.data.objects import COCO, SCENES, NaturalPicture, ObjectPictures, drawn_pictures
from gazeheads.data.refcoco import refcoco_files, refcoco_pictures
from gazeheads.errors import GazeheadsError
from gazeheads.locating.cells import MOST
from gazeheads.locating.located import LOCALIZATION
from gazeheads.study.experiment import Command, Experiment, Option, Work, register
from gazeheads.study.experiments.controls import DRAWS, Draws, control_heads
from gazeheads.study.experiments.counting import GAZE
from gazeheads.study.experiments.grounding_summary import results
from gazeheads.study.experiments.grounding_work import HeadsOfMethods, picture_record
from gazeheads.study.experiments.natural import pictures_fingerprint, say_doubt
from gazeheads.study.identity import model_fingerprint
from gazeheads.study.runs import RunFolder
from gazeheads.study.schema import Record, Stored

if TYPE_CHECKING:
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "grounding"


@dataclass(frozen=True)
class GroundingSettings:
    """Settings of the experiment.

    Attributes:
        source: of the pictures.
        prompt: of the question that does not name the phrase.
        cells: along an edge, at most.
        draws: random head sets beside the gaze heads.
        draw_pictures: how many pictures those are measured on.
        seed: of the pictures, the random heads and the phrases of what is not there.
    """

    source: str
    prompt: str = prompts.COCO
    cells: int = MOST
    draws: int = DRAWS
    draw_pictures: int = 4
    seed: int = 0


class Place(Stored):
    """Where a method puts a phrase: see `Located`."""

    box: tuple[float, float, float, float]
    point: tuple[float, float]
    peak: tuple[float, float]
    score: float


class LocatedPhrase(Stored):
    """A phrase and the box it stands for.

    Attributes:
        name, size, box: of the object.
        unsayable: why the model cannot say the phrase; None: it can.
        places: by method.
        random: of each set of random heads, on pictures that they are measured on.
    """

    name: str
    size: str
    box: tuple[float, float, float, float]
    unsayable: str | None = None
    places: dict[str, Place] = Field(default_factory=dict)
    random: list[Place] = Field(default_factory=list)


class GroundingRecord(Record):
    """One picture.

    Attributes:
        phrases: of what is in it.
        absent: a phrase for something that is not, and its score; None: none is known.
    """

    phrases: list[LocatedPhrase]
    absent: tuple[str, float] | None = None


@dataclass(frozen=True)
class GroundingOptions:
    """Options of the command.

    Attributes:
        coco: folder in the format of COCO val2017.
        refcoco: folder of RefCOCO, RefCOCO+ or RefCOCOg; neither: drawn scenes.
        split: of RefCOCO.
        draws: random head sets.
        each: pictures; None: as many as are asked for.
    """

    coco: Annotated[
        Path | None, Option("Folder of COCO val2017, or of composites; default: drawn scenes.")
    ] = None
    refcoco: Annotated[
        Path | None, Option("Folder of RefCOCO, RefCOCO+ or RefCOCOg (refs(...).p ...).")
    ] = None
    split: Annotated[str, Option("Of --refcoco: val, testA, testB, test.")] = "val"
    draws: Draws = DRAWS
    each: int | None = None

    def __post_init__(self) -> None:
        if self.coco is not None and self.refcoco is not None:
            raise GazeheadsError("name either --coco or --refcoco, not both")
        if self.coco is not None:
            coco_annotations(self.coco)
        if self.refcoco is not None:
            refcoco_files(self.refcoco)

    def pictures(self, count: int, seed: int) -> tuple[str, ObjectPictures]:
        """What they are, and the pictures themselves."""
        if self.coco is not None:
            return COCO, coco_pictures(self.coco, count, seed)
        if self.refcoco is not None:
            name = f"{self.refcoco.resolve().name} {self.split}"
            return name, refcoco_pictures(self.refcoco, self.split, count, seed)
        return SCENES, ObjectPictures(tuple(drawn_pictures(count, seed)))


def _run(context: ExperimentContext, options: GroundingOptions) -> list[RunFolder]:
    """Phrases located in pictures."""
    from gazeheads.locating.attending import default_localization_heads  # noqa: PLC0415 - torch

    count = options.each or context.limit
    source, pictures = options.pictures(count, context.seed)
    say_doubt(context.vlm, source == SCENES)
    settings = GroundingSettings(source, draws=options.draws, seed=context.seed)
    drawn = control_heads(context.scores, context.k, options.draws, context.seed, "matched")
    localization = default_localization_heads(context.vlm, context.seed)
    heads = HeadsOfMethods(context.scores.top(context.k), localization, drawn)
    return [run(context, pictures, heads, settings)]


def run(
    context: ExperimentContext,
    pictures: ObjectPictures,
    heads: HeadsOfMethods,
    settings: GroundingSettings,
) -> RunFolder:
    """Locates every phrase; goes on where an earlier run stopped."""
    vlm = context.vlm
    sets = {GAZE: heads.gaze, LOCALIZATION: heads.localization}
    whole = {
        **asdict(settings),
        "pictures": len(pictures),
        "pictures_mark": pictures_fingerprint(pictures.pictures),
        "model_mark": model_fingerprint(vlm),
        "head_sets": {name: [str(head) for head in each] for name, each in sets.items()},
        "random_sets": [[str(head) for head in each] for each in heads.random],
        **context.options.heads_from,
        "left_out": [asdict(each) for each in pictures.left_out],
    }
    names = sorted({thing.name for picture in pictures for thing in picture.things})
    candidates = [*CHARACTERS, *THINGS] if settings.source == SCENES else names
    measured = {each.id for each in pictures[: settings.draw_pictures]}

    def do(part: Sequence[NaturalPicture]) -> list[dict[str, Any]]:
        own = part[0]
        random = heads.random if own.id in measured else ()
        absent = absent_phrase(own, candidates, settings)
        asked = settings.prompt, settings.cells
        return [picture_record(vlm, own, heads, random, absent, *asked)]

    def work(folder: RunFolder) -> list[Work[NaturalPicture]]:
        return [Work([(each.id, each) for each in pictures], do)]

    return GROUNDING.carry_out(vlm.name, whole, context.announced("Locating phrases"), work)


def absent_phrase(
    picture: NaturalPicture, candidates: Sequence[str], settings: GroundingSettings
) -> str | None:
    """A phrase for nothing in the picture; of expressions nobody knows one."""
    if settings.source not in (SCENES, COCO):
        return None
    there = {thing.name for thing in picture.things} | set(picture.others)
    others = [name for name in candidates if name not in there]
    if not others:
        return None
    marks = [ord(letter) for letter in picture.id]
    return others[int(np.random.default_rng((settings.seed, *marks)).integers(len(others)))]


GROUNDING = register(
    Experiment(
        EXPERIMENT,
        "Phrases located in pictures with known boxes",
        GroundingSettings,
        results,
        GroundingRecord,
        Command(
            "grounding",
            "Locate phrases in pictures with known boxes, by several methods.",
            _run,
            GroundingOptions,
            judges=False,
            draws_strips=True,
            place=95,
            full=(GroundingOptions(each=20),),
            quick=(GroundingOptions(each=2, draws=2),),
        ),
    )
)
