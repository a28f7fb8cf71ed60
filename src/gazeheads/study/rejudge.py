"""Judging the stored texts of a run again, without the model: steered answers, or narrations.

The texts stay as they are; another judge gives new verdicts under the study's rules, and a run
folder of the same shape is written elsewhere, so that `gazeheads report` reads it like any other.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gazeheads.data.strip import Strip
from gazeheads.judges import Judge
from gazeheads.judges.verdict import Asked
from gazeheads.progress import Progress
from gazeheads.study.disk import STRIPS
from gazeheads.study.experiment import Rejudging, Values, registry
from gazeheads.study.identity import versions
from gazeheads.study.pictures import kept_strip
from gazeheads.study.runs import RunError, RunFolder, RunOptions, folder_of
from gazeheads.study.stats import share_of


def judged_runs(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Those of the runs that hold texts a judge has judged.

    Raises:
        RunError: none does, or one of them is not finished.
    """
    found = [run for run in runs if run.records and _known(run) is not None]
    if not found:
        names = ", ".join(str(run.path) for run in runs)
        raise RunError(f"no steered answers and no narrations to judge in {names}")
    for run in found:
        _ = run.summary  # raises if the run is not finished
    return found


def out_beside(run: RunFolder, judge: str) -> Path:
    """Where the runs that a judge judged again go by default: `runs` -> `runs-by-caption`."""
    root = run.path.parents[2 if run.derived else 1]
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", judge).strip("-")
    return root.with_name(f"{root.name or 'runs'}-by-{slug}")


def strips_of(run: RunFolder, given: Sequence[Strip] | None = None) -> dict[str, Strip]:
    """The strips a run is about, by record.

    Args:
        run: with pictures, captions and truths of its strips.
        given: the strips themselves; None: as the run kept them (at most 1,600 px wide).

    Raises:
        RunError: a strip is not among those given.
    """
    name_of = _rejudging(run).strip_of
    names = {unit: name_of(record) for unit, record in run.records.items()}
    if given is None:
        return {
            unit: kept_strip(run.path, names[unit], record["strip"])
            for unit, record in run.records.items()
        }
    by_id = {strip.id: strip for strip in given}
    if missing := [name for name in names.values() if name not in by_id]:
        raise RunError(f"strip {missing[0]!r} of {run.path} is not among the strips given")
    return {unit: by_id[name] for unit, name in names.items()}


def texts_to_judge(run: RunFolder) -> dict[str, list[Asked]]:
    """The texts that a judge is asked about, by record; segments of one text together."""
    texts = _rejudging(run).texts
    return {unit: texts(record) for unit, record in run.records.items()}


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
        strips: of the run, by record (see `strips_of`).
        progress: called with (strips done, strips in all).
        fresh: start over.

    Returns:
        The new run. Its results also say how often the verdicts are the earlier judge's.
    """
    before = run.summary["results"]
    target = folder_of(out, run.experiment, run.model)
    if target.resolve() == run.path.resolve():
        raise RunError(f"{run.path} would be written over: name another --out")
    for unit in run.records:  # one that the judge cannot judge is told before anything is written
        judge.judge(strips[unit], [])
    kind = _rejudging(run)
    settings = {
        **run.settings,
        "judge": judge.name,
        "judged_before_by": run.settings.get("judge"),
        "judge_settings": dict(judge.about),
    }
    options = RunOptions(out, fresh=fresh)
    software = versions()
    with RunFolder.open(
        options, run.experiment, run.model, settings, software, ("gazeheads",)
    ) as folder:

        def do(part: Sequence[str]) -> list[Values]:
            (unit,) = part
            record = run.records[unit]
            _copy_picture(run.path, folder.path, record)
            kept = {key: value for key, value in record.items() if key != "unit"}
            judged = kind.judged(record, strips[unit], judge, settings)
            return [{**kept, **judged}]

        folder.work([(unit, unit) for unit in run.records], do, progress)
        records = folder.ordered()
        results = {
            **before,
            **kind.results(before, records),
            "agreement": _agreement(kind, run.ordered(), records),
        }
        folder.summarise(results)
    return folder


def _known(run: RunFolder) -> Rejudging | None:
    experiment = registry().get(run.experiment)
    return None if experiment is None else experiment.rejudging


def _rejudging(run: RunFolder) -> Rejudging:
    if (kind := _known(run)) is None:
        raise RunError(f"{run.path} holds nothing to judge")
    return kind


def _agreement(kind: Rejudging, before: Sequence[Values], after: Sequence[Values]) -> Values:
    """How many answers, or steps of narrations, are about the same panel by both judges."""
    same = [
        [old == new for old, new in zip(kind.panels(b), kind.panels(a), strict=True)]
        for b, a in zip(before, after, strict=True)
    ]
    return share_of(same).as_dict()


def _copy_picture(source: Path, target: Path, record: Values) -> None:
    name = record["strip"]["picture"]
    try:
        (target / STRIPS).mkdir(exist_ok=True)
        shutil.copyfile(source / name, target / name)
    except OSError as error:
        raise RunError(f"cannot copy {source / name}: {error.strerror or error}") from error
