"""Dynamic narration: the gaze moves to another panel every so many tokens of a text.

Only decode steps are steered. The schedule is a random derangement of the panels, so reading in
order is never right. The judge sees the segments and never the schedule.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.stats import spearmanr

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadSet
from gazeheads.judges import Judge, chosen_judge, judge_segments
from gazeheads.judges.narration import narrated, panel_per_step
from gazeheads.study.identity import versions, whole_settings
from gazeheads.study.pictures import keep_picture
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.stats import mean, share

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.models.rows import Generation

EXPERIMENT = "steer-dynamic"
STUDY_SEGMENT = 50
OTHER_SEGMENTS = {"comic-tiny": 10}
"""Models that tell a panel in fewer words than the study's need other segments."""


@dataclass(frozen=True)
class DynamicSettings:
    """Settings of `run`.

    Attributes:
        segment: new tokens between two switches; the study's are 50.
        prompt: asks for a narration.
        mode, delta: of the steering; the defaults are the study's.
        seed: of the schedules.
        judge: name of the judge.
    """

    segment: int = STUDY_SEGMENT
    prompt: str = prompts.FREE_NARRATION
    mode: Literal["soft", "hard", "paper"] = "paper"
    delta: float = 10_000.0
    seed: int = 0
    judge: str = "label"


def segment_for(model: str) -> int:
    """Tokens between two switches that suit a model: the study's, unless it is known to differ."""
    return OTHER_SEGMENTS.get(model, STUDY_SEGMENT)


def derangement(panels: int, rng: np.random.Generator) -> list[int]:
    """An order of the panels (from 1) in which none stands at its own place.

    Raises:
        GazeheadsError: there is none for fewer than two panels.
    """
    if panels < 2:
        raise GazeheadsError(f"a schedule needs strips of at least 2 panels, not {panels}")
    while True:
        order = rng.permutation(panels) + 1
        if (order != np.arange(1, panels + 1)).all():
            return [int(panel) for panel in order]


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    head_sets: Mapping[str, HeadSet],
    settings: DynamicSettings,
    options: RunOptions,
    judge: Judge | None = None,
) -> RunFolder:
    """Narrates every strip once per head set; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to narrate.
        head_sets: heads to steer, by name; "gaze" first.
        settings: see there.
        options: where to and how.
        judge: default: the label judge.
    """
    judge = chosen_judge(judge, settings.judge)
    if settings.segment < 1:
        raise GazeheadsError(f"a segment has at least 1 token, not {settings.segment}")
    sets = {name: (heads,) for name, heads in head_sets.items()}
    whole = whole_settings(settings, vlm, strips, sets, judge)
    whole["panels"] = len(strips[0])
    with RunFolder.open(options, EXPERIMENT, vlm.name, whole, versions()) as folder:

        def do(part: Sequence[tuple[int, Strip]]) -> list[dict[str, Any]]:
            ((number, strip),) = part
            order = derangement(len(strip), np.random.default_rng((settings.seed, number)))
            told = _narrate(vlm, strip, order, head_sets, settings)
            return [
                {
                    "strip": keep_picture(folder.path, strip),
                    "schedule": order,
                    "unsteered": told.pop("")[0],
                    "narrations": {
                        name: narration_record(judge, strip, order, *parts, settings.segment)
                        for name, parts in told.items()
                    },
                }
            ]

        units = [(strip.id, (number, strip)) for number, strip in enumerate(strips)]
        folder.work(units, do, options.progress)
        folder.finish(results)
    return folder


