"""The experiment `small-regions`: naming small objects, with remedies and what people do today.

A box that holds the centre of no image token cannot be pointed at, one of a single token hardly:
the study's weak spot (61.7% of small boxes against 80.3% of large ones). Beside pointing as it is
stand a wider target, a window around the box, and a cut-out as a second image; and without
steering: the cut-out alone, a box drawn into the picture, coordinates in the question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gazeheads import prompts
from gazeheads.data.drawn.scenes import draw_scene
from gazeheads.data.objects import NaturalPicture, Thing
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.regions import Region, UncoveredError
from gazeheads.study.experiment import Command, Experiment, NoOptions, Work, register
from gazeheads.study.experiments.counting import GAZE
from gazeheads.study.experiments.natural import pictures_fingerprint
from gazeheads.study.identity import model_fingerprint
from gazeheads.study.runs import RunFolder
from gazeheads.study.schema import Record, Stored
from gazeheads.study.stats import share_of

if TYPE_CHECKING:
    from PIL import Image

    from gazeheads.models import VLM
    from gazeheads.models.inputs import Inputs
    from gazeheads.steering import Steering
    from gazeheads.study.context import ExperimentContext

    Row = tuple[Inputs, Steering | None]

EXPERIMENT = "small-regions"
STEERED = ("pointed at", "wider", "zoom", "crop as second image")
OTHERS = ("crop alone", "box drawn", "coordinates", "nothing said")
WAYS = (*STEERED, *OTHERS)
CLASSES = ("0", "1", "2-3", "4-8", "9 or more")
"""Image tokens whose centre lies in the box."""
EDGE = 448
SIDES = ((0.05, 0.15), (0.16, 0.45))
"""Of the objects of scenes in turn, as shares of the edge."""


@dataclass(frozen=True)
class SmallRegionsSettings:
    """Settings of the experiment.

    Attributes:
        prompt, max_new_tokens: the question.
        delta: strength.
        seed: of the scenes.
    """

    prompt: str = prompts.COCO
    max_new_tokens: int = 15
    delta: float = 10_000.0
    seed: int = 0


class SmallThing(Stored):
    """One object: how many tokens its box holds, what was answered, and whether that names it.

    `answers` lacks what cannot be done: no token under the target.
    """

    name: str
    box: tuple[float, float, float, float]
    tokens: int
    answers: dict[str, str]
    named: dict[str, bool]


class SmallRegionsRecord(Record):
    """One scene."""

    things: list[SmallThing]


def small_scenes(count: int, seed: int) -> list[NaturalPicture]:
    """Scenes whose objects are small and usual in turn; scene i depends on (seed, i) only."""
    found = []
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        scene = draw_scene(rng, (EDGE, EDGE), sides=SIDES[i % len(SIDES)])
        things = tuple(Thing(each.name, each.box) for each in scene.objects)
        found.append(NaturalPicture(f"scene-{seed}-{i:04}", scene.image, things))
    return found


def _run(context: ExperimentContext, options: NoOptions) -> list[RunFolder]:
    """The gaze at small and larger objects, by every remedy."""
    del options
    heads = context.scores.top(context.k)
    delta = heads.delta or SmallRegionsSettings.delta
    return [run(context, heads, SmallRegionsSettings(delta=delta, seed=context.seed))]


def run(context: ExperimentContext, heads: HeadSet, settings: SmallRegionsSettings) -> RunFolder:
    """Asks about every object in every way; goes on where an earlier run stopped."""
    vlm = context.vlm
    pictures = small_scenes(context.limit, settings.seed)
    whole = {
        **asdict(settings),
        "pictures": len(pictures),
        "pictures_mark": pictures_fingerprint(pictures),
        "model_mark": model_fingerprint(vlm),
        "head_sets": {GAZE: [str(head) for head in heads]},
        **context.options.heads_from,
    }

    batch = context.options.batch_size

    def work(folder: RunFolder) -> list[Work[NaturalPicture]]:
        def do(part: Sequence[NaturalPicture]) -> list[dict[str, Any]]:
            return [_record(vlm, part[0], heads, settings, batch)]

        return [Work([(each.id, each) for each in pictures], do)]

    announced = context.announced("Pointing at small regions")
    return SMALL_REGIONS.carry_out(vlm.name, whole, announced, work)


def _record(
    vlm: VLM,
    picture: NaturalPicture,
    heads: HeadSet,
    settings: SmallRegionsSettings,
    batch_size: int,
) -> dict[str, Any]:
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch

    asked: list[tuple[int, str, Any]] = []
    tokens = vlm.encode(picture.image, settings.prompt).tokens
    for number, thing in enumerate(picture.things):
        for name, make in _ways(vlm, picture.image, thing.region, heads, settings).items():
            try:
                encoded, steering = make()
                for each in steering or ():
                    each.on(encoded.tokens, (vlm.num_layers, vlm.num_heads), len(encoded))
            except UncoveredError:
                continue
            asked.append((number, name, (encoded, steering)))
    length = settings.max_new_tokens
    done = halving(
        lambda part: vlm.generate(part, max_new_tokens=length),
        [row for *_, row in asked],
        batch_size,
    )
    things = []
    for number, thing in enumerate(picture.things):
        texts = {
            name: said.text.strip()
            for (own, name, _), said in zip(asked, done, strict=True)
            if own == number
        }
        things.append(
            {
                "name": thing.name,
                "box": list(thing.box),
                "tokens": _tokens_in(tokens, thing.region),
                "answers": texts,
                "named": {name: thing.is_named(text) for name, text in texts.items()},
            }
        )
    return {"things": things}


def _tokens_in(tokens: Any, region: Region) -> int:
    try:
        return len(tokens.indices(region))
    except UncoveredError:
        return 0


def _ways(
    vlm: VLM, image: Image.Image, region: Region, heads: HeadSet, settings: SmallRegionsSettings
) -> dict[str, Callable[[], Any]]:
    """By name what makes a prompt and its steerings."""
    from gazeheads.models.closer import bounds, closer_look, outlined, widened  # noqa: PLC0415
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    question = settings.prompt

    def at(where: Region) -> Steering:
        return Steering(heads, where, settings.delta, when="prefill")

    def look(how: Any) -> Callable[[], Any]:
        def make() -> Any:
            images, where = closer_look(image, region, how)
            return vlm.encode(images, question), [at(where)]

        return make

    def plain(shown: Image.Image, said: str = question) -> Callable[[], Any]:
        return lambda: (vlm.encode(shown, said), None)

    wider = Region.from_box(*widened(bounds(region), 0.5, image.size))
    box = ", ".join(f"{edge:.0f}" for edge in bounds(region))
    ways = (
        look("none"), lambda: (vlm.encode(image, question), [at(wider)]),
        look("zoom"), look("crop"),
        plain(image.crop(widened(bounds(region), 0.0, image.size))),
        plain(outlined(image, region)), plain(image, f"{question} The part is the box {box}."),
        plain(image),
    )  # fmt: skip
    return dict(zip(WAYS, ways, strict=True))


def class_of(tokens: int) -> str:
    """The class of a box by the tokens it holds."""
    return CLASSES[sum(tokens > most for most in (0, 1, 3, 8))]


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: by tokens in the box and by way the share named.

    What cannot be done counts as missed.
    """
    records = folder.ordered()
    if not any(record["things"] for record in records):
        raise GazeheadsError("no objects to point at")
    return {
        "classes": [
            {
                "name": name,
                "boxes": sum(len(_of_class(record, name)) for record in records),
                "named": {way: _share(records, name, way) for way in WAYS},
            }
            for name in (*CLASSES, "all")
        ]
    }


def _of_class(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in record["things"] if name in ("all", class_of(each["tokens"]))]


def _share(records: Sequence[dict[str, Any]], name: str, way: str) -> dict[str, Any] | None:
    own = [[each["named"].get(way, False) for each in _of_class(r, name)] for r in records]
    return share_of(own).as_dict() if any(own) else None


SMALL_REGIONS = register(
    Experiment(
        EXPERIMENT,
        "Small objects named, with remedies and without steering",
        SmallRegionsSettings,
        results,
        SmallRegionsRecord,
        Command(
            EXPERIMENT,
            "Name small objects: remedies, and what is done without steering.",
            _run,
            judges=False,
            draws_strips=True,
            place=92,
            full=(NoOptions(),),
            quick=(NoOptions(),),
        ),
    )
)
