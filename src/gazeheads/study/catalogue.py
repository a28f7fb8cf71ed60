"""Every experiment on a bench, with the study's settings: what commands and `reproduce` call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gazeheads import prompts
from gazeheads.data.coco import coco_pictures
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.objects import ObjectPictures, drawn_pictures
from gazeheads.data.strip import Strip
from gazeheads.study.context import Bench
from gazeheads.study.experiments import (
    discover,
    discover_layouts,
    head_sets,
    natural,
    prior_heads,
    reading_directions,
    reading_order,
    staircase,
    steer_dynamic,
    steer_vqa,
    sweeps,
)
from gazeheads.study.experiments.discover_layouts import StripLayout
from gazeheads.study.experiments.labelled import Layout
from gazeheads.study.experiments.reading_order import OrderSettings
from gazeheads.study.experiments.steer_dynamic import DynamicSettings
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.experiments.steered_answers import GAZE, RANDOM, control_heads
from gazeheads.study.runs import RunFolder


def sweep_k(bench: Bench, ks: tuple[int, ...] | None = None) -> RunFolder:
    """How many heads to steer, tried on the tuning strips."""
    sizes = ks or steer_vqa.default_ks(len(bench.scores))
    own = SteerVqaSettings(sizes, (GAZE, RANDOM), seed=bench.seed)
    return _asked(bench, bench.tuning, own, "Trying how many heads to steer", steer_vqa.SWEEP)


def answers(bench: Bench, settings: SteerVqaSettings | None = None) -> RunFolder:
    """The study's main table: one question, the gaze pointed at every panel."""
    own = settings or SteerVqaSettings((bench.k,), seed=bench.seed)
    stage = f"Steering {own.ks[0]} heads to every panel"
    return _asked(bench, bench.strips, own, stage, steer_vqa.EXPERIMENT)


def narration(bench: Bench, settings: SteerVqaSettings | None = None) -> RunFolder:
    """The static narration: "this panel", a hundred tokens."""
    own = settings or steer_vqa.narration((bench.k,), bench.seed)
    stage = "Steering narrations of one panel"
    return _asked(bench, bench.strips, own, stage, steer_vqa.NARRATION)


def _asked(
    bench: Bench, strips: Sequence[Strip], own: SteerVqaSettings, stage: str, experiment: str
) -> RunFolder:
    return steer_vqa.run(
        bench.vlm,
        strips,
        bench.scores,
        replace(own, judge=bench.judge.name),
        bench.announced(stage),
        experiment=experiment,
        judge=bench.judge,
    )


def sweep(bench: Bench, name: str, strips: Sequence[Strip]) -> RunFolder:
    """One of the sweeps; that over panels needs strips of several lengths."""
    settings = SteerVqaSettings((bench.k,), seed=bench.seed, judge=bench.judge.name)
    options = bench.announced(f"Sweep over {name.removeprefix('sweep-')}")
    return sweeps.run(name, bench.vlm, strips, bench.scores, settings, options, bench.judge)


def scored_by_others(bench: Bench) -> RunFolder:
    """The heads by two earlier methods, on the strips the gaze heads were found on."""
    settings = prior_heads.PriorHeadsSettings(bench.seed)
    # always whole: every shard of what follows needs all of the scores
    options = replace(bench.announced("Scoring heads by earlier methods"), shard=None)
    return prior_heads.run(bench.vlm, bench.tuning, settings, options)


def other_head_sets(bench: Bench) -> list[RunFolder]:
    """Gaze heads against image heads, localization heads, random heads and all heads."""
    scored = scored_by_others(bench)
    ks = head_sets.sizes(bench.k, len(bench.scores))
    compared = head_sets.run(
        bench.vlm,
        bench.strips,
        bench.scores,
        prior_heads.load_rankings(scored),
        SteerVqaSettings(ks, seed=bench.seed, judge=bench.judge.name),
        bench.announced("Steering heads chosen in other ways"),
        bench.judge,
    )
    return [scored, compared]


