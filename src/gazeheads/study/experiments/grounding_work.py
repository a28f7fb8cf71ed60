"""What `grounding` does with one picture: every phrase located by every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gazeheads.data.objects import NaturalPicture
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.locating.located import ATTENTION, LOCALIZATION, NAMING, Located

if TYPE_CHECKING:
    from gazeheads.models import VLM


@dataclass(frozen=True, eq=False)
class HeadsOfMethods:
    """The heads of every method.

    Attributes:
        gaze: pointed, and whose attention is read.
        localization: of the published pipeline.
        random: sets that are pointed as a control.
    """

    gaze: HeadSet
    localization: HeadSet
    random: tuple[HeadSet, ...]


def picture_record(
    vlm: VLM,
    picture: NaturalPicture,
    heads: HeadsOfMethods,
    random: Sequence[HeadSet],
    absent: str | None,
    prompt: str,
    cells: int,
) -> dict[str, Any]:
    """The record of one picture.

    Args:
        vlm: the model.
        picture: with its things.
        heads: of the methods.
        random: random sets that are pointed too, if any.
        absent: a phrase for nothing in it.
        prompt: the question that does not name the phrase.
        cells: along an edge, at most.
    """
    from gazeheads.locating.attending import attended  # noqa: PLC0415 - loads torch
    from gazeheads.locating.naming import locate_all  # noqa: PLC0415

    names = list(dict.fromkeys(thing.name for thing in picture.things))
    unsayable = {name: why for name in names if (why := _why_unsayable(vlm, name))}
    said = [name for name in names if name not in unsayable]
    extra = [absent] if absent is not None and not _why_unsayable(vlm, absent) else []

    def named(own: HeadSet, phrases: Sequence[str]) -> dict[str, Located]:
        if not phrases:
            return {}
        found = locate_all(vlm, picture.image, phrases, own, prompt=prompt, cells=cells)
        return dict(zip(phrases, found, strict=True))

    naming = named(heads.gaze, [*said, *extra])
    draws = [named(own, said) for own in random]
    by_method = {
        name: {
            NAMING: naming[name],
            ATTENTION: attended(vlm, picture.image, name, heads.gaze),
            LOCALIZATION: attended(vlm, picture.image, name, heads.localization, LOCALIZATION),
        }
        for name in said
    }
    return {
        "phrases": [
            {
                "name": thing.name,
                "size": thing.size,
                "box": list(thing.box),
                "unsayable": unsayable.get(thing.name),
                "places": {m: _place(at) for m, at in by_method.get(thing.name, {}).items()},
                "random": [_place(own[thing.name]) for own in draws if thing.name in own],
            }
            for thing in picture.things
        ],
        "absent": [absent, naming[absent].score] if absent is not None and extra else None,
    }


def _why_unsayable(vlm: VLM, phrase: str) -> str | None:
    from gazeheads.locating.naming import check_sayable  # noqa: PLC0415 - loads torch

    try:
        check_sayable(vlm, phrase)
    except GazeheadsError as error:
        return str(error)
    return None


def _place(found: Located) -> dict[str, Any]:
    return {
        "box": list(found.box), "point": list(found.point), "peak": list(found.peak),
        "score": found.score,
    }  # fmt: skip
