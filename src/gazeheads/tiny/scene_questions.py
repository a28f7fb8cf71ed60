"""What comic-tiny is taught to answer about scenes: one picture with several objects."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gazeheads import prompts
from gazeheads.data.drawn.captions import with_article
from gazeheads.data.drawn.scenes import Scene
from gazeheads.data.drawn.truth import PLACES
from gazeheads.tiny.questions import QA, existence_question


@dataclass(frozen=True)
class ScenePage:
    """What can be asked about a scene: its objects from left to right.

    ``centres`` are the centres of their boxes as shares (x, y) of the picture.
    """

    place: str
    names: tuple[str, ...]
    centres: tuple[tuple[float, float], ...]


_CORNERS = {
    "upper left": (False, False),
    "upper right": (True, False),
    "lower left": (False, True),
    "lower right": (True, True),
}


def scene_question(rng: random.Random, page: ScenePage) -> QA:
    """Describe, list, is there a ..., and the object in a part of the image."""
    draw = rng.random()
    listing = _join([with_article(name) for name in page.names])
    if draw < 0.25:
        question = rng.choice(
            (prompts.DESCRIBE_IMAGE, "Describe this picture.", "What is in this picture?")
        )
        return QA("scene", question, f"{listing} {PLACES[page.place]}.".capitalize())
    if draw < 0.45:
        question = rng.choice(
            (prompts.LIST_OBJECTS, "List the objects.", "Which objects are here?")
        )
        return QA("objects", question, ", ".join(page.names).capitalize() + ".")
    if draw < 0.65:
        question = rng.choice(
            (prompts.COCO, "What is the object in this part of the image?", "Name one object.")
        )
        return QA("some object", question, f"{page.names[0].capitalize()}.")
    if draw < 0.8:
        return existence_question(rng, page.names)
    corner = _lone_corner(rng, page)
    if corner is None:
        return existence_question(rng, page.names)
    where, name = corner
    question = rng.choice(
        (f"What is in the {where} of the image?", f"Which object is in the {where}?")
    )
    return QA("corner", question, f"{name.capitalize()}.")


def _lone_corner(rng: random.Random, page: ScenePage) -> tuple[str, str] | None:
    """A quarter of the image with exactly one object in it, and that object."""
    found = []
    for where, (right, low) in _CORNERS.items():
        inside = [
            name
            for name, (x, y) in zip(page.names, page.centres, strict=True)
            if (x > 0.5) == right and (y > 0.5) == low
        ]
        if len(inside) == 1:
            found.append((where, inside[0]))
    return rng.choice(found) if found else None


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def scene_page(scene: Scene) -> ScenePage:
    """What can be asked about a scene: its objects from left to right."""
    width, height = scene.image.size
    placed = sorted(
        ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, thing.name)
        for thing in scene.objects
        for x0, y0, x1, y1 in [thing.box]
    )
    return ScenePage(
        scene.place,
        tuple(name for _, _, name in placed),
        tuple((x, y) for x, y, _ in placed),
    )
