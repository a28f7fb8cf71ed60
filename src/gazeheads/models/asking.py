"""Asking about a part of a picture: answers, descriptions and the likelihood of given answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gazeheads.attention.intervention import When
from gazeheads.boxes import RegionError
from gazeheads.data.drawn.mark import is_drawn
from gazeheads.data.pictures import open_image
from gazeheads.errors import GazeheadsWarning
from gazeheads.heads import HeadSet
from gazeheads.models.closer import Closer, closer_look
from gazeheads.models.generate import Decoding
from gazeheads.models.likelihood import answer_log_probs, answer_tokens
from gazeheads.models.rows import Steerings
from gazeheads.prompts import DESCRIBE_REGION, seen_while_read
from gazeheads.region_reading import is_box, region_of
from gazeheads.regions import Region
from gazeheads.steering import LiveSteering, Schedule, Steering

if TYPE_CHECKING:
    from gazeheads.models.inputs import ImageLike
    from gazeheads.models.vlm import VLM

HeadsToSteer = HeadSet | Sequence[tuple[int, int]] | None
LookAt = Any
"""A `Region`, a box (x0, y0, x1, y1) in pixels, a mask (height, width), a `Schedule`, a live
steering's target, a list of regions, boxes and masks to be looked at in turn, or None."""
COMIC_TINY = "comic-tiny"
DESCRIBE_TOKENS = 24
NEVER_SAW = (
    "comic-tiny has seen only the pictures that gazeheads draws: what it says about another one "
    "is no description of it, wherever its heads look"
)


class AnswerLikelihood(NamedTuple):
    """How likely an answer is.

    Attributes:
        log_prob: natural logarithm of its probability: the sum over its tokens.
        tokens: how many it has.
    """

    log_prob: float
    tokens: int


class UnseenWarning(GazeheadsWarning):
    """comic-tiny is asked about a picture of a kind it never saw."""


def doubt(vlm: VLM, drawn: bool) -> str:
    """What has to be said about a model's texts on a picture; empty if nothing.

    Args:
        vlm: the model.
        drawn: whether the picture is known to be drawn by this package.
    """
    return NEVER_SAW if vlm.name == COMIC_TINY and not drawn else ""


def never_saw(vlm: VLM, *images: Any) -> bool:
    """Whether the model is comic-tiny and one of the pictures is not known to be drawn for it."""
    return bool(doubt(vlm, all(map(is_drawn, images))))


def target_of(look_at: LookAt, every: int) -> Region | Schedule | LiveSteering | None:
    """Where to look: one place, or several in turn, `every` tokens each.

    Raises:
        RegionError: see `region_of`.
        SteeringError: an empty list.
    """
    if look_at is None or isinstance(look_at, Region | Schedule | LiveSteering):
        return look_at
    several = isinstance(look_at, list | tuple) and not is_box(look_at)
    if several and not _is_rows_of_a_mask(look_at):
        places = [None if place is None else region_of(place) for place in look_at]
        return Schedule.every(every, cast(list[Region], places))
    return region_of(look_at)


def _is_rows_of_a_mask(value: Sequence[Any]) -> bool:
    """Whether nested lists are a mask: rows of truth values, or rows that are no four numbers."""
    rows = [row for row in value if isinstance(row, list)]
    return len(rows) == len(value) > 0 and not all(is_box(row) and len(row) == 4 for row in rows)


def steering_to(
    vlm: VLM, look_at: LookAt, heads: HeadsToSteer = None, every: int = 1, **options: Any
) -> Steering | None:
    """The steering of a model's heads to a place; None: nowhere.

    Args:
        vlm: the model.
        look_at: see `LookAt`.
        heads: which; None: the default ones (`gazeheads.default_heads`).
        every: tokens per place, if there are several.
        options: of `Steering`; the strength is the heads' recommended one, or infinite.
    """
    target = target_of(look_at, every)
    if target is None:
        return None
    places = [at for _, at in target.entries if at] if isinstance(target, Schedule) else [target]
    panels = all(isinstance(at, Region) and at.row is not None for at in places)
    chosen = heads_of(vlm, heads, panels)
    recommended = math.inf if chosen.delta is None else chosen.delta
    return Steering(chosen, target, **{"delta": recommended, **options})


def heads_of(vlm: VLM, heads: HeadsToSteer, panels: bool = False) -> HeadSet:
    """The heads named, or the default ones of the model: for panels of strips, or for regions."""
    if heads is None:
        # the package's face decides which are the default ones: they are found by `discovery`,
        # which builds on this room
        found: HeadSet = import_module("gazeheads").default_heads(vlm)
        return found if panels else found.for_regions()
    return heads if isinstance(heads, HeadSet) else HeadSet.of(heads)


