"""Finished runs as tables: what every sample said, and every estimate with its interval.

    run = read_run("runs/steer-vqa/comic-tiny")
    samples = samples_df(run)     # one row per answer
    summary = summary_df([run])   # one row per estimate

Files, fields and columns: `docs/results.md`. Tables need pandas: `gazeheads[results]`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gazeheads.frames import data_frame
from gazeheads.judges.verdict import Verdict
from gazeheads.study.arrays import unpacked
from gazeheads.study.disk import SETTINGS
from gazeheads.study.experiments.counting import GAZE
from gazeheads.study.runs import RunError, RunFolder, find_runs

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["read_run", "read_runs", "samples_df", "summary_df"]

SAMPLE_COLUMNS = ("experiment", "model", "unit", "number", "part", "condition", "k", "draw")
"""The first columns of `samples_df`, of every experiment."""
SUMMARY_COLUMNS = (
    "experiment", "model", "seed", "variant", "condition", "k", "measure", "place", "value", "low",
    "high", "n",
)  # fmt: skip
"""All columns of `summary_df`."""
_WHOLE = ("number", "k", "draw", "target", "panel", "place", "n", "seed")
_TRUE = ("follows", "mixed", "repeats")
"""Columns of whole numbers, and of what holds or not; a cell may be missing in both."""
_ESTIMATE = {"value", "low", "high"}


def read_run(path: str | os.PathLike[str]) -> RunFolder:
    """A run: its `settings`, `records`, `summary` and `versions`.

    Args:
        path: of the folder that holds its `settings.json`.

    Raises:
        RunError: there is none, or it is damaged.
    """
    folder = Path(path)
    if (folder / SETTINGS).is_file():
        return RunFolder(folder)
    below = sorted(folder.rglob(SETTINGS)) if folder.is_dir() else []
    if below:
        raise RunError(
            f"{folder} is no run but holds {len(below)}: name one of them, such as "
            f"{below[0].parent}, or read them all with read_runs"
        )
    raise RunError(f"no run in {folder}: name a folder that holds {SETTINGS}")


def read_runs(*paths: str | os.PathLike[str]) -> list[RunFolder]:
    """The whole runs at or below folders, in the order of their paths.

    Raises:
        RunError: a folder holds none.
    """
    return find_runs(paths)


def samples_df(run: RunFolder) -> DataFrame:
    """What every sample said: one row per answer, narration, object, phrase, ...

    A record's lists of parts become rows, and `part` says which field they come from; where a
    record has none it is one row. `condition` and `k` are the heads that were steered, `draw` the
    random set (from 0), `variant` what else is changed; of an answer `follows` says whether it
    counts as a hit. Parts inside a part are columns with a dot, such as `quality.log_prob`; arrays
    are arrays of NumPy.

    Args:
        run: see `read_run`; it need not be finished.

    Raises:
        GazeheadsError: pandas is not installed, or a record is damaged.
    """
    rows = [row for record in run.ordered() for row in _samples(run, record)]
    found = dict.fromkeys(name for row in rows for name in row)
    return _table(rows, list(dict.fromkeys(SAMPLE_COLUMNS) | found))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    kinds = dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_TRUE, "boolean")
    own = {name: kind for name, kind in kinds.items() if name in columns}
    return data_frame(rows, columns).astype(own)


def _samples(run: RunFolder, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    about = {"experiment": run.experiment, "model": run.model}
    parts = {name: own for name, own in record.items() if _is_part(name, own)}
    for name in record:
        if name not in parts and name != "strip":
            about |= _flat(record, name)
    if not parts:
        yield about
    for name, own in parts.items():
        for given, item in _items(name, own):
            cells = {key: value for field in item for key, value in _flat(item, field).items()}
            told = _steered({**given, **cells})
            yield {**about, "part": name, **told, **_called(run, told)}


def _is_part(name: str, own: Any) -> bool:
    """Whether a field of a record holds samples: parts, in a list or by name."""
    if name == "strip" or _is_array(own):
        return False
    if isinstance(own, Mapping):
        inside = list(own.values())
        return "text" in own or (bool(inside) and all(_is_dict(each) for each in inside))
    return isinstance(own, list) and bool(own) and all(isinstance(each, dict) for each in own)


def _is_dict(own: Any) -> bool:
    several = own if isinstance(own, list) else [own]
    return bool(several) and all(isinstance(each, dict) for each in several)


def _is_array(own: Any) -> bool:
    return isinstance(own, Mapping) and set(own) == {"shape", "kind", "data"}


def _items(name: str, own: Any) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """The samples of a field, and what is known of each besides its own fields."""
    if isinstance(own, list):
        yield from (({}, each) for each in own)
    elif "text" in own:  # a single text
        yield {"condition": "unsteered" if name in ("baseline", "plain") else name}, own
    else:
        for key, each in own.items():
            several = each if isinstance(each, list) else [each]
            for draw, one in enumerate(several):
                yield {"condition": key, **({"draw": draw} if isinstance(each, list) else {})}, one


def _flat(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The cells of a field: an array as one, parts and words by name as several."""
    own = record[name]
    if _is_array(own):
        return {name: unpacked(record, name)}
    if isinstance(own, Mapping):
        inside = {key: cell for each in own for key, cell in _flat(own, each).items()}
        return {f"{name}.{key}": cell for key, cell in inside.items()}
    return {name: own}


