"""Runs that other runs build on, such as the discovery of the heads that are steered.

What a command does follows from its options alone. So a run it builds on is never just the one
that happens to lie in the output folder: that one serves only if it was made with exactly the
settings needed; otherwise it is made, in a folder named by those settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gazeheads.errors import GazeheadsError
from gazeheads.study.disk import SETTINGS
from gazeheads.study.identity import IDENTITY, differences, versions
from gazeheads.study.options import RunOptions
from gazeheads.study.runs import RunFolder, folder_of
from gazeheads.study.schema import SCHEMA_VERSION


def options_for_shared(
    options: RunOptions,
    experiment: str,
    model: str,
    settings: Mapping[str, Any],
    claims: bool = False,
) -> RunOptions:
    """The options under which a run that others build on is found or made, always whole.

    Args:
        options: of what builds on it.
        experiment, model: of the run.
        settings: exactly those needed.
        claims: take the run's own place too where nothing lies there, and start over there with
            `fresh`: for what no command of its own makes, and for commands that do everything.

    Returns:
        The run's own place if exactly that run lies there, and a folder named by the settings and
        the software otherwise. With `fresh` the latter, unless it `claims`: what a command made
        for itself is made anew, what another command made is left alone.
    """
    whole = replace(options, shard=None)
    asked, software = json.loads(json.dumps(dict(settings))), versions()
    own = folder_of(options.out, experiment, model)
    if claims and not (own / SETTINGS).exists():
        return whole
    if (claims or not options.fresh) and _holds(own, asked, software):
        return whole
    about = [asked, {name: software.get(name) for name in IDENTITY}]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return replace(whole, place=f"for-{key}")


def _holds(path: Path, settings: Mapping[str, Any], software: Mapping[str, str]) -> bool:
    """Whether a folder holds exactly such a run, finished or begun."""
    if not (path / SETTINGS).exists():
        return False
    try:
        there = RunFolder(path)
    except GazeheadsError:  # damaged: it is not what is needed
        return False
    return there.schema_version == SCHEMA_VERSION and not (
        differences(there.settings, settings) or differences(there.versions, software, IDENTITY)
    )


def one_of_each(
    runs: Sequence[RunFolder], named: Sequence[Path]
) -> tuple[list[RunFolder], list[RunFolder]]:
    """The runs to report, and those left out of several that others built on.

    Args:
        runs: found below some folders.
        named: those folders; a run that is named itself is never left out.
    """
    kept: list[RunFolder] = []
    left: list[RunFolder] = []
    for run in runs:
        same = [r for r in runs if (r.experiment, r.model) == (run.experiment, run.model)]
        spare = run.derived and len(same) > 1 and run.path not in named
        (left if spare else kept).append(run)
    return kept, left
