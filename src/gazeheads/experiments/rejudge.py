"""Judging the stored answers of a run again, without the model.

The answers stay as they are; another judge gives new verdicts under the study's rules, and a run
folder of the same shape is written elsewhere, so that `gazeheads report` reads it like any other.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gazeheads.experiments.disk import STRIPS
from gazeheads.experiments.identity import versions
from gazeheads.experiments.pictures import kept_strip
from gazeheads.experiments.runs import Progress, RunError, RunFolder, RunOptions, folder_of
from gazeheads.experiments.statistics import share
from gazeheads.experiments.steer_vqa import peak_of
from gazeheads.experiments.steered_answers import counted, unsteered_summary
from gazeheads.judging import Judge, judge_answers, worth_asking
from gazeheads.strips.strip import Strip

Record = dict[str, Any]


def judged_runs(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Those of the runs that hold steered answers.

    Raises:
        RunError: none does, or one of them is not finished.
    """
    found = [run for run in runs if any("answers" in r for r in run.records.values())]
    if not found:
        names = ", ".join(str(run.path) for run in runs)
        raise RunError(f"no steered answers to judge in {names}")
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


def texts_to_judge(record: Record) -> list[str]:
    """The texts of a record that the study's rules ask a judge about."""
    baseline, answers = _texts(record)
    return worth_asking(baseline, answers)


def rejudge(
    run: RunFolder,
    judge: Judge,
    about: Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    strips: Mapping[str, Strip],
    progress: Progress | None = None,
    fresh: bool = False,
) -> RunFolder:
    """Judges every answer of a finished run; goes on where an earlier attempt stopped.

    Args:
        run: the finished run; it is not changed.
        judge: gives the verdicts.
        about: settings of the judge that the verdicts depend on.
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
    settings = {
        **run.settings,
        "judge": judge.name,
        "judged_before_by": run.settings.get("judge"),
        "judge_settings": dict(about),
    }
    options = RunOptions(out, fresh=fresh)
    with RunFolder.open(options, run.experiment, run.model, settings, versions()) as folder:

        def do(part: Sequence[str]) -> list[Record]:
            (unit,) = part
            record = run.records[unit]
            _copy_picture(run.path, folder.path, record)
            return [_judged(record, strips[unit], judge)]

        folder.work([(unit, unit) for unit in run.records], do, progress)
        records = folder.ordered()
        conditions = [{**c, **counted(c["key"], records)} for c in before["conditions"]]
        results = {
            **before,
            "conditions": conditions,
            "unsteered": unsteered_summary(records),
            "agreement": _agreement(list(run.records.values()), records),
        }
        if "peak" in before:
            results["peak"] = peak_of(conditions)
        folder.summarise(results)
    return folder


def _judged(record: Record, strip: Strip, judge: Judge) -> Record:
    baseline, texts = _texts(record)
    own, verdicts = judge_answers(judge, strip, baseline, texts)
    answers = [
        {**answer, **verdict.as_record()}
        for answer, verdict in zip(record["answers"], verdicts, strict=True)
    ]
    kept = {key: value for key, value in record.items() if key != "unit"}
    return {**kept, "baseline": {**record["baseline"], **own.as_record()}, "answers": answers}


def _texts(record: Record) -> tuple[str, list[str]]:
    return record["baseline"]["text"], [answer["text"] for answer in record["answers"]]


def _agreement(before: Sequence[Record], after: Sequence[Record]) -> dict[str, Any]:
    """How many answers describe the same panel, or none, by both judges."""
    same = [
        [old["panel"] == new["panel"] for old, new in zip(b["answers"], a["answers"], strict=True)]
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
