"""The staircase: where heads look while the model narrates a strip, and nobody steers.

For every decode step the attention of the gaze heads and of as many control heads is summed per
panel. The narration's own words, judged sentence by sentence, tell which panel is being narrated.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.judges import Judge, chosen_judge
from gazeheads.judges.narration import narrated, order_narrated, panel_per_step, sentences
from gazeheads.judges.verdict import Asked
from gazeheads.study.experiment import (
    Command,
    Experiment,
    Option,
    Rejudging,
    Values,
    Work,
    register,
)
from gazeheads.study.experiments.controls import (
    DRAWS,
    ControlPool,
    check_draws,
    control_heads,
)
from gazeheads.study.experiments.tracking import CONTROL, GAZE, summary_of
from gazeheads.study.identity import whole_settings
from gazeheads.study.pictures import keep_picture
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import KeptStrip, Record

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext
    from gazeheads.trace import GazeTrace

EXPERIMENT = "staircase"
REVERSE = "staircase-reverse"
STRIPS_AT_ONCE = 5
_DIGITS = 4  # of attention shares in records


@dataclass(frozen=True)
class StaircaseSettings:
    """Settings of `run`.

    Attributes:
        k: number of gaze heads, and of control heads.
        prompt: asks for a narration.
        max_new_tokens: at most so many.
        pool, draws: of the control heads: where from, and how many sets.
        seed: of the control heads.
        judge: name of the judge.
    """

    k: int
    prompt: str = prompts.FREE_NARRATION
    max_new_tokens: int = 300
    pool: ControlPool = "matched"
    draws: int = DRAWS
    seed: int = 0
    judge: str = "label"


class StaircaseRecord(Record):
    """One narration, step by step.

    Attributes:
        strip: it is about.
        text, pieces: whole, and as the tokens wrote it.
        narrated: the panel that each step is about.
        order: the panels told, in their order.
        attention, raw: by head set and step the share of attention per panel, weighted and raw;
            of the control heads those of the first draw.
        looked_at, looked_at_raw: by draw of the control heads and by step the panel that gets
            most of it.
    """

    strip: KeptStrip
    text: str
    pieces: list[str]
    narrated: list[int | None]
    order: list[int]
    attention: dict[str, list[list[float]]]
    raw: dict[str, list[list[float]]]
    looked_at: list[list[int]] = Field(default_factory=list)
    looked_at_raw: list[list[int]] = Field(default_factory=list)


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    settings: StaircaseSettings,
    options: RunOptions,
    *,
    experiment: str = EXPERIMENT,
    judge: Judge | None = None,
) -> RunFolder:
    """Watches a narration of every strip; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to narrate.
        scores: of the heads.
        settings: see there.
        options: where to and how.
        experiment: name of the run folder: of the free narration or the reverse one.
        judge: default: the label judge.
    """
    judge = chosen_judge(judge, settings.judge)
    check_draws(settings.draws, None)
    sets: dict[str, tuple[HeadSet, ...]] = {GAZE: (scores.top(settings.k),)}
    if drawn := control_heads(scores, settings.k, settings.draws, settings.seed, settings.pool):
        sets[CONTROL] = drawn
    whole = {**whole_settings(settings, vlm, strips, sets, judge), **options.heads_from}

    def work(folder: RunFolder) -> list[Work[Strip]]:
        def do(part: Sequence[Strip]) -> list[dict[str, Any]]:
            traces = _watch(vlm, part, sets, settings)
            return [
                {
                    "strip": keep_picture(folder.path, strip),
                    **record_of(trace, strip, sets, judge),
                }
                for strip, trace in zip(part, traces, strict=True)
            ]

        return [Work([(strip.id, strip) for strip in strips], do, STRIPS_AT_ONCE)]

    own = STAIRCASE if experiment == EXPERIMENT else STAIRCASE_REVERSE
    return own.carry_out(vlm.name, whole, options, work)


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    return summary_of(folder.ordered(), folder.settings["head_sets"])


def _watch(
    vlm: VLM,
    strips: Sequence[Strip],
    sets: Mapping[str, Sequence[HeadSet]],
    settings: StaircaseSettings,
) -> list[GazeTrace]:
    """Narrates several strips in one batch."""
    each = (head for draws in sets.values() for heads in draws for head in heads)
    every = HeadSet.of(dict.fromkeys(each))
    rows = [vlm.encode(strip.image, settings.prompt) for strip in strips]
    done = vlm.generate(rows, watch=every, max_new_tokens=settings.max_new_tokens)
    return [generation.trace for generation in done if generation.trace is not None]


def record_of(
    trace: GazeTrace, strip: Strip, sets: Mapping[str, Sequence[HeadSet]], judge: Judge
) -> dict[str, Any]:
    """The text, the panel narrated per step, and the share of attention per step and panel.

    Attention is weighted by the norms of the value vectors, as in the study, and kept raw too.
    """
    passages = narrated(judge, strip, trace.text)

    def by_panel(value_weighted: bool) -> dict[str, list[list[float]]]:
        return {
            name: trace.of(draws[0]).by_panel(strip, value_weighted).values.round(_DIGITS).tolist()
            for name, draws in sets.items()
        }

    def looked_at(value_weighted: bool) -> list[list[int]]:
        return [
            (trace.of(heads).by_panel(strip, value_weighted).gaze() + 1).tolist()
            for heads in sets.get(CONTROL, ())
        ]

    return {
        "text": trace.text,
        "pieces": list(trace.pieces),
        "narrated": panel_per_step(passages, trace.offsets),
        "order": order_narrated(passages),
        "attention": by_panel(True),
        "raw": by_panel(False),
        "looked_at": looked_at(True),
        "looked_at_raw": looked_at(False),
    }


def _judged_again(record: Values, strip: Strip, judge: Judge, _: Mapping[str, Any]) -> Values:
    passages = narrated(judge, strip, record["text"])
    ends = itertools.accumulate(map(len, record["pieces"]), initial=0)
    steps = list(itertools.pairwise(ends))
    return {"narrated": panel_per_step(passages, steps), "order": order_narrated(passages)}


def _results_again(before: Values, records: Sequence[Values]) -> Values:
    return summary_of(records, {name: [heads] for name, heads in before["heads"].items()})


@dataclass(frozen=True)
class StaircaseOptions:
    """Options of the command."""

    reverse: Annotated[bool, Option("Ask for the reverse order.", name="--reverse")] = False
    draws: Annotated[int, Option("Control head sets to compare with.", least=1)] = DRAWS


def _watched(context: ExperimentContext, options: StaircaseOptions) -> list[RunFolder]:
    prompt = prompts.REVERSE_NARRATION if options.reverse else prompts.FREE_NARRATION
    settings = StaircaseSettings(
        context.k,
        prompt,
        draws=options.draws,
        seed=context.seed,
        judge=context.judge.name,
    )
    announced = context.announced(
        "Watching narrations" + (" in reverse" if options.reverse else "")
    )
    name = REVERSE if options.reverse else EXPERIMENT
    return [
        run(
            context.vlm,
            context.strips,
            context.scores,
            settings,
            announced,
            experiment=name,
            judge=context.judge,
        )
    ]


_COMMAND = Command(
    "staircase",
    "Watch where the heads look during a narration that nobody steers.",
    _watched,
    StaircaseOptions,
    place=60,
    full=(StaircaseOptions(), StaircaseOptions(reverse=True)),
    quick=(StaircaseOptions(), StaircaseOptions(reverse=True)),
)
_AGAIN = Rejudging(
    lambda record: list[Asked](sentences(record["text"])),
    _judged_again,
    _results_again,
    lambda record: list(record["narrated"]),
)


def _registered(name: str, title: str) -> Experiment:
    return register(
        Experiment(
            name,
            title,
            StaircaseSettings,
            results,
            StaircaseRecord,
            _COMMAND,
            rejudging=_AGAIN,
        )
    )


STAIRCASE = _registered(EXPERIMENT, "Where the heads look during a narration nobody steers")
STAIRCASE_REVERSE = _registered(REVERSE, "The same in reverse order")