def dynamic(bench: Bench, segment: int) -> list[RunFolder]:
    """A gaze that moves while the text is written, for every way of choosing heads."""
    scored = scored_by_others(bench)
    sets = {GAZE: bench.scores.top(bench.k)}
    sets |= {n: s.top(bench.k) for n, s in prior_heads.load_rankings(scored).items()}
    if drawn := control_heads(bench.scores, bench.k, 1, bench.seed, "layers"):
        sets[RANDOM] = drawn[0]
    settings = DynamicSettings(segment, seed=bench.seed, judge=bench.judge.name)
    options = bench.announced("Moving the gaze while a text is written")
    run = steer_dynamic.run(bench.vlm, bench.strips, sets, settings, options, bench.judge)
    return [scored, run]


def watched(bench: Bench, reverse: bool = False) -> RunFolder:
    """Where the heads look during a narration nobody steers."""
    prompt = prompts.REVERSE_NARRATION if reverse else prompts.FREE_NARRATION
    settings = staircase.StaircaseSettings(bench.k, prompt, seed=bench.seed, judge=bench.judge.name)
    options = bench.announced("Watching narrations" + (" in reverse" if reverse else ""))
    name = staircase.REVERSE if reverse else staircase.EXPERIMENT
    return staircase.run(
        bench.vlm,
        bench.strips,
        bench.scores,
        settings,
        options,
        experiment=name,
        judge=bench.judge,
    )


def layouts(bench: Bench, count: int, chosen: Sequence[StripLayout]) -> RunFolder:
    """The gaze heads of other strip lengths and of grids, on drawn strips."""
    seed = bench.seed + discover_layouts.SEED
    strips = {
        layout: draw_strips(count, seed + i, layout.panels, columns=layout.columns)
        for i, layout in enumerate(chosen)
    }
    settings = discover.DiscoverSettings(seed=bench.seed)
    options = bench.announced("Finding gaze heads on other layouts")
    return discover_layouts.run(bench.vlm, strips, settings, bench.k, options)


def reading(
    bench: Bench, count: int, orders: OrderSettings, chosen: Sequence[Layout]
) -> list[RunFolder]:
    """The direction of reading: found on some drawn strips, tried on others."""
    layouts = tuple(chosen)
    tuning, strips = (
        {
            layout.name: draw_strips(count, bench.seed + distance + i, layout.panels)
            for i, layout in enumerate(layouts)
        }
        for distance in (reading_directions.TUNING_SEED, reading_directions.SEED)
    )
    found = reading_directions.run(
        bench.vlm,
        tuning,
        reading_directions.ReadingSettings(layouts, bench.seed),
        replace(bench.announced("Collecting directions of reading"), shard=None),
    )
    material = reading_order.Material(
        strips,
        tuning[layouts[0].name],
        reading_directions.load_directions(found.path),
    )
    settings = replace(orders, layouts=layouts, seed=bench.seed, judge=bench.judge.name)
    options = bench.announced("Turning the order of reading")
    return [found, reading_order.run(bench.vlm, material, settings, options, bench.judge)]


def objects(bench: Bench, count: int, coco: Path | None = None) -> RunFolder:
    """The gaze pointed at single objects, of COCO or of drawn scenes."""
    if coco is None:
        source = "drawn scenes"
        pictures = ObjectPictures(tuple(drawn_pictures(count, bench.seed)))
    else:
        source, pictures = "COCO val2017", coco_pictures(coco, count, bench.seed)
    sets = {GAZE: bench.scores.top(bench.k)}
    if drawn := control_heads(bench.scores, bench.k, 1, bench.seed, "layers"):
        sets[RANDOM] = drawn[0]
    settings = natural.NaturalSettings(source, seed=bench.seed)
    options = bench.announced(f"Pointing at objects of {source}")
    return natural.run(bench.vlm, pictures, sets, settings, options)
