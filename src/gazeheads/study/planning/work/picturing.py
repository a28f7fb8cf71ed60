"""Work of the experiments on pictures with objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gazeheads.data.objects import drawn_pictures
from gazeheads.heads import HeadSet
from gazeheads.locating.attending import QUESTION, SAMPLES
from gazeheads.locating.cells import Cells
from gazeheads.locating.naming import answer_for
from gazeheads.models.closer import closer_look
from gazeheads.models.likelihood import BATCH
from gazeheads.study.experiment import NoOptions
from gazeheads.study.experiments import grounding, natural, small_regions
from gazeheads.study.experiments.coco import CocoOptions
from gazeheads.study.experiments.grounding import GroundingOptions
from gazeheads.study.planning.loads import Load, PromptLike, Scale, Workload, plans
from gazeheads.study.planning.work.answers import controls

SEEN = 4
"""Pictures of an object that are encoded for the ways it is shown in, besides the whole."""


@plans("coco")
def pointed(scale: Scale, options: CocoOptions) -> list[Workload]:
    """Every object of every picture, by gaze heads and by a random set.

    Of a data set the pictures are not opened for a plan: drawn scenes stand in for them.
    """
    count = options.each or scale.limit
    settings = natural.NaturalSettings("", seed=scale.seed)
    sets = [scale.scores.top(scale.k), *controls(scale, scale.k, 1)]
    loads: list[Load] = []
    pictures = drawn_pictures(count, scale.seed)
    for picture in pictures:
        asked = PromptLike(settings.prompt, (picture.image,))
        rows = [None, *(heads for heads in sets for _ in picture.things)]
        loads += scale.steering(asked, rows, settings.max_new_tokens)
    return [Workload(natural.EXPERIMENT, len(pictures), tuple(loads))]


@plans("small-regions")
def small(scale: Scale, options: NoOptions) -> list[Workload]:
    """Every object of every scene in every way."""
    del options
    settings = small_regions.SmallRegionsSettings(seed=scale.seed)
    scenes = small_regions.small_scenes(scale.limit, scale.seed)
    new, ways = settings.max_new_tokens, len(small_regions.WAYS)
    loads: list[Load] = []
    for scene in scenes:
        # prompts of different lengths in one batch: all become as long as the longest
        both, _ = closer_look(scene.image, scene.things[0].region, "crop")
        batches = scale.plain(
            PromptLike(settings.prompt, tuple(both)), ways * len(scene.things), new
        )
        loads += [replace(load, acted=True, encoded=SEEN * load.rows // ways) for load in batches]
    return [Workload(small_regions.EXPERIMENT, len(scenes), tuple(loads))]


@plans("grounding")
def located(scale: Scale, options: GroundingOptions) -> list[Workload]:
    """Every cell of every picture pointed at, for every phrase; and questions that name it."""
    count = options.each or scale.limit
    settings = grounding.GroundingSettings("", draws=options.draws, seed=scale.seed)
    drawn = controls(scale, scale.k, options.draws)
    loads: list[Load] = []
    pictures = drawn_pictures(count, scale.seed)
    for number, picture in enumerate(pictures):
        names = {thing.name for thing in picture.things}
        lengths = [scale.tokens(answer_for(name)) for name in names]
        asked = PromptLike(settings.prompt, (picture.image,))
        cells = len(Cells.of(scale.encode(asked).tokens, settings.cells))
        own = drawn if number < settings.draw_pictures else ()
        for heads in (scale.scores.top(scale.k), *own):
            loads += _cells(scale, asked, heads, cells, lengths)
        named = PromptLike(QUESTION.format(phrase="phrase"), (picture.image,))
        loads.append(Load(named, 1, 2 * len(names), 1))
    sample = pictures[0].image
    loads.append(Load(PromptLike(QUESTION.format(phrase="phrase"), (sample,)), 1, SAMPLES, 1))
    return [Workload(grounding.EXPERIMENT, len(pictures), tuple(loads))]


def _cells(
    scale: Scale, asked: PromptLike, heads: HeadSet, cells: int, lengths: Sequence[int]
) -> list[Load]:
    """The prompt with the heads at every cell in turn, once for all phrases of one token."""
    rows: list[HeadSet | None] = [None, *[heads] * cells]
    few = replace(scale, batch_size=BATCH)
    longer = [length for length in lengths if length > 1]
    passes = [1] if len(longer) < len(lengths) else []
    return [
        load
        for length in (*passes, *longer)
        for load in few.steering(replace(asked, answer=length - 1), rows, 0)
    ]
