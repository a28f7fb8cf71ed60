"""Dose and price: what strength buys in answers that follow, and what it costs the text.

The quality of a steered text is its log-probability under the unsteered model that sees the target
panel alone; how often a word comes again, and loops, are counted beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.head_set import head_named
from gazeheads.heads import HeadSet
from gazeheads.judges import Judge, chosen_judge, judge_answers
from gazeheads.judges.wording import loops, words
from gazeheads.study.experiment import Command, Experiment, NoOptions, Values, Work, register
from gazeheads.study.experiments.counting import GAZE
from gazeheads.study.experiments.dose_summary import summary_of
from gazeheads.study.experiments.steered_answers import AnswersRecord, answers_again
from gazeheads.study.identity import whole_settings
from gazeheads.study.pictures import keep_picture
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import JudgedText, Stored
from gazeheads.study.shared import options_for_shared

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "dose"
HEADS = "heads.json"
"""In the run folder: the heads with the strength that is recommended."""
DELTAS = (1.0, 2.0, 5.0, 10.0, 100.0, 1_000.0, 10_000.0)
STRIPS = 20
Dose = tuple[str, str, float]
"""Name, mode and strength."""
DOSES: tuple[Dose, ...] = (
    *((f"{delta:,.0f}", "paper", delta) for delta in DELTAS),
    ("hard", "hard", math.inf),
    ("within 5", "within", 5.0),
    ("within, hard", "within", math.inf),
)


@dataclass(frozen=True)
class DoseSettings:
    """Settings of `run`.

    Attributes:
        prompt, max_new_tokens: the question.
        seed: of nothing that is drawn here; the heads' own is theirs.
        judge: name of the judge.
    """

    prompt: str = prompts.VQA
    max_new_tokens: int = 15
    seed: int = 0
    judge: str = "label"


class Quality(Stored):
    """Of one text.

    Attributes:
        log_prob: mean log-probability of its tokens, unsteered, given the target panel alone; None
            of an empty text.
        distinct: distinct words over words.
        loop: whether it says some phrase again and again.
    """

    log_prob: float | None
    distinct: float
    loop: bool


class PricedText(JudgedText):
    """A steered answer with its quality; see `steered_answers.Answer`."""

    condition: str
    target: int
    quality: Quality


class DoseRecord(AnswersRecord):
    """One strip; `alone` is the quality of the unsteered answers about every panel alone."""

    answers: list[PricedText]  # type: ignore[assignment]
    alone: list[Quality]


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    heads: HeadSet,
    settings: DoseSettings,
    options: RunOptions,
    judge: Judge | None = None,
    shared: bool = False,
) -> RunFolder:
    """Asks about every strip at every dose; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to ask about.
        heads: to steer.
        settings: see there.
        options: where to and how.
        judge: default: the label judge.
        shared: another job builds on it: see `options_for_shared`.
    """
    judge = chosen_judge(judge, settings.judge)
    whole = whole_settings(settings, vlm, strips, {GAZE: (heads,)}, judge)
    whole |= {
        "panels": len(strips[0]),
        "model_heads": vlm.num_layers * vlm.num_heads,
        "doses": [[name, mode, str(delta)] for name, mode, delta in DOSES],
        "heads_fingerprint": heads.fingerprint,
        **options.heads_from,
    }
    if shared:
        options = options_for_shared(options, EXPERIMENT, vlm.name, whole, claims=True)

    def work(folder: RunFolder) -> list[Work[Strip]]:
        def do(part: Sequence[Strip]) -> list[dict[str, Any]]:
            strip = part[0]
            told = {"strip": keep_picture(folder.path, strip)}
            return [{**told, **_record(vlm, strip, heads, settings, judge, options.batch_size)}]

        return [Work([(strip.id, strip) for strip in strips], do)]

    return DOSE.carry_out(vlm.name, whole, options, work)


def _record(
    vlm: VLM,
    strip: Strip,
    heads: HeadSet,
    settings: DoseSettings,
    judge: Judge,
    batch_size: int,
) -> dict[str, Any]:
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    panels = range(1, len(strip) + 1)
    encoded = vlm.encode(strip.image, settings.prompt)
    alone = [vlm.encode(panel_alone(strip, panel), settings.prompt) for panel in panels]
    asked = [(dose, panel) for dose in DOSES for panel in panels]
    rows: list[Any] = [(encoded, None), *((each, None) for each in alone)]
    for (_, mode, delta), panel in asked:
        rows.append((encoded, Steering(heads, strip.panel(panel), delta, mode)))  # type: ignore[arg-type]
    length = settings.max_new_tokens
    done = halving(lambda part: vlm.generate(part, max_new_tokens=length), rows, batch_size)
    baseline, *texts = (generation.text.strip() for generation in done)
    own, texts = texts[: len(alone)], texts[len(alone) :]
    verdict, verdicts = judge_answers(judge, strip, baseline, texts)
    pairs = [*zip(panels, own, strict=True)]
    pairs += [(panel, text) for (_, panel), text in zip(asked, texts, strict=True)]
    priced = _qualities(vlm, alone, pairs, batch_size)
    answers = [
        {
            "condition": dose[0],
            "target": panel,
            "text": text,
            **each.as_record(),
            "quality": quality,
        }
        for (dose, panel), text, each, quality in zip(
            asked, texts, verdicts, priced[len(alone) :], strict=True
        )
    ]
    return {
        "baseline": {"text": baseline, **verdict.as_record()},
        "answers": answers,
        "alone": priced[: len(alone)],
    }


def panel_alone(strip: Strip, panel: int) -> Any:
    """The picture of one panel (from 1), cut out of the strip."""
    x0, y0, x1, y1 = strip.panel(panel).boxes[0]
    return strip.image.crop((round(x0), round(y0), round(x1), round(y1)))


def _qualities(
    vlm: VLM, alone: Sequence[Any], pairs: Sequence[tuple[int, str]], batch_size: int
) -> list[dict[str, Any]]:
    """The quality of (panel, text) pairs; a text said several times of a panel is scored once."""
    from gazeheads.models.forced import ForcedAnswer, log_probabilities  # noqa: PLC0415
    from gazeheads.models.score import halving  # noqa: PLC0415 - loads torch

    tokenizer = vlm.tokenizer
    ids = {
        pair: tuple(tokenizer(pair[1], add_special_tokens=False)["input_ids"])
        for pair in dict.fromkeys(pairs)
    }
    scored = [pair for pair in ids if ids[pair]]
    rows = [ForcedAnswer(alone[panel - 1], ids[panel, text]) for panel, text in scored]
    found = halving(lambda part: log_probabilities(vlm, part).tolist(), rows, batch_size)
    known = dict(zip(scored, found, strict=True))
    return [_quality(text, known.get((panel, text))) for panel, text in pairs]


def _quality(text: str, log_prob: float | None) -> dict[str, Any]:
    said = words(text)
    return {
        "log_prob": None if log_prob is None else round(log_prob, 5),
        "distinct": round(len(set(said)) / len(said), 5) if said else 0.0,
        "loop": loops(said),
    }


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run; also writes the heads with the recommended strength."""
    records = folder.ordered()
    summary = summary_of(records, folder.settings["doses"])
    recommended = summary["recommended"]
    if recommended is not None:
        _heads_of(folder, recommended, len(records)).save(folder.path / HEADS)
    return {
        "chance": 1 / folder.settings["panels"],
        "heads": folder.settings["model_heads"],
        **summary,
    }