def _narrate(
    vlm: VLM,
    strip: Strip,
    order: Sequence[int],
    head_sets: Mapping[str, HeadSet],
    settings: DynamicSettings,
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Text and pieces per head set, and of the unsteered model under an empty name."""
    from gazeheads.steering import Schedule, Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(strip.image, settings.prompt)
    schedule = Schedule.every(settings.segment, [strip.panel(panel) for panel in order])
    rows: list[Any] = [(encoded, None)]
    for heads in head_sets.values():
        rows.append((encoded, Steering(heads, schedule, settings.delta, settings.mode, "decode")))
    done = vlm.generate(rows, max_new_tokens=settings.segment * len(order))
    names = ["", *head_sets]
    return {name: (g.text, _pieces(vlm, g)) for name, g in zip(names, done, strict=True)}


def _pieces(vlm: VLM, generation: Generation) -> tuple[str, ...]:
    from gazeheads.models.generate import pieces  # noqa: PLC0415 - loads torch

    return pieces(vlm.tokenizer, generation.tokens)


def narration_record(
    judge: Judge,
    strip: Strip,
    order: Sequence[int],
    text: str,
    pieces: Sequence[str],
    segment: int,
) -> dict[str, Any]:
    """One narration: its segments judged blindly, and how soon the text followed each switch.

    The schedule is compared with the verdicts afterwards; the judge is never told it.
    """
    texts = ["".join(pieces[i * segment : (i + 1) * segment]).strip() for i in range(len(order))]
    verdicts = judge_segments(judge, strip, texts)
    ends = list(accumulate(map(len, pieces), initial=0))
    told = panel_per_step(narrated(judge, strip, "".join(pieces)), list(pairwise(ends)))
    return {
        "text": text,
        "pieces": list(pieces),
        "segments": [
            {"text": words, **verdict.as_record()}
            for words, verdict in zip(texts, verdicts, strict=True)
        ],
        "follows_after": [
            _delay(told[i * segment : (i + 1) * segment], panel) for i, panel in enumerate(order)
        ],
    }


def _delay(told: Sequence[int | None], panel: int) -> int | None:
    """Tokens until a segment is about the panel; None if it never is."""
    return told.index(panel) if panel in told else None


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run, from its settings and records."""
    records = folder.ordered()
    sets = folder.settings["head_sets"]
    return {
        "chance": 1 / folder.settings["panels"],
        "sets": [set_summary(name, len(heads[0]), records) for name, heads in sets.items()],
    }


def set_summary(name: str, k: int, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How well the narrations of one head set of `k` heads follow their schedules."""
    pairs = [(record["schedule"], record["narrations"][name]) for record in records]
    judged = [(order, [s["panel"] for s in told["segments"]]) for order, told in pairs]
    reasons = Counter(s["reason"] for _, told in pairs for s in told["segments"])
    delays = [d for _, told in pairs for d in told["follows_after"][1:]]
    followed = [d for d in delays if d is not None]
    panels = len(pairs[0][0])
    return {
        "name": name,
        "k": k,
        "segments": _hits(judged),
        "by_segment": [
            _hits([(order[i : i + 1], said[i : i + 1]) for order, said in judged])
            for i in range(panels)
        ],
        "rho_schedule": _mean_rho(judged),
        "rho_natural": _mean_rho([(range(1, panels + 1), said) for _, said in judged]),
        "junk": reasons["junk"],
        "unjudged": reasons["unjudged"],
        "switches": len(delays),
        "followed": len(followed),
        "tokens_until_followed": statistics.median(followed) if followed else None,
    }


def _hits(judged: Sequence[tuple[Sequence[int], Sequence[int | None]]]) -> dict[str, Any]:
    hits = [sum(a == b for a, b in zip(*pair, strict=True)) for pair in judged]
    return share(hits, [len(order) for order, _ in judged]).as_dict()


def _mean_rho(
    judged: Sequence[tuple[Sequence[int], Sequence[int | None]]],
) -> dict[str, Any] | None:
    """Mean over strips of Spearman's rho between an order and the panels told, or None.

    A strip counts when at least three segments are about single panels, not all the same.
    """
    rhos = []
    for order, said in judged:
        known = [(a, b) for a, b in zip(order, said, strict=True) if b is not None]
        if len(known) >= 3 and len({b for _, b in known}) > 1:
            rhos.append(float(spearmanr(*zip(*known, strict=True)).statistic))
    found = mean(rhos)
    return found.as_dict() if found else None