def _called(run: RunFolder, cells: Mapping[str, Any]) -> dict[str, Any]:
    """The heads under test by the name of their ranking."""
    tested = cells.get("condition") == GAZE
    return {"condition": run.settings.get("ranking", GAZE)} if tested else {}


def _steered(cells: dict[str, Any]) -> dict[str, Any]:
    """The heads of an answer by name and number, and whether it follows them."""
    key = str(cells.get("condition", ""))
    name, _, k = key.rpartition("-")
    if name and k.isdigit():
        cells |= {"condition": name, "k": int(k)}
    elif "target" in cells:  # a dose: the same heads at another strength
        cells |= {"condition": GAZE, "variant": key}
    if "target" in cells and "reason" in cells:
        cells |= {"draw": cells.get("draw", 0)}
        cells |= {"follows": Verdict.of_record(cells).hits(int(cells["target"]))}
    return cells


def summary_df(runs: RunFolder | Iterable[RunFolder]) -> DataFrame:
    """Every estimate of finished runs: one row each, the same columns for all experiments.

    `measure` is its name in `summary.json`, below what it belongs to; `place` counts from 1 where
    there are several in a row, such as panels, layers or draws. `value`, `low` and `high` are
    missing where nothing was counted.

    Raises:
        GazeheadsError: pandas is not installed.
        RunError: a run is not finished.
    """
    several = [runs] if isinstance(runs, RunFolder) else list(runs)
    rows = []
    for run in several:
        summary = run.summary
        about = {"experiment": run.experiment, "model": run.model, "seed": summary["seed"]}
        found = _estimates(summary["results"], (), {})
        rows += [{**about, **row, **_called(run, row)} for row in found]
    return _table(rows, SUMMARY_COLUMNS)


def _estimates(
    own: Any, path: tuple[str, ...], given: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The estimates anywhere inside results.

    Args:
        own: a part of results.
        path: names of the fields it lies under, without those that say what it is about.
        given: what it is about.
    """
    if isinstance(own, Mapping) and set(own) >= _ESTIMATE:
        total = own.get("total", own.get("count"))
        known = {name: own[name] for name in _ESTIMATE} if total else {}
        yield {**given, "measure": ".".join(path), **known, "n": total}
    elif isinstance(own, Mapping):
        about = {**given, **_about(own)}
        for name, inside in own.items():
            yield from _estimates(inside, (*path, name), about)
    elif isinstance(own, list):
        for place, inside in enumerate(own, 1):
            named = isinstance(inside, Mapping) and bool({"condition", "name"} & set(inside))
            where = path[:-1] if named else path
            yield from _estimates(inside, where, given if named else {**given, "place": place})


def _about(own: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry of a list says it is about."""
    found = {}
    if isinstance(own.get("k"), int):
        found["k"] = own["k"]
    if "condition" in own:
        found["condition"] = own["condition"]
    elif "name" in own:
        found["condition" if "k" in own else "variant"] = own["name"]
    return found
