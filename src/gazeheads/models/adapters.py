"""A PEFT adapter's folder as a model: its base model with the adapter in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gazeheads.attention.install import ModelError
from gazeheads.errors import one_line
from gazeheads.models.options import LOAD_ERRORS

FILE = "adapter_config.json"


def adapter_in(source: str) -> Path | None:
    """The folder, if it holds an adapter."""
    folder = Path(source)
    return folder if (folder / FILE).is_file() else None


def base_of(folder: Path) -> str:
    """The model id or folder of the model that an adapter is for.

    Raises:
        ModelError: its file is damaged or names none, or the folder it names is missing.
    """
    try:
        config = json.loads((folder / FILE).read_text(encoding="utf-8"))
        base = config.get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"cannot read {folder / FILE}: {one_line(error)}") from error
    if not isinstance(base, str) or not base:
        raise ModelError(f"{folder / FILE} names no base model (base_model_name_or_path)")
    for place in (Path(base).expanduser(), folder / base):
        if place.is_dir():
            return str(place)
    if Path(base).is_absolute() or base.startswith(("./", "../", "~")):
        raise ModelError(f"the base model of adapter {folder} is not found: {base}")
    return base


def has_processor(folder: Path) -> bool:
    """Whether the adapter's folder holds a processor of its own."""
    files = ("processor_config.json", "preprocessor_config.json")
    return (
        any((folder / file).is_file() for file in files)
        and (folder / "tokenizer_config.json").is_file()
    )


def applied(model: Any, folder: Path, merged: bool) -> Any:
    """The base model with an adapter's weights.

    Args:
        model: the base model; it is changed.
        folder: of the adapter.
        merged: add the weights to the model's own; else they stay beside it, as they must where
            those are quantised.

    Raises:
        ModelError: peft is missing, or the adapter cannot be read, is not for this model, or is of
            a kind that lives outside the model.
    """
    try:
        from peft import PeftConfig, PeftModel  # noqa: PLC0415 - optional
    except ImportError as error:
        raise ModelError(f"{folder} is a PEFT adapter: it needs pip install peft") from error
    try:
        config: Any = PeftConfig.from_pretrained(str(folder))
        if config.is_prompt_learning:
            raise ModelError(
                f"adapter {folder} is of kind {config.peft_type}: tokens that it puts before the "
                "prompt have no place in an image, only adapters of weights (LoRA ...) are loaded"
            )
        adapted: Any = PeftModel.from_pretrained(model, str(folder))
        if merged:
            return adapted.merge_and_unload(safe_merge=True)
        return adapted.get_base_model()
    except LOAD_ERRORS as error:
        raise ModelError(f"cannot load adapter {folder}: {one_line(error)}") from error
