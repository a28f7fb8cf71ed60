"""The staircase: where heads look while the model narrates a strip, and nobody steers.

For every decode step the attention of the gaze heads and of as many control heads is summed per
panel. The narration's own words, judged sentence by sentence, tell which panel is being narrated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gazeheads import prompts
from gazeheads.experiments.identity import versions, whole_settings
from gazeheads.experiments.pictures import keep_picture
from gazeheads.experiments.runs import Progress, RunFolder
from gazeheads.experiments.statistics import share
from gazeheads.experiments.steered_answers import control_heads
from gazeheads.heads import HeadScores, HeadSet, Pool
from gazeheads.judging import Judge, chosen_judge
from gazeheads.judging.narration import narrated, order_narrated, panel_per_step
from gazeheads.strips.strip import Strip

if TYPE_CHECKING:
    from gazeheads.vlm import VLM
    from gazeheads.watching import GazeTrace

EXPERIMENT = "staircase"
GAZE, CONTROL = "gaze", "control"
_DIGITS = 4  # of attention shares in records


@dataclass(frozen=True)
class StaircaseSettings:
    """Settings of `run`.

    Attributes:
        k: number of gaze heads, and of control heads.
        prompt: asks for a narration.
        max_new_tokens: at most so many.
        value_weighted: weigh attention by the norms of the value vectors, as the study does.
        pool: where control heads come from.
        seed: of the control heads.
        judge: name of the judge.
    """

    k: int
    prompt: str = prompts.FREE_NARRATION
    max_new_tokens: int = 300
    value_weighted: bool = True
    pool: Pool = "layers"
    seed: int = 0
    judge: str = "label"


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    scores: HeadScores,
    settings: StaircaseSettings,
    out: str | os.PathLike[str],
    *,
    judge: Judge | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    batch_size: int = 5,
) -> RunFolder:
    """Watches a narration of every strip; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to narrate.
        scores: of the heads.
        settings: see there.
        out: folder of all runs.
        judge: default: the label judge.
        progress: called with (strips done, strips in all).
        fresh: start over.
        batch_size: strips narrated at once.
    """
    judge = chosen_judge(judge, settings.judge)
    sets = {GAZE: scores.top(settings.k)}
    if drawn := control_heads(scores, settings.k, 1, settings.seed, settings.pool):
        sets[CONTROL] = drawn[0]
    whole = whole_settings(settings, vlm, strips, sets.values())
    with RunFolder.open(out, EXPERIMENT, vlm.name, whole, versions(), fresh) as folder:

        def do(part: Sequence[Strip]) -> list[dict[str, Any]]:
            traces = _watch(vlm, part, sets, settings)
            return [
                {
                    "strip": keep_picture(folder.path, strip),
                    **record_of(trace, strip, sets, judge, settings.value_weighted),
                }
                for strip, trace in zip(part, traces, strict=True)
            ]

        units = [(strip.id, strip) for strip in strips]
        records = folder.work(units, do, progress, batch_size)
        folder.summarise(summary_of(records, sets))
    return folder


def _watch(
    vlm: VLM, strips: Sequence[Strip], sets: dict[str, HeadSet], settings: StaircaseSettings
) -> list[GazeTrace]:
    """Narrates several strips in one batch."""
    every = HeadSet.of(head for heads in sets.values() for head in heads)
    rows = [vlm.encode(strip.image, settings.prompt) for strip in strips]
    done = vlm.generate(rows, watch=every, max_new_tokens=settings.max_new_tokens)
    return [generation.trace for generation in done if generation.trace is not None]


def record_of(
    trace: GazeTrace, strip: Strip, sets: dict[str, HeadSet], judge: Judge, value_weighted: bool
) -> dict[str, Any]:
    """The text, the panel narrated per step, and the share of attention per step and panel."""
    passages = narrated(judge, strip, trace.text)
    attention = {
        name: trace.of(heads).by_panel(strip, value_weighted).values.round(_DIGITS).tolist()
        for name, heads in sets.items()
    }
    return {
        "text": trace.text,
        "pieces": list(trace.pieces),
        "narrated": panel_per_step(passages, trace.offsets),
        "order": order_narrated(passages),
        "attention": attention,
    }


def summary_of(
    records: Sequence[dict[str, Any]], sets: Mapping[str, Iterable[object]]
) -> dict[str, Any]:
    """Tracking of both head sets (heads, or their names), and how the strips were narrated."""
    panels = len(records[0]["strip"]["panels"])
    natural = [record["order"] == sorted(set(record["order"])) for record in records]
    return {
        "panels": panels,
        "chance": 1 / panels,
        "heads": {name: [str(head) for head in heads] for name, heads in sets.items()},
        "tracking": {name: _tracking(records, name) for name in sets},
        "steps": sum(len(record["narrated"]) for record in records),
        "judged_steps": sum(
            panel is not None for record in records for panel in record["narrated"]
        ),
        "panels_narrated": sum(len(set(record["order"])) for record in records),
        "panels_shown": sum(len(record["strip"]["panels"]) for record in records),
        "in_order": sum(natural),
        "strips": len(records),
    }


def _tracking(records: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Share of decode steps whose most-attended panel is the one being narrated."""
    hits, totals = [], []
    for record in records:
        judged = [
            (panel, row.index(max(row)) + 1)
            for panel, row in zip(record["narrated"], record["attention"][name], strict=True)
            if panel is not None
        ]
        hits.append(sum(panel == seen for panel, seen in judged))
        totals.append(len(judged))
    return share(hits, totals).as_dict()