def ask(
    vlm: VLM,
    image: ImageLike | Sequence[ImageLike],
    prompt: str,
    look_at: LookAt = None,
    *,
    heads: HeadsToSteer = None,
    every: int | None = None,
    when: When | None = None,
    **options: Any,
) -> str:
    """The answer to a question about an image.

    Args:
        image: an image, or several.
        prompt: the question.
        look_at: where the gaze heads look while answering: a `Region`, a box (x0, y0, x1, y1) in
            pixels of the image, a mask of its size, a `Schedule`, or a list of places to be looked
            at in turn. None: the model as it is.
        heads: the heads to steer; None: the default ones, found on drawn strips at the first use.
        every: tokens for each place of a list; None: equal parts of `max_new_tokens`.
        when: steer the prefill, the decode steps, or both; None: see `when_to_steer`.
        options: of `Decoding`.

    Raises:
        RegionError: a place is outside the image, empty, or covers no token.

    Example:
        >>> answer = vlm.ask("photo.jpg", "What is the main object here?", look_at=(40, 60, 99, 99))
    """
    if look_at is None:
        return vlm.generate(vlm.encode(image, prompt), **options)[0].text
    decoding = Decoding.of(**options)
    if every is None:
        places = len(look_at) if isinstance(look_at, list | tuple) and look_at else 1
        every = max(1, math.ceil(decoding.max_new_tokens / places))
    encoded = vlm.encode(image, prompt)
    target = target_of(look_at, every)
    check_places(target, encoded.tokens.sizes)
    _warn(vlm, image)
    steering = steering_to(vlm, target, heads, when=when or when_to_steer(target, prompt))
    return vlm.generate([(encoded, steering)], **options)[0].text


def when_to_steer(target: Region | Schedule | LiveSteering | None, prompt: str) -> When:
    """When heads are steered unless it is said.

    At one region and with a question that is `prompts.seen_while_read`: while it is read; heads
    held there at every step too repeat the answer (docs/describe.md has the numbers). Else: both.
    """
    return "prefill" if isinstance(target, Region) and seen_while_read(prompt) else "both"


def check_places(
    target: Region | Schedule | LiveSteering | None, sizes: Sequence[tuple[int, int]]
) -> None:
    """Raises RegionError if a place lies outside its image; before any heads are looked for."""
    entries = target.entries if isinstance(target, Schedule) else ((0, target),)
    for _, region in entries:
        if isinstance(region, Region) and region.image < len(sizes):
            region.check_inside(*sizes[region.image])


def describe(
    vlm: VLM,
    image: ImageLike,
    region: LookAt,
    prompt: str = DESCRIBE_REGION,
    *,
    heads: HeadsToSteer = None,
    closer: Closer = "none",
    max_new_tokens: int = DESCRIBE_TOKENS,
    **options: Any,
) -> str:
    """What the model says about a part of an image.

    Args:
        image: the image.
        region: a `Region`, a box (x0, y0, x1, y1) in pixels of the image, or a mask of its size.
        prompt: what is asked; it need not say where.
        heads: the heads to steer; None: the default ones.
        closer: how a small region gets more image tokens: see `Closer`.
        max_new_tokens, options: of `Decoding`.

    Raises:
        RegionError: it is outside the image, empty, or covers no token.
    """
    if region is None:
        raise RegionError("describe which region? Name a region, a box or a mask")
    more = {"max_new_tokens": max_new_tokens, **options}
    if closer == "none":
        return ask(vlm, image, prompt, region, heads=heads, **more)
    _warn(vlm, image)
    images, where = closer_look(open_image(image), region_of(region), closer)
    with warnings.catch_warnings():  # said above, of the picture itself
        warnings.simplefilter("ignore", UnseenWarning)
        return ask(vlm, images, prompt, where, heads=heads, **more)


def log_prob(
    vlm: VLM,
    image: ImageLike,
    question: str,
    answer: str,
    look_at: LookAt = None,
    *,
    heads: HeadsToSteer = None,
    when: When | None = None,
) -> AnswerLikelihood:
    """How likely an answer is when the heads look somewhere.

    Args:
        image: the image.
        question: about it.
        answer: as the model would write it, a space at its beginning included; its end is left
            open, so that no end token is counted.
        look_at: see `ask`; of a list each place gets an equal part of the answer's tokens.
        heads: the heads to steer; None: the default ones.
        when: see `ask`.

    Returns:
        The logarithm of its probability, and the number of its tokens.

    Raises:
        GazeheadsError: the answer has no token.
    """
    encoded = vlm.encode(image, question)
    tokens = answer_tokens(vlm, answer)
    places = len(look_at) if isinstance(look_at, list | tuple) and look_at else 1
    target = target_of(look_at, max(1, math.ceil(len(tokens) / places)))
    check_places(target, encoded.tokens.sizes)
    steering: Steerings = None
    if target is not None:
        _warn(vlm, image)
        when = when or when_to_steer(target, question)
        steering = steering_to(vlm, target, heads, when=when)
    return AnswerLikelihood(answer_log_probs(vlm, encoded, tokens, [steering])[0], len(tokens))


def _warn(vlm: VLM, image: Any) -> None:
    images = image if isinstance(image, list | tuple) else [image]
    if never_saw(vlm, *images):
        warnings.warn(NEVER_SAW, UnseenWarning, stacklevel=4)
