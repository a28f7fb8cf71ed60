"""Natural pictures: the gaze pointed at one object, by the size of its box."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from gazeheads import prompts
from gazeheads.boxes import OutsideError
from gazeheads.data.objects import CLASSES, LeftOut, NaturalPicture, ObjectPictures
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.heads import HeadSet
from gazeheads.regions import CroppedError, Region, UncoveredError
from gazeheads.study.identity import model_fingerprint, versions
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.shared import options_for_shared
from gazeheads.study.stats import share_of

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.inputs import Encoded

EXPERIMENT = "coco"
UNSTEERED = "unsteered"
TOO_SMALL, CROPPED, OUTSIDE = "too small", "not in the crop", "outside"
WHY_NOT = (TOO_SMALL, CROPPED, OUTSIDE)
"""A box holds the centre of no image token; lies where the processor cut the picture off; lies
outside the picture."""


@dataclass(frozen=True)
class NaturalSettings:
    """Settings of `run`.

    Attributes:
        source: "COCO val2017" or "drawn scenes".
        prompt, max_new_tokens: the question.
        mode, delta, when: of the steering; the defaults are the study's.
        seed: of the pictures and of the random heads.
    """

    source: str
    prompt: str = prompts.COCO
    max_new_tokens: int = 15
    mode: Literal["soft", "hard", "paper", "within"] = "paper"
    delta: float = 10_000.0
    when: Literal["prefill", "decode", "both"] = "both"
    seed: int = 0


def run(
    vlm: VLM,
    pictures: Sequence[NaturalPicture],
    head_sets: Mapping[str, HeadSet],
    settings: NaturalSettings,
    options: RunOptions,
    shared: bool = False,
) -> RunFolder:
    """Asks about every object of every picture; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        pictures: with objects; what was left out of an `ObjectPictures` is told in the summary.
        head_sets: heads to steer, by name.
        settings: see there.
        options: where to and how.
        shared: another job builds on it: see `options_for_shared`.
    """
    if not pictures:
        raise GazeheadsError("no pictures with objects to point at")
    whole = {
        **asdict(settings),
        "pictures": len(pictures),
        "pictures_mark": pictures_fingerprint(pictures),
        "model_mark": model_fingerprint(vlm),
        "head_sets": {name: [[str(h) for h in heads]] for name, heads in head_sets.items()},
        **options.heads_from,
    }
    if isinstance(pictures, ObjectPictures) and pictures.left_out:
        whole["left_out"] = [asdict(each) for each in pictures.left_out]
    if shared:
        options = options_for_shared(options, EXPERIMENT, vlm.name, whole, claims=True)
    with RunFolder.open(options, EXPERIMENT, vlm.name, whole, versions()) as folder:

        def do(part: Sequence[NaturalPicture]) -> list[dict[str, Any]]:
            return [_record(vlm, part[0], head_sets, settings, options.batch_size)]

        folder.work([(p.id, p) for p in pictures], do, options.progress)
        folder.finish(results)
    return folder


def say_doubt(vlm: VLM, drawn: bool) -> None:
    """Warns of what has to be said about a model's texts on pictures, if anything.

    Args:
        vlm: the model.
        drawn: whether they are drawn by this package.
    """
    from gazeheads.models.asking import doubt  # noqa: PLC0415 - loads torch

    if said := doubt(vlm, drawn):
        warnings.warn(said, GazeheadsWarning, stacklevel=2)


def pictures_fingerprint(pictures: Sequence[NaturalPicture]) -> str:
    """Of pictures, their pixels and their boxes."""
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
    uncovered = {
        i: why
        for i, thing in enumerate(picture.things)
        if (why := _why_uncovered(encoded, thing.region))
    }
    covered = set(range(len(picture.things))) - set(uncovered)
    places = [(name, i) for name in head_sets for i in sorted(covered)]
    rows: list[Any] = [(encoded, None)]
    for name, i in places:
        region = picture.things[i].region
        how = settings.delta, settings.mode, settings.when
        rows.append((encoded, Steering(head_sets[name], region, *how)))
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
                "why_not": uncovered.get(i),
                "answers": {name: said.get((name, i), "") for name in head_sets},
                "named": {
                    UNSTEERED: thing.is_named(unsteered),
                    **{name: thing.is_named(said.get((name, i), "")) for name in head_sets},
                },
            }
            for i, thing in enumerate(picture.things)
        ],
    }


def _why_uncovered(encoded: Encoded, region: Region) -> str | None:
    """Why a box cannot be pointed at by the study's rule, one of `WHY_NOT`; None if it can."""
    try:
        encoded.tokens.indices(region)
    except CroppedError:
        return CROPPED
    except UncoveredError:
        return TOO_SMALL
    except OutsideError:
        return OUTSIDE
    return None


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: by size class how often the answer names the object pointed at.

    A box without the centre of any image token cannot be pointed at and counts as missed; so does
    one that the processor cut off. A box outside its picture counts for nothing, and a class
    without boxes has no accuracy.
    """
    records = folder.ordered()
    names = [UNSTEERED, *folder.settings["head_sets"]]
    return {
        "heads": {name: len(draws[0]) for name, draws in folder.settings["head_sets"].items()},
        "classes": [
            {
                "name": size,
                "boxes": len(_boxes(records, size)),
                "without_tokens": len(_boxes(records, size, TOO_SMALL)),
                "cropped": len(_boxes(records, size, CROPPED)),
                "accuracy": {name: _accuracy(records, size, name) for name in names},
            }
            for size in (*CLASSES, "overall")
        ],
        "left_out": [*folder.settings.get("left_out", ()), *_outside(records)],
    }


def _why_not(thing: Mapping[str, Any]) -> str | None:
    """Why a box was not pointed at; records of before tell no more than that."""
    return None if thing["covered"] else thing.get("why_not", TOO_SMALL)


def _of_size(record: Mapping[str, Any], size: str) -> list[dict[str, Any]]:
    return [
        thing
        for thing in record["things"]
        if size in (thing["size"], "overall") and _why_not(thing) != OUTSIDE
    ]


def _boxes(
    records: Sequence[Mapping[str, Any]], size: str, why_not: str | None = None
) -> list[dict[str, Any]]:
    """Boxes of a class; all of them, or those that could not be pointed at for a reason."""
    every = [thing for record in records for thing in _of_size(record, size)]
    return [thing for thing in every if why_not is None or _why_not(thing) == why_not]


def _outside(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [
        record["unit"]
        for record in records
        for thing in record["things"]
        if _why_not(thing) == OUTSIDE
    ]
    reason = "outside the picture"
    return [asdict(LeftOut("box", reason, len(found), found[0]))] if found else []


def _accuracy(records: Sequence[Mapping[str, Any]], size: str, name: str) -> dict[str, Any] | None:
    own = [[thing["named"][name] for thing in _of_size(record, size)] for record in records]
    if not any(own):
        return None
    return share_of(own).as_dict()
