"""Judging the stored texts of a run again, without the model: steered answers, or narrations.

The texts stay as they are; another judge gives new verdicts under the study's rules, and a run
folder of the same shape is written elsewhere, so that `gazeheads report` reads it like any other.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gazeheads.data.strip import Strip
from gazeheads.judges import Judge, judge_answers, worth_asking
from gazeheads.judges.narration import narrated, order_narrated, panel_per_step, sentences
from gazeheads.judges.rules import segments_shown
from gazeheads.judges.verdict import Asked
from gazeheads.study.disk import STRIPS
from gazeheads.study.experiments import staircase, steer_dynamic
from gazeheads.study.experiments.steer_vqa import peak_of
from gazeheads.study.experiments.steered_answers import counted, unsteered_summary
from gazeheads.study.identity import versions
from gazeheads.study.pictures import kept_strip
from gazeheads.study.runs import Progress, RunError, RunFolder, RunOptions, folder_of
from gazeheads.study.stats import share

Record = dict[str, Any]


def judged_runs(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Those of the runs that hold texts a judge has judged.

    Raises:
        RunError: none does, or one of them is not finished.
    """
    found = [run for run in runs if any(_kind(record) for record in run.records.values())]
    if not found:
        names = ", ".join(str(run.path) for run in runs)
        raise RunError(f"no steered answers and no narrations to judge in {names}")
    for run in found:
        _ = run.summary  # raises if the run is not finished
    return found


def out_beside(run: RunFolder, judge: str) -> Path:
    """Where the runs that a judge judged again go by default: `runs` -> `runs-by-caption`."""
    root = run.path.parents[1]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", judge).strip("-")
    return root.with_name(f"{root.name or 'runs'}-by-{slug}")


def strips_of(run: RunFolder, given: Sequence[Strip] | None = None) -> dict[str, Strip]:
    """The strips a run is about, by id.

    Args:
        run: with pictures, captions and truths of its strips.
        given: the strips themselves; None: as the run kept them (at most 1,600 px wide).

    Raises:
        RunError: a strip is not among those given.
    """
    if given is None:
        return {
            unit: kept_strip(run.path, unit, record["strip"])
            for unit, record in run.records.items()
        }
    by_id = {strip.id: strip for strip in given}
    if missing := [unit for unit in run.records if unit not in by_id]:
        raise RunError(f"strip {missing[0]!r} of {run.path} is not among the strips given")
    return by_id


def texts_to_judge(record: Record) -> list[Asked]:
    """The texts of a record that a judge is asked about; segments of one text together."""
    return _kind_of(record).texts(record)


def rejudge(
    run: RunFolder,
    judge: Judge,
    out: str | os.PathLike[str],
    *,
    strips: Mapping[str, Strip],
    progress: Progress | None = None,
    fresh: bool = False,
) -> RunFolder:
    """Judges every text of a finished run; goes on where an earlier attempt stopped.

    Args:
        run: the finished run; it is not changed.
        judge: gives the verdicts.
        out: folder of all runs that this judge judges.
        strips: of the run, by id.
        progress: called with (strips done, strips in all).
        fresh: start over.

    Returns:
        The new run. Its results also say how often the verdicts are the earlier judge's.
    """
    before = run.summary["results"]
    target = folder_of(out, run.experiment, run.model)
    if target.resolve() == run.path.resolve():
        raise RunError(f"{run.path} would be written over: name another --out")
    for (
        unit
    ) in run.records:  # a strip that the judge cannot judge is told before anything is written
        judge.judge(strips[unit], [])
    settings = {
        **run.settings,
        "judge": judge.name,
        "judged_before_by": run.settings.get("judge"),
        "judge_settings": dict(judge.about),
    }
    options = RunOptions(out, fresh=fresh)
    with RunFolder.open(options, run.experiment, run.model, settings, versions()) as folder:

        def do(part: Sequence[str]) -> list[Record]:
            (unit,) = part
            record = run.records[unit]
            _copy_picture(run.path, folder.path, record)
            kept = {key: value for key, value in record.items() if key != "unit"}
            judged = _kind_of(record).judged(record, strips[unit], judge, settings)
            return [{**kept, **judged}]

        folder.work([(unit, unit) for unit in run.records], do, progress)
        records = folder.ordered()
        kind = _kind_of(records[0])
        results = {
            **before,
            **kind.results(before, records),
            "agreement": _agreement(kind, list(run.records.values()), records),
        }
        folder.summarise(results)
    return folder


