"""Every experiment of the study on one model, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gazeheads.study.context import ExperimentContext
from gazeheads.study.experiment import commands
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.runs import RunFolder

QUICK_STRIPS = 3
"""Strips to measure on in a quick run."""


def run(context: ExperimentContext, quick: bool, sweep_k: bool) -> Iterator[RunFolder]:
    """Runs everything; each part goes on where it stopped and is given out when it is done.

    Args:
        context: the model; its `k` is used unless `sweep_k`.
        quick: little of everything.
        sweep_k: choose the number of heads by a sweep on the tuning strips first.
    """
    seen = set()
    for each in core(context, sweep_k):
        seen.add(each.path)
        if each.experiment == steer_vqa.EXPERIMENT:
            context = replace(context, k=int(each.settings["ks"][0]))
        yield each
    for command in commands():
        for options in command.quick if quick else command.full:
            for each in command.run(context, options):
                if each.path not in seen:  # several build on the same run
                    seen.add(each.path)
                    yield each


def core(context: ExperimentContext, sweep_k: bool) -> Iterator[RunFolder]:
    """What is compared between models: the heads, how many to steer, and the main table."""
    if context.discovery is not None:
        yield context.discovery
    if sweep_k:
        swept = steer_vqa.sweep_k(context, shared=True)
        yield swept
        context = replace(context, k=int(swept.summary["results"]["peak"]["k"]))
    yield steer_vqa.answers(context)
