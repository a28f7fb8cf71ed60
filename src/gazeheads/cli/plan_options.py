"""``--plan``: what a command would take, told before anything is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gazeheads.cli.session import Common
    from gazeheads.study.planning.estimate import Cost, Estimator
    from gazeheads.study.planning.loads import Scale, Workload
    from gazeheads.study.planning.plan import Plan

GIB = 1 << 30


@dataclass(frozen=True)
class Planning:
    """Options of commands that can be planned."""

    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what it would take; load and write nothing.")
    ] = False
    card: Annotated[
        str | None,
        typer.Option(help="With --plan: h100, a100, rtx4090 ... or cpu, this one (the default)."),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False

    def check(self) -> None:
        """Raises GazeheadsError if they are named without --plan."""
        from gazeheads.errors import GazeheadsError

        if not self.plan and (self.card is not None or self.json):
            raise GazeheadsError("--card and --json are of --plan: name that too")


def tell_plan(common: Common, planning: Planning, work: Callable[[Scale], list[Workload]]) -> None:
    """Prints the plan of a command.

    Args:
        common, planning: its options.
        work: what it does, at a scale.
    """
    from gazeheads.cli import resolve, terminal
    from gazeheads.cli.chosen_heads import ChosenHeads
    from gazeheads.study.planning.plan import plan, scale_for

    chosen = None
    if common.heads is not None:
        chosen = ChosenHeads(common.heads, common.seed, common.heads_anyway)
    count = common.limit
    given = resolve.strips_for(common.strips, count, common.seed) if common.strips else None
    strip = (given or resolve.strips_for(None, 1, common.seed))[0]
    estimator, _ = estimator_of(common.model, planning.card, quantised=False)
    shape = estimator.model.shape
    scores = None if chosen is None else chosen.before_loading((shape.layers, shape.heads))
    scale = scale_for(
        estimator.model, strip, len(given or ()) or count, count, scores, common.k, common.seed,
        estimator, common.batch_size,
    )  # fmt: skip
    found = plan(estimator, work(scale), scores is not None)
    if planning.json:
        print(json.dumps(_as_json(found)))
        return
    terminal.table(_HEAD, [_row(cost) for cost in (*found.costs, _total(found))])
    _tell_machine(found)


def estimator_of(model: str, card: str | None, quantised: bool = True) -> tuple[Estimator, str]:
    """What tells costs of a model on a card, from its small files alone, and its precision.

    Args:
        model: as the user names it.
        card: None: this processor.
        quantised: whether it may be quantised: what is told of it then is told as if it was not.

    Raises:
        GazeheadsError: no such model or card, or an option of loading that changes what is told.
    """
    from gazeheads.cli import terminal
    from gazeheads.errors import GazeheadsError
    from gazeheads.models.blueprint import ELEMENT_BYTES
    from gazeheads.study.planning.estimate import Estimator
    from gazeheads.study.planning.machines import CARDS, CPU, machine_named

    options = terminal.LOAD_OPTIONS.get({})
    if options.get("quantization") and not quantised:
        raise GazeheadsError("a plan knows no quantisation: plan without it")
    name = card or CPU
    if name.lower() not in (CPU, *CARDS):
        raise GazeheadsError(f"no card {name!r}: choose from {', '.join((CPU, *CARDS))}")
    found = terminal.blueprint_quietly(model)
    shape = found.shape
    working = 4 * (shape.layer * shape.layers + shape.head)
    machine = machine_named(name, (shape.hidden, shape.intermediate), working)
    dtype = str(options.get("dtype") or ("float32" if machine.measured else shape.dtype))
    if dtype == "auto":
        dtype = shape.dtype
    if dtype not in ELEMENT_BYTES:
        raise GazeheadsError(f"no precision {dtype!r}: choose from {', '.join(ELEMENT_BYTES)}")
    return Estimator(found, machine, ELEMENT_BYTES[dtype]), dtype


_HEAD = ("experiment", "units", "prompts", "read", "written", "FLOPs", "time", "memory")


def _row(cost: Cost) -> list[str]:
    from gazeheads.study.planning.estimate import duration

    return [
        cost.experiment, f"{cost.units:,}", f"{cost.prompts:,}", f"{cost.read:,}",
        f"{cost.written:,}", f"{cost.flops:.1e}", duration(cost.seconds),
        f"{cost.memory / GIB:.1f} GiB",
    ]  # fmt: skip


def _total(found: Plan) -> Cost:
    from gazeheads.study.planning.estimate import total

    return replace(total(found.costs), experiment="all of it")


def _tell_machine(found: Plan) -> None:
    from gazeheads.cli import terminal
    from gazeheads.study.planning.estimate import duration

    whole, machine = _total(found), found.machine
    fits = ""
    if machine.memory:
        enough = "fits" if whole.memory < machine.memory else "does not fit: lower --batch-size"
        fits = f"; {whole.memory / GIB:.1f} of {machine.memory / GIB:.0f} GiB: {enough}"
    named = "this processor" if machine.measured else machine.name
    told = f"{found.model} on {named}: about {duration(whole.seconds)}{fits}"
    terminal.out.print(told, markup=False)
    for assumed in found.assumed:
        terminal.out.print(f"- {assumed}", markup=False)


def _as_json(found: Plan) -> dict[str, Any]:
    whole = asdict(_total(found))
    return {
        "kind": "plan",
        "model": found.model,
        "machine": asdict(found.machine),
        "parameters": found.shape.parameters,
        "experiments": [asdict(cost) for cost in found.costs],
        "all": {name: value for name, value in whole.items() if name != "experiment"},
        "assumed": list(found.assumed),
    }