@dataclass(frozen=True)
class _Kind:
    """How records of one kind are judged again.

    Attributes:
        texts: what a judge is asked about.
        judged: the fields of a record that a judge changes; also given the run's settings.
        results: what of a summary changes, from the results before and the new records.
        panels: the panel of every text or step, to compare two judges.
    """

    texts: Callable[[Record], list[Asked]]
    judged: Callable[[Record, Strip, Judge, Mapping[str, Any]], Record]
    results: Callable[[Record, Sequence[Record]], Record]
    panels: Callable[[Record], list[int | None]]


def _answers_judged(record: Record, strip: Strip, judge: Judge, _: Mapping[str, Any]) -> Record:
    own, verdicts = judge_answers(judge, strip, *_baseline_and_answers(record))
    answers = [
        {**answer, **verdict.as_record()}
        for answer, verdict in zip(record["answers"], verdicts, strict=True)
    ]
    return {"baseline": {**record["baseline"], **own.as_record()}, "answers": answers}


def _baseline_and_answers(record: Record) -> tuple[str, list[str]]:
    return record["baseline"]["text"], [answer["text"] for answer in record["answers"]]


def _answers_results(before: Record, records: Sequence[Record]) -> Record:
    conditions = [{**c, **counted(c["key"], records)} for c in before["conditions"]]
    results = {"conditions": conditions, "unsteered": unsteered_summary(records)}
    return {**results, "peak": peak_of(conditions)} if "peak" in before else results


def _narration_judged(record: Record, strip: Strip, judge: Judge, _: Mapping[str, Any]) -> Record:
    passages = narrated(judge, strip, record["text"])
    ends = itertools.accumulate(map(len, record["pieces"]), initial=0)
    steps = list(itertools.pairwise(ends))
    return {"narrated": panel_per_step(passages, steps), "order": order_narrated(passages)}


def _dynamic_texts(record: Record) -> list[Asked]:
    """All segments of every narration together, and its sentences for the delays."""
    several: list[Asked] = []
    for told in record["narrations"].values():
        shown = segments_shown([segment["text"] for segment in told["segments"]])
        several += [*([shown] if shown else []), *sentences(told["text"])]
    return list(dict.fromkeys(several))


def _dynamic_judged(
    record: Record, strip: Strip, judge: Judge, settings: Mapping[str, Any]
) -> Record:
    narrations = {
        name: steer_dynamic.narration_record(
            judge, strip, record["schedule"], told["text"], told["pieces"], settings["segment"]
        )
        for name, told in record["narrations"].items()
    }
    return {"narrations": narrations}


def _dynamic_results(before: Record, records: Sequence[Record]) -> Record:
    sizes = {own["name"]: own["k"] for own in before["sets"]}
    return {"sets": [steer_dynamic.set_summary(n, k, records) for n, k in sizes.items()]}


_KINDS = {
    "answers": _Kind(
        lambda record: list[Asked](worth_asking(*_baseline_and_answers(record))),
        _answers_judged,
        _answers_results,
        lambda record: [answer["panel"] for answer in record["answers"]],
    ),
    "narrated": _Kind(
        lambda record: list[Asked](sentences(record["text"])),
        _narration_judged,
        lambda before, records: staircase.summary_of(
            records, {name: [heads] for name, heads in before["heads"].items()}
        ),
        lambda record: record["narrated"],
    ),
    "narrations": _Kind(
        _dynamic_texts,
        _dynamic_judged,
        _dynamic_results,
        lambda record: [
            segment["panel"]
            for told in record["narrations"].values()
            for segment in told["segments"]
        ],
    ),
}
"""By the field of a record that tells its kind."""


def _kind(record: Record) -> _Kind | None:
    return next((kind for field, kind in _KINDS.items() if field in record), None)


def _kind_of(record: Record) -> _Kind:
    if (kind := _kind(record)) is None:
        raise RunError(f"record {record.get('unit')!r} holds nothing to judge")
    return kind


def _agreement(kind: _Kind, before: Sequence[Record], after: Sequence[Record]) -> Record:
    """How many answers, or steps of narrations, are about the same panel by both judges."""
    same = [
        [old == new for old, new in zip(kind.panels(b), kind.panels(a), strict=True)]
        for b, a in zip(before, after, strict=True)
    ]
    return share([sum(strip) for strip in same], [len(strip) for strip in same]).as_dict()


def _copy_picture(source: Path, target: Path, record: Record) -> None:
    name = record["strip"]["picture"]
    try:
        (target / STRIPS).mkdir(exist_ok=True)
        shutil.copyfile(source / name, target / name)
    except OSError as error:
        raise RunError(f"cannot copy {source / name}: {error.strerror or error}") from error