def _heads_of(folder: RunFolder, recommended: Mapping[str, Any], strips: int) -> HeadSet:
    (names,) = folder.settings["head_sets"][GAZE]
    heads = HeadSet.of(map(head_named, names))
    return HeadSet(
        heads.heads,
        f"gaze top {len(heads)}",
        folder.model,
        None,
        folder.settings["heads_fingerprint"],
        recommended["delta"],
        {
            "accuracy": recommended["accuracy"],
            "strips": strips,
            "prompt": folder.settings["prompt"],
        },
    )


def _again(before: Values, records: Sequence[Values]) -> Values:
    doses = [
        [dose["name"], dose["mode"], str(math.inf if dose["delta"] is None else dose["delta"])]
        for dose in before["doses"]
    ]
    return {**before, **summary_of(records, doses)}


def _asked(context: ExperimentContext, options: NoOptions) -> list[RunFolder]:
    """Every strength on the first strips."""
    del options
    return [_dosed(context, context.strips, context.k, False)]


def tried(context: ExperimentContext, k: int) -> RunFolder:
    """Every strength of `k` heads on the first tuning strips, for a job that builds on it."""
    return _dosed(context, context.tuning, k, True)


def _dosed(context: ExperimentContext, strips: Sequence[Strip], k: int, shared: bool) -> RunFolder:
    settings = DoseSettings(seed=context.seed, judge=context.judge.name)
    options = context.announced("Steering at every strength, and pricing the texts")
    heads, judge = context.scores.top(k), context.judge
    return run(context.vlm, strips[:STRIPS], heads, settings, options, judge, shared)


DOSE = register(
    Experiment(
        EXPERIMENT,
        "Strength, and what it costs the text",
        DoseSettings,
        results,
        DoseRecord,
        Command(
            "dose",
            "Accuracy and quality of the text by strength; recommends one and stores it.",
            _asked,
            place=35,
            full=(NoOptions(),),
            quick=(NoOptions(),),
        ),
        rejudging=answers_again(_again),
    )
)
