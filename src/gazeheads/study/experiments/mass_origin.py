"""Where the mass that steering moves comes from: other panels, the prompt, the sink, the text.

The attention of the steered heads is summed over groups of keys, plain and steered, at the last
prompt token and over the text that is then written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gazeheads import prompts
from gazeheads.data.strip import Strip
from gazeheads.heads import HeadSet
from gazeheads.regions import ImageTokens
from gazeheads.study.experiment import Command, Experiment, NoOptions, Work, register
from gazeheads.study.experiments.controls import control_heads
from gazeheads.study.experiments.counting import ALL, GAZE, RANDOM
from gazeheads.study.identity import whole_settings
from gazeheads.study.runs import RunFolder, RunOptions
from gazeheads.study.schema import Record, Stored
from gazeheads.study.stats import mean

if TYPE_CHECKING:
    from gazeheads.models import VLM
    from gazeheads.study.context import ExperimentContext

EXPERIMENT = "mass-origin"
GROUPS = ("target", "other panels", "rest of the image", "first token", "prompt", "written text")
"""Where attention lies. The first token of the sequence is where language models leave attention
that they have no use for: the attention sink."""
STRIPS = 10
_DIGITS = 5


@dataclass(frozen=True)
class MassSettings:
    """Settings of `run`.

    Attributes:
        prompt, max_new_tokens: the question, and how long answers are.
        mode, delta: of the steering; the defaults are the study's.
        seed: of the random heads.
    """

    prompt: str = prompts.VQA
    max_new_tokens: int = 15
    mode: Literal["soft", "hard", "paper", "within"] = "paper"
    delta: float = 10_000.0
    seed: int = 0


class Masses(Stored):
    """Shares of attention by group (see `GROUPS`), averaged over heads and targets.

    Attributes:
        plain, steered: at the last prompt token.
        writing_plain, writing_steered: averaged over the tokens written after the first.
    """

    plain: list[float]
    steered: list[float]
    writing_plain: list[float]
    writing_steered: list[float]


class MassRecord(Record):
    """One strip: the masses of every condition's heads."""

    conditions: dict[str, Masses]


def run(
    vlm: VLM,
    strips: Sequence[Strip],
    head_sets: Mapping[str, HeadSet],
    settings: MassSettings,
    options: RunOptions,
) -> RunFolder:
    """Measures every strip; goes on where an earlier run stopped.

    Args:
        vlm: the model.
        strips: to ask about.
        head_sets: heads to steer, by name.
        settings: see there.
        options: where to and how.
    """
    sets = {n: (own,) for n, own in head_sets.items()}
    whole = {**whole_settings(settings, vlm, strips, sets), **options.heads_from}

    def work(folder: RunFolder) -> list[Work[Strip]]:
        def do(part: Sequence[Strip]) -> list[dict[str, Any]]:
            (strip,) = part
            found = {name: _masses(vlm, strip, own, settings) for name, own in head_sets.items()}
            return [{"conditions": found}]

        return [Work([(strip.id, strip) for strip in strips], do)]

    return MASS_ORIGIN.carry_out(vlm.name, whole, options, work)


def _masses(vlm: VLM, strip: Strip, heads: HeadSet, settings: MassSettings) -> dict[str, Any]:
    from gazeheads.models.masses import group_masses  # noqa: PLC0415 - loads torch
    from gazeheads.steering import Steering  # noqa: PLC0415 - loads torch

    encoded = vlm.encode(strip.image, settings.prompt)
    panels = range(1, len(strip) + 1)
    rows: list[Any] = [(encoded, None) for _ in panels]
    for panel in panels:
        steering = Steering(heads, strip.panel(panel), settings.delta, settings.mode)
        rows.append((encoded, steering))

    def groups_for(panel: int) -> Any:
        return lambda tokens, length: groups_of(strip, panel, tokens, length)

    groups = [groups_for(panel) for panel in (*panels, *panels)]
    found = group_masses(vlm, rows, heads, groups, settings.max_new_tokens)
    plain, steered = found[: len(strip)], found[len(strip) :]
    return {
        "plain": _mean([each[:1] for each in plain]),
        "steered": _mean([each[:1] for each in steered]),
        "writing_plain": _mean([each[1:] for each in plain]),
        "writing_steered": _mean([each[1:] for each in steered]),
    }


