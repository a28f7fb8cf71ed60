"""Natural pictures: the gaze pointed at one object, by the size of its box."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from gazeheads import prompts
from gazeheads.data.objects import CLASSES, NaturalPicture
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.regions import RegionError
from gazeheads.study.identity import model_mark, versions
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.stats import share

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import Encoded

EXPERIMENT = "coco"
UNSTEERED = "unsteered"


@dataclass(frozen=True)
class NaturalSettings:
    """Settings of `run`.

    Attributes:
        source: "COCO val2017" or "drawn scenes".
        prompt, max_new_tokens: the question.
        mode, delta: of the steering; the defaults are the study's.
        seed: of the pictures and of the random heads.
    """

    source: str
    prompt: str = prompts.COCO
    max_new_tokens: int = 15
    mode: Literal["soft", "hard", "paper"] = "paper"
    delta: float = 10_000.0
    seed: int = 0


def run(
    vlm: VLM,
    pictures: Sequence[NaturalPicture],
    head_sets: Mapping[str, HeadSet],
    settings: NaturalSettings,
    options: RunOptions,
) -> RunFolder:
    """Asks about every object of every picture; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        pictures: with objects.
        head_sets: heads to steer, by name.
        settings: see there.
        options: where to and how.
    """
    if not pictures:
        raise GazeheadsError("no pictures with objects to point at")
    whole = {
        **asdict(settings),
        "pictures": len(pictures),
        "pictures_mark": _mark(pictures),
        "model_mark": model_mark(vlm),
        "head_sets": {name: [[str(h) for h in heads]] for name, heads in head_sets.items()},
    }
    with RunFolder.open(options, EXPERIMENT, vlm.name, whole, versions()) as folder:

        def do(part: Sequence[NaturalPicture]) -> list[dict[str, Any]]:
            return [_record(vlm, part[0], head_sets, settings, options.batch_size)]

        folder.work([(p.id, p) for p in pictures], do, options.progress)
        folder.finish(results)
    return folder


def _mark(pictures: Sequence[NaturalPicture]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        things = [[thing.name, list(thing.box)] for thing in picture.things]
        digest.update(json.dumps([picture.id, picture.image.size, things]).encode())
        digest.update(picture.image.tobytes())
    return digest.hexdigest()[:12]


def _record(
    vlm: VLM,
    picture: NaturalPicture,
    head_sets: Mapping[str, HeadSet],
    settings: NaturalSettings,
    batch_size: int,
) -> dict[str, Any]:
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(picture.image, settings.prompt)
    covered = {i for i, thing in enumerate(picture.things) if _has_tokens(encoded, thing.region)}
    places = [(name, i) for name in head_sets for i in sorted(covered)]
    rows: list[Any] = [(encoded, None)]
    for name, i in places:
        region = picture.things[i].region
        rows.append((encoded, Steering(head_sets[name], region, settings.delta, settings.mode)))
    done = halving(
        lambda part: vlm.generate(part, max_new_tokens=settings.max_new_tokens), rows, batch_size
    )
    unsteered, *texts = (generation.text.strip() for generation in done)
    said = dict(zip(places, texts, strict=True))
    return {
        "unsteered": unsteered,
        "things": [
            {
                "name": thing.name,
                "size": thing.size,
                "box": list(thing.box),
                "covered": i in covered,
                "answers": {name: said.get((name, i), "") for name in head_sets},
                "named": {
                    UNSTEERED: thing.is_named(unsteered),
                    **{name: thing.is_named(said.get((name, i), "")) for name in head_sets},
                },
            }
            for i, thing in enumerate(picture.things)
        ],
    }


def _has_tokens(encoded: Encoded, region: Any) -> bool:
    """Whether the centre of any image token lies in the box; the study's rule."""
    try:
        encoded.tokens.indices(region)
    except RegionError:
        return False
    return True


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: by size class how often the answer names the object pointed at.

    A box without the centre of any image token cannot be pointed at and counts as missed.
    """
    records = folder.ordered()
    names = [UNSTEERED, *folder.settings["head_sets"]]
    return {
        "heads": {name: len(draws[0]) for name, draws in folder.settings["head_sets"].items()},
        "classes": [
            {
                "name": size,
                "boxes": _count(records, size, None),
                "without_tokens": _count(records, size, False),
                "accuracy": {name: _accuracy(records, size, name) for name in names},
            }
            for size in (*CLASSES, "overall")
        ],
    }


def _of_size(record: dict[str, Any], size: str) -> list[dict[str, Any]]:
    return [thing for thing in record["things"] if size in (thing["size"], "overall")]


def _count(records: Sequence[dict[str, Any]], size: str, covered: bool | None) -> int:
    return sum(
        covered is None or thing["covered"] == covered
        for record in records
        for thing in _of_size(record, size)
    )


def _accuracy(records: Sequence[dict[str, Any]], size: str, name: str) -> dict[str, Any]:
    own = [[thing["named"][name] for thing in _of_size(record, size)] for record in records]
    return share([sum(each) for each in own], [len(each) for each in own]).as_dict()
