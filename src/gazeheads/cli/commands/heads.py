"""``gazeheads heads``: the head sets that are kept for models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gazeheads.head_set import HeadSet

_SHOWN = 24  # heads named on one line

heads_app = typer.Typer(
    help="Head sets that are kept for models, and used where --heads is not named.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@heads_app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """The sets of this package and of your cache."""
    from gazeheads.cli import terminal
    from gazeheads.files import json_text
    from gazeheads.heads_registry import registered_heads, user_folder

    every = registered_heads()
    if as_json:
        data = [
            {
                "model": each.heads.model, "fingerprint": each.heads.fingerprint,
                "heads": len(each.heads), "delta": each.heads.delta, "path": str(each.path),
            }
            for each in every
        ]  # fmt: skip
        terminal.out.print(json_text(data), markup=False)
        return
    rows = [
        (
            each.heads.model,
            each.heads.fingerprint or "by name alone",
            str(len(each.heads)),
            "" if each.heads.delta is None else f"{each.heads.delta:g}",
            _share(each.heads.found.get("accuracy")),
            each.source,
        )
        for each in every
    ]
    terminal.table(("model", "weights", "heads", "strength", "follow", "kept in"), rows)
    terminal.err.print(f"Your own are kept in {user_folder()}", markup=False)


@heads_app.command("show")
def show_command(
    which: Annotated[str, typer.Argument(help="A file, or a model's name in the list.")],
) -> None:
    """Which heads, how strong, how found, and how well they steer."""
    from gazeheads.errors import GazeheadsError
    from gazeheads.head_set import HeadSet
    from gazeheads.heads_registry import registered_heads

    if Path(which).is_file():
        tell_heads(HeadSet.load(which))
        return
    every = [each for each in registered_heads() if each.heads.model == which]
    if not every:
        raise GazeheadsError(
            f"{which} is neither a file nor a model that heads are kept for: gazeheads heads list "
            "names those"
        )
    for each in every:
        tell_heads(each.heads)


@heads_app.command("add")
def add_command(
    file: Annotated[Path, typer.Argument(help="A head set, as tune or dose writes it.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is kept for the same weights.")
    ] = False,
) -> None:
    """Keep a head set in your cache, for the weights it was found in."""
    from gazeheads.cli import terminal
    from gazeheads.heads_registry import add_heads

    kept = add_heads(file, overwrite)
    terminal.out.print(f"Kept: {kept.path}", markup=False)


def tell_heads(heads: HeadSet) -> None:
    """Prints a set for people."""
    from gazeheads.cli import terminal

    found: dict[str, Any] = dict(heads.found)
    shown = " ".join(str(head) for head in heads.heads[:_SHOWN])
    more = f" and {len(heads) - _SHOWN} more" if len(heads) > _SHOWN else ""
    strength = "none" if heads.delta is None else f"{heads.delta:g}"
    lines = [
        f"{heads.name or 'heads'} of {heads.model or 'any model'} "
        f"({heads.fingerprint or 'weights unknown'})",
        f"  heads     {len(heads)}: {shown}{more}",
        f"  strength  {strength}",
    ]
    if "how" in found:
        lines.append(f"  found     {found['how']}")
    if accuracy := _share(found.get("accuracy")):
        on = f" of answers on {found['strips']} other strips" if "strips" in found else ""
        lines.append(f"  follow    {accuracy}{on}")
    if random := found.get("random"):
        lines.append(
            f"  random    {100 * random['median']:.1f}% (median of {random['sets']} sets; "
            f"{100 * random['least']:.1f} to {100 * random['most']:.1f}), p = {random['p']:.3f}"
        )
    if every := _share(found.get("all_heads")):
        lines.append(f"  all heads {every}")
    if regions := found.get("regions"):
        lines.append(
            f"  regions   {regions['k']} heads name {_share(regions['accuracy'])} of the objects "
            f"pointed at on {regions['scenes']} scenes, {_share(regions['unsteered'])} unsteered"
        )
    for line in lines:
        terminal.out.print(line, markup=False)


def _share(estimate: Any) -> str:
    if not isinstance(estimate, dict) or "value" not in estimate:
        return ""
    low, high = (100 * estimate[end] for end in ("low", "high"))
    return f"{100 * estimate['value']:.1f}% ({low:.1f}-{high:.1f})"
