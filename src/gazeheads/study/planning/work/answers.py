"""Work of the experiments that ask one question about a strip under many steerings."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gazeheads.errors import GazeheadsWarning
from gazeheads.heads import HeadSet
from gazeheads.study.experiment import NoOptions
from gazeheads.study.experiments import dose, mass_origin, steer_vqa, sweeps
from gazeheads.study.experiments.controls import control_heads
from gazeheads.study.experiments.question import (
    SWEEP_STRIPS,
    SteerVqaSettings,
    default_ks,
    narration,
    sweep_settings,
)
from gazeheads.study.experiments.steer_vqa import QuestionOptions
from gazeheads.study.experiments.steered_answers import Condition
from gazeheads.study.experiments.sweeps import SweepOptions
from gazeheads.study.planning.loads import Load, PromptLike, Scale, Workload, plans


def asked_about(
    scale: Scale,
    settings: SteerVqaSettings,
    lengths: Sequence[int],
    conditions: Sequence[Condition] | None = None,
) -> list[Load]:
    """The work of `ask_strip`.

    Args:
        scale: see there.
        settings: of the question.
        lengths: panels of every strip, in their order.
        conditions: the heads; None: those of the settings.
    """
    if conditions is None:
        conditions = conditions_of(scale, settings)
    kinds = Counter(
        (panels, tuple(len(c.draws_on(number, settings.draw_strips)) for c in conditions))
        for number, panels in enumerate(lengths)
    )
    loads = []
    for (panels, drawn), times in kinds.items():
        pairs = zip(conditions, drawn, strict=True)
        sets = [heads for condition, count in pairs for heads in condition.draws[:count]]
        asked = PromptLike(settings.prompt, (scale.picture(panels),))
        new = scale.said(panels, settings.max_new_tokens)
        loads += scale.steering(asked, [None, *everywhere(sets, panels)], new, times)
    return loads


def conditions_of(scale: Scale, settings: SteerVqaSettings) -> list[Condition]:
    """The heads that will be steered."""
    with warnings.catch_warnings():  # what is wrong with controls is said when they are used
        warnings.simplefilter("ignore", GazeheadsWarning)
        return settings.conditions_of(scale.scores)


def everywhere(sets: Iterable[HeadSet], panels: int) -> list[HeadSet]:
    """Every set once per panel."""
    return [heads for heads in sets for _ in range(panels)]


def controls(scale: Scale, k: int, draws: int) -> tuple[HeadSet, ...]:
    """The random sets that an experiment will draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GazeheadsWarning)
        return control_heads(scale.scores, k, draws, scale.seed, "matched")


def one_question(
    scale: Scale, settings: SteerVqaSettings, experiment: str = steer_vqa.EXPERIMENT
) -> Workload:
    """A question about every strip, under the conditions of its settings."""
    loads = asked_about(scale, settings, [len(scale.strip)] * scale.strips)
    return Workload(experiment, scale.strips, tuple(loads))


@plans("steer-vqa")
def main_table(scale: Scale, options: QuestionOptions) -> list[Workload]:
    """The study's main table."""
    settings = SteerVqaSettings((scale.k,), seed=scale.seed)
    return [one_question(scale, options.changed(settings))]


@plans("steer-narration")
def narrations(scale: Scale, options: QuestionOptions) -> list[Workload]:
    """A hundred tokens about "this panel"."""
    settings = options.changed(narration((scale.k,), scale.seed))
    return [one_question(scale, settings, steer_vqa.NARRATION)]


def sweep_k(scale: Scale, draws: int | None = None, few: int | None = None) -> Workload:
    """Numbers of heads tried on tuning strips."""
    sizes = default_ks(len(scale.scores))
    given = {} if draws is None else {"draws": draws}
    settings = sweep_settings(sizes, scale.seed, draw_strips=few, **given)
    return one_question(scale, settings, steer_vqa.SWEEP)


@plans("sweeps")
def one_thing_changed(scale: Scale, options: SweepOptions) -> list[Workload]:
    """The sweeps asked for."""
    few = SWEEP_STRIPS if options.draw_strips is None else options.draw_strips
    base = SteerVqaSettings((scale.k,), draws=options.draws, draw_strips=few, seed=scale.seed)
    found = []
    for name in options.chosen:
        if name == steer_vqa.SWEEP:
            found.append(sweep_k(scale, options.draws, options.draw_strips))
            continue
        lengths = [len(scale.strip)] * scale.strips
        if name == sweeps.PANELS:
            each = options.each or scale.limit
            lengths = [n for n in options.lengths for _ in range(each)]
        examples = [_Length(n) for n in lengths]
        variants = sweeps.VARIANTS[name](base, examples)  # type: ignore[arg-type]
        loads = [
            load
            for variant in variants
            for load in asked_about(scale, variant.settings, [len(s) for s in variant.strips])
        ]
        units = sum(len(variant.strips) for variant in variants)
        found.append(Workload(name, units, tuple(loads)))
    return found


class _Length(tuple[()]):
    """Stands for a strip of which nothing but its length is asked."""

    def __new__(cls, panels: int) -> _Length:
        made = super().__new__(cls)
        made.panels = panels
        return made

    panels: int

    def __len__(self) -> int:
        return self.panels


@plans("dose")
def doses(scale: Scale, options: NoOptions) -> list[Workload]:
    """Every strength, and the log-probability of each text given its panel alone."""
    del options
    settings, panels = dose.DoseSettings(seed=scale.seed), len(scale.strip)
    units, heads = min(scale.strips, dose.STRIPS), scale.scores.top(scale.k)
    new = settings.max_new_tokens
    whole = PromptLike(settings.prompt, (scale.strip.image,))
    steered = [None, *everywhere([heads] * len(dose.DOSES), panels)]
    alone = PromptLike(settings.prompt, (dose.panel_alone(scale.strip, 1),))
    priced = scale.plain(replace(alone, answer=new), panels * (1 + len(dose.DOSES)), times=units)
    loads = [
        *scale.steering(whole, steered, new, units),
        *scale.plain(alone, panels, new, units),
        *(replace(load, encoded=panels) for load in priced),
    ]
    return [Workload(dose.EXPERIMENT, units, tuple(loads))]


@plans("mass-origin")
def masses(scale: Scale, options: NoOptions) -> list[Workload]:
    """Every panel plain and steered, by gaze heads, random heads and all heads."""
    del options
    settings, panels = mass_origin.MassSettings(seed=scale.seed), len(scale.strip)
    units = min(scale.strips, mass_origin.STRIPS)
    sets = [scale.scores.top(scale.k), *controls(scale, scale.k, 1), scale.scores.all()]
    asked = PromptLike(settings.prompt, (scale.strip.image,))
    loads = [
        load
        for heads in sets
        for load in scale.steering(
            asked, [None] * panels + [heads] * panels, settings.max_new_tokens, units
        )
    ]
    return [Workload(mass_origin.EXPERIMENT, units, tuple(loads))]
