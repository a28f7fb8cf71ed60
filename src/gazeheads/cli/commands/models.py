"""``gazeheads tokens``, the list of model families, and the options of loading of any command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gazeheads.errors import GazeheadsError

Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; default: the best.")]
Dtype = Annotated[
    str | None,
    typer.Option(help="float32, bfloat16 ...; default: float32 on CPU, else auto."),
]
DeviceMap = Annotated[
    str | None, typer.Option(help="auto: spread the model over devices (needs accelerate).")
]
Quantization = Annotated[
    str | None, typer.Option(help="bnb-4bit, bnb-8bit, torchao-int8 or torchao-int4.")
]
FitOption = Annotated[
    str | None,
    typer.Option(
        help="Wide pictures: squash, keep, grid or crop; default: the model family's own."
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Use local files of models only.")]
Trust = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run code that comes with a checkpoint's processor."),
]
NoCheck = Annotated[
    bool, typer.Option("--no-check", help="Skip the check of a model on a small image.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Of a picture, where the processor has such a limit: fewer tokens."),
]


ProcessorOptions = Annotated[
    list[str] | None,
    typer.Option("--processor", metavar="KEY=VALUE", help="Option of the image processor."),
]
TemplateOptions = Annotated[
    list[str] | None,
    typer.Option("--template", metavar="KEY=VALUE", help="Variable of the chat template."),
]


class OptionError(GazeheadsError):
    """A KEY=VALUE that cannot be read."""


def given(processor: list[str] | None, template: list[str] | None) -> dict[str, dict[str, Any]]:
    """The options of loading that are given as KEY=VALUE, by their names."""
    return {
        "processor": pairs("--processor", processor), "template": pairs("--template", template)
    }  # fmt: skip


def pairs(option: str, values: list[str] | None) -> dict[str, Any]:
    """The values of an option given as KEY=VALUE, any number of times; values are read as JSON.

    Raises:
        OptionError: no "=", or nothing before it.
    """
    found: dict[str, Any] = {}
    for each in values or []:
        key, equals, value = each.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"{option} takes KEY=VALUE, not {each!r}")
        if key.strip() in found:
            raise OptionError(f"{option} {key.strip()} is given twice")
        found[key.strip()] = _read(value.strip())
    return found


def _read(value: str) -> Any:
    # as people write them in Python and on command lines
    named = {"true": True, "false": False, "none": None}
    if value.lower() in named:
        return named[value.lower()]
    try:
        return json.loads(value)
    except ValueError:
        return value


def tokens_command(
    image: Annotated[Path, typer.Argument(help="An image.")],
    model: Annotated[str, typer.Option(help="comic-tiny, a model folder, or a hub id.")] = (
        "comic-tiny"
    ),
    out: Annotated[Path, typer.Option("--out", "-o", help="The figure.")] = Path("tokens.png"),
) -> None:
    """Draw a model's image tokens over an image, to check where they lie."""
    from gazeheads.cli import terminal
    from gazeheads.data.pictures import open_image
    from gazeheads.study.runs import check_writable

    check_writable(out.parent)
    opened = open_image(image)  # before torch is loaded
    from gazeheads.models.fit import resize_cost
    from gazeheads.models.token_figure import draw_tokens

    vlm = terminal.load_quietly(model)
    encoded = vlm.encode(opened, "")
    tokens = encoded.tokens
    placed = int((tokens.boxes[:, 0] == tokens.boxes[:, 0]).sum())
    said = f"{vlm.family.name}, {len(tokens)} image tokens, {placed} with a place in the image"
    draw_tokens(opened, tokens, out, f"{image.name}: {said}")
    terminal.out.print(f"{said}\n{resize_cost(tokens, encoded.shown)}", markup=False)
    terminal.out.print(f"Figure: {out}", markup=False)


def list_families() -> None:
    """Print the model families, what works with each, and how that was verified."""
    from rich.table import Table
    from rich.text import Text

    from gazeheads.cli import terminal
    from gazeheads.models.families import FAMILIES
    from gazeheads.models.kinds import REFUSED

    table = Table("family")
    table.add_column("model types", no_wrap=True)
    for name in ("steer", "record", "share vision", "share prefix"):
        table.add_column(name)
    for family in FAMILIES:
        kinds = [f"[{k}]" if k in family.unverified else k for k in family.model_types]
        shares = "yes" if family.shares_prefix else f"no: {family.unshared}"
        table.add_row(family.name, Text("\n".join(kinds)), "yes", "yes", "yes", shares)
    terminal.out.print(table)
    terminal.out.print(
        "Verified on tiny random models built from each type's own classes (types in brackets "
        "share a verified type's code and were not built). No published checkpoint was run here: "
        "each is tried on one small image when it is loaded.",
        markup=False,
    )
    refused: dict[str, list[str]] = {}
    for kind, reason in REFUSED.items():
        refused.setdefault(reason, []).append(kind)
    terminal.out.print("\nOther image-text types of transformers are refused:")
    for reason, kinds in refused.items():
        terminal.out.print(f"- {', '.join(kinds)}: {reason}", markup=False, soft_wrap=True)
