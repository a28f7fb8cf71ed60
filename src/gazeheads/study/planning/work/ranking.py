"""Work of the experiments that score heads, and of those that compare the rankings."""

from __future__ import annotations

from dataclasses import replace

from gazeheads import prompts
from gazeheads.discovery.attribution import STEPS
from gazeheads.discovery.elimination import EXACT, PATH, ROWS, SHARE
from gazeheads.discovery.text_heads import lines_of
from gazeheads.study.experiments import (
    causal_heads,
    discover,
    discover_layouts,
    head_sets,
    prior_heads,
    text_heads,
)
from gazeheads.study.experiments.causal_heads import CausalHeadsSettings
from gazeheads.study.experiments.discover_layouts import LayoutOptions
from gazeheads.study.experiments.head_sets import HeadSetsOptions
from gazeheads.study.experiments.question import SteerVqaSettings
from gazeheads.study.experiments.steered_answers import Condition
from gazeheads.study.planning.loads import Load, PromptLike, Scale, Workload, plans
from gazeheads.study.planning.work.answers import asked_about, conditions_of

OF_MATRICES = 3
"""Rankings made from the gaze scores' own matrices: see `head_sets.rankings`."""
ANSWER = 15
"""Tokens of an answer whose probability is taken, at most: see `attribution.contests`."""


def asked_panels(scale: Scale, panels: int, columns: int | None = None) -> PromptLike:
    """The question about a panel, asked of every panel of a strip."""
    first, second = (prompts.discovery(k, panels) for k in (1, 2))
    return PromptLike(first, (scale.picture(panels, columns),), second)


def discovery(scale: Scale) -> Workload:
    """Every panel of every strip asked about; what the questions share is read once."""
    panels = len(scale.strip)
    load = Load(asked_panels(scale, panels), panels, scale.strips)
    return Workload(discover.EXPERIMENT, scale.strips, (load,))


def by_earlier_methods(scale: Scale) -> Workload:
    """The same prompts as discovery."""
    return replace(discovery(scale), experiment=prior_heads.EXPERIMENT)


@plans("discover-layouts")
def layouts(scale: Scale, options: LayoutOptions) -> list[Workload]:
    """Discovery on every layout."""
    each = options.each or scale.limit
    loads = tuple(
        Load(asked_panels(scale, layout.panels, layout.columns), layout.panels, each)
        for layout in options.layouts
    )
    return [Workload(discover_layouts.EXPERIMENT, each * len(options.layouts), loads)]


def in_text(scale: Scale) -> Workload:
    """The panels told in lines of text, and every one asked about."""
    panels = len(scale.strip)
    told = "\n".join(lines_of(scale.strip))
    asked = PromptLike(f"{told}\n\n{prompts.discovery(1, panels)}")
    load = Load(asked, 1, scale.strips * panels, encoded=0)
    return Workload(text_heads.EXPERIMENT, scale.strips, (load,))


def by_effect(scale: Scale, strips: int, settings: CausalHeadsSettings) -> Workload:
    """Answers to every panel; gradients of all gates; heads eliminated, and chosen greedily."""
    panels, living = len(scale.strip), len(scale.scores.living_ranking())
    pairs = min(settings.pairs, strips * panels)
    greedy = settings.greedy_heads if pairs else 0
    read = PromptLike(prompts.VQA, (scale.strip.image,), answer=ANSWER)
    rounds = 1 + bool(pairs) + bool(greedy)  # each asks for the answers anew
    loads = [
        *scale.plain(asked_panels_alone(scale), panels, ANSWER, rounds * strips),
        *scale.plain(read, panels, times=rounds * strips),
        Load(read, 2, len(STEPS) * strips * panels, backward=True),
    ]
    if pairs:
        slopes, exact = elimination_rounds(living)
        loads += parts(read, pairs, slopes * len(PATH), True)
        loads += parts(read, pairs * settings.tried, exact, False)
    if greedy:
        loads.append(Load(read, 2, pairs * greedy, backward=True))
        loads.append(Load(read, 2 * pairs, settings.tried * greedy))
    return Workload(causal_heads.EXPERIMENT, strips + rounds - 1, tuple(loads))


def asked_panels_alone(scale: Scale) -> PromptLike:
    """The question about a panel, read whole every time."""
    return replace(asked_panels(scale, len(scale.strip)), other=None)


def parts(asked: PromptLike, rows: int, times: int, backward: bool) -> list[Load]:
    """Answers read in batches of `ROWS`."""
    full, rest = divmod(rows, ROWS)
    loads = [Load(asked, ROWS, full * times, backward=backward)] if full else []
    return loads + ([Load(asked, rest, times, backward=backward)] if rest else [])


def elimination_rounds(living: int) -> tuple[int, int]:
    """How often slopes are taken, and how often heads are left out one by one."""
    slopes = exact = 0
    while living > 1:
        slopes += 1
        if living > EXACT:
            living -= min(max(1, living // SHARE), living - EXACT)
        else:
            exact, living = exact + 1, living - 1
    return slopes, exact


@plans("head-sets")
def sets_compared(scale: Scale, options: HeadSetsOptions) -> list[Workload]:
    """The rankings, and the question under each at every size."""
    found, others = [], 0
    if scale.scores.matrices is not None:
        others += OF_MATRICES
    if scale.strip.captions and all(scale.strip.captions):
        found.append(in_text(scale))
        others += 1
    found.append(by_earlier_methods(scale))
    others += len(prior_heads.KINDS)
    if options.causal_strips:
        causal = CausalHeadsSettings(options.greedy_heads, options.causal_pairs, seed=scale.seed)
        found.append(by_effect(scale, min(options.causal_strips, scale.strips), causal))
        others += 1 + bool(causal.pairs) + bool(causal.pairs and causal.greedy_heads)
    units = min(options.curve_strips, scale.strips)
    found.append(Workload(head_sets.EXPERIMENT, units, tuple(_curves(scale, others, units))))
    return found


def _curves(scale: Scale, others: int, units: int) -> list[Load]:
    """The question under every ranking; where the heads of others lie, nobody knows before."""
    scores = scale.scores
    sizes = head_sets.sizes(scale.k, len(scores.living_ranking()), len(scores))
    settings = SteerVqaSettings(sizes, draw_strips=head_sets.DRAW_STRIPS, seed=scale.seed)
    rankings = [
        Condition(f"{number}", k, (scores.top(k),)) for k in sizes for number in range(others + 1)
    ]
    conditions = [*conditions_of(scale, settings), *rankings]
    return asked_about(scale, settings, [len(scale.strip)] * units, conditions)
