"""Which runs of a report belong together, and what tells those of one experiment apart."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gazeheads.study.experiments.counting import RANDOM
from gazeheads.study.experiments.tracking import CONTROL
from gazeheads.study.identity import IDENTITY
from gazeheads.study.report.numbers import Runs
from gazeheads.study.runs import RunError, RunFolder

_WORDS = {
    "prompt": "question", "ks": "K", "k": "K", "heads": "heads", "ranking": "ranking",
    "judge": "judge", "judge_settings": "judge's settings", "mode": "mode", "delta": "strength",
    "when": "steered while", "segment": "segment", "pool": "pool", "strips": "strips",
    "model_mark": "weights (mark)", "seed": "seed", "software": "software",
}  # fmt: skip
"""Settings as a reader calls them, the most telling ones first; others by their own names."""
_FOLLOWS = ("living", "model_heads", "head_sets", "heads_fingerprint", "strips_mark", "provenance")
"""What follows from other settings, or is told in another way."""
_LONGEST = 48  # characters of a setting


@dataclass(frozen=True)
class Bundle:
    """At most one run of every experiment, on one model.

    Attributes:
        model: its name.
        runs: by experiment.
        label: what tells it from others of the model; empty if it is the only one.
    """

    model: str
    runs: Runs
    label: str = ""

    @property
    def title(self) -> str:
        """The model, and what tells these runs from its others."""
        return f"{self.model}, {self.label}" if self.label else self.model


def bundles_of(runs: Sequence[RunFolder]) -> list[Bundle]:
    """Runs in bundles: those of a model together, unless an experiment is there twice.

    Then runs that lie in one output folder stay together.

    Raises:
        RunError: no runs, or one is given twice.
    """
    if not runs:
        raise RunError("no runs to report")
    for path, count in Counter(run.path.resolve() for run in runs).items():
        if count > 1:
            raise RunError(f"{path} is named twice: name every run once")
    models: dict[str, list[RunFolder]] = {}
    for run in runs:
        models.setdefault(run.model, []).append(run)
    return [bundle for model, own in models.items() for bundle in _of_model(model, own)]


def _of_model(model: str, runs: Iterable[RunFolder]) -> list[Bundle]:
    by_folder: dict[Path, list[Runs]] = {}
    for run in runs:
        there = by_folder.setdefault(_output_folder(run), [])
        free = next((own for own in there if run.experiment not in own), None)
        if free is None:
            there.append({run.experiment: run})
        else:
            free[run.experiment] = run
    joined: list[Runs] = []
    for own in (each for several in by_folder.values() for each in several):
        fitting = next((other for other in joined if not other.keys() & own.keys()), None)
        if fitting is None:
            joined.append(dict(own))
        else:
            fitting |= own
    bundles = [Bundle(model, own) for own in joined]
    return bundles if len(bundles) == 1 else _labelled(bundles)


def _output_folder(run: RunFolder) -> Path:
    return run.path.absolute().parents[2 if run.derived else 1]


def _labelled(bundles: Sequence[Bundle]) -> list[Bundle]:
    """With what differs between them; by their folders where that does not tell them apart."""
    told: list[dict[str, str]] = [{} for _ in bundles]
    for experiment in dict.fromkeys(name for bundle in bundles for name in bundle.runs):
        having = [i for i, bundle in enumerate(bundles) if experiment in bundle.runs]
        for word, values in differing([bundles[i].runs[experiment] for i in having]).items():
            for i, value in zip(having, values, strict=True):
                told[i].setdefault(word, value)
    labels = _labels(told)
    if len(set(labels)) < len(labels) or not all(labels):
        folders = _folder_names(bundles)
        labels = [
            f"{label}, {folder}" if label else folder
            for label, folder in zip(labels, folders, strict=True)
        ]
    return [replace(own, label=label) for own, label in zip(bundles, labels, strict=True)]


def _labels(told: Sequence[Mapping[str, str]]) -> list[str]:
    """As few of the differing settings as tell all bundles apart, the most telling ones first."""
    known = list(_WORDS.values())
    words = sorted(
        {word for own in told for word in own},
        key=lambda word: (known.index(word) if word in known else len(known), word),
    )
    labels = [""] * len(told)
    for count in range(1, len(words) + 1):
        labels = [
            ", ".join(f"{word} {own[word]}" for word in words[:count] if word in own)
            for own in told
        ]
        if all(labels) and len(set(labels)) == len(labels):
            break
    return labels


def _folder_names(bundles: Sequence[Bundle]) -> list[str]:
    """Where the first run of each lies, below what they have in common."""
    paths = [next(iter(bundle.runs.values())).path.absolute() for bundle in bundles]
    common = os.path.commonpath(paths)
    return [f"in {path.relative_to(common).as_posix()}" for path in paths]


def differing(runs: Sequence[RunFolder]) -> dict[str, list[str]]:
    """In which settings runs of one experiment differ: by word the value of every run."""
    settings = [_telling(run) for run in runs]
    for own, heads in zip(settings, _heads(runs), strict=True):
        own["heads"] = heads
    if len({run.model for run in runs}) > 1:
        for own in settings:
            own.pop("model_mark", None)
            own.pop("heads")
    found: dict[str, list[str]] = {}
    names = dict.fromkeys([*_WORDS, *(name for own in settings for name in own)])
    for name in names:
        values = [own.get(name) for own in settings]
        if any(value != values[0] for value in values):
            found[_WORDS.get(name, name.replace("_", " "))] = [_short(value) for value in values]
    return found


def _telling(run: RunFolder) -> dict[str, Any]:
    """The settings that may tell a run from another, and its software."""
    own = {name: value for name, value in run.settings.items() if name not in _FOLLOWS}
    software = [f"{name} {run.versions.get(name, 'unknown')}" for name in IDENTITY]
    if "strips_mark" in run.settings:
        own["strips"] = f"{own.get('strips', '')} ({run.settings['strips_mark'][:6]})".strip()
    return {**own, "software": ", ".join(software)}


def _heads(runs: Sequence[RunFolder]) -> list[str | None]:
    """A mark of the heads that every run chose, for as many of each set as all of them have.

    Sets are kept best first: runs that steer different numbers of one ranking have equal marks.
    """
    chosen = [_chosen(run.settings.get("head_sets") or {}) for run in runs]
    shared = [name for name in chosen[0] if all(name in own for own in chosen)]
    least = {name: min(len(own[name]) for own in chosen) for name in shared}
    return [
        _mark([own[name][: least[name]] for name in shared]) if shared else None for own in chosen
    ]


def _chosen(sets: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, Sequence[str]]:
    """By name without its number the longest set; random ones follow from the others."""
    found: dict[str, Sequence[str]] = {}
    for key, draws in sets.items():
        name = key.rpartition("-")[0] if key.rpartition("-")[2].isdigit() else key
        if name in (RANDOM, CONTROL) or not draws:
            continue
        if len(draws[0]) > len(found.get(name, ())):
            found[name] = draws[0]
    return found


def _mark(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:6]


def _short(value: Any) -> str:
    """A setting in a few characters."""
    if value is None:
        return "none"
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(each, int | float | str) for each in value):
        text = ", ".join(map(str, value))
    else:
        text = json.dumps(value, ensure_ascii=False)
        text = text if len(text) <= _LONGEST else f"set {_mark(value)}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