def _mean(several: Sequence[np.ndarray]) -> list[float]:
    """By group the mean over texts of the mean over steps and heads; empty texts are left out."""
    own = [each.mean((0, 1)) for each in several if len(each)]
    table = np.mean(own, 0) if own else np.zeros(len(GROUPS))
    return [round(float(value), _DIGITS) for value in table]


def groups_of(strip: Strip, target: int, tokens: ImageTokens, length: int) -> np.ndarray:
    """(S, 5) which of a prompt's keys are of the target, other panels, the rest of the image, are
    the first token, or other text of the prompt."""
    table = np.zeros((length, len(GROUPS) - 1))
    table[:, 4] = 1
    table[0, 3] = 1
    table[tokens.positions, 2] = 1
    for panel in range(1, len(strip) + 1):
        own = tokens.positions[tokens.indices(strip.panel(panel))]
        table[own, 0 if panel == target else 1] = 1
    # a key counts once: the first group that it is in, in this order
    taken = np.zeros(length, dtype=bool)
    for group in (0, 1, 2, 3, 4):
        table[taken, group] = 0
        taken |= table[:, group] > 0
    return table


def results(folder: RunFolder) -> dict[str, Any]:
    """The summary of a run: by condition the masses, and where the target's gain came from."""
    records = folder.ordered()
    return {
        "groups": list(GROUPS),
        "strips": len(records),
        "conditions": [
            {
                "condition": name,
                "k": len(heads[0]),
                **{
                    moment: _moment([record["conditions"][name] for record in records], *kinds)
                    for moment, kinds in (
                        ("prompt_end", ("plain", "steered")),
                        ("writing", ("writing_plain", "writing_steered")),
                    )
                },
            }
            for name, heads in folder.settings["head_sets"].items()
        ],
    }


def _moment(records: Sequence[Mapping[str, Any]], plain: str, steered: str) -> dict[str, Any]:
    before = np.array([record[plain] for record in records])
    after = np.array([record[steered] for record in records])
    lost = (before - after)[:, 1:].mean(0)
    gained = float((after - before)[:, 0].mean())
    shares = (lost / gained).round(_DIGITS).tolist() if gained > 1e-6 else None
    return {
        "plain": [_estimate(column) for column in before.T],
        "steered": [_estimate(column) for column in after.T],
        "gained": gained,
        "from": None if shares is None else dict(zip(GROUPS[1:], shares, strict=True)),
    }


def _estimate(values: np.ndarray) -> dict[str, Any]:
    found = mean(values.tolist())
    return found.as_dict() if found is not None else {}


def _measured(context: ExperimentContext, options: NoOptions) -> list[RunFolder]:
    """Gaze heads, one draw of random heads, and all heads."""
    del options
    sets = {GAZE: context.scores.top(context.k)}
    if drawn := control_heads(context.scores, context.k, 1, context.seed, "matched"):
        sets[RANDOM] = drawn[0]
    sets[ALL] = context.scores.all()
    announced = context.announced("Finding where the attention came from")
    settings = MassSettings(seed=context.seed)
    return [run(context.vlm, context.strips[:STRIPS], sets, settings, announced)]


MASS_ORIGIN = register(
    Experiment(
        EXPERIMENT,
        "Where the attention that steering moves came from",
        MassSettings,
        results,
        MassRecord,
        Command(
            "mass-origin",
            "Where the attention that the target gains came from: panels, prompt, sink, text.",
            _measured,
            judges=False,
            place=45,
            full=(NoOptions(),),
            quick=(NoOptions(),),
        ),
    )
)
