"""From a name or a folder to a `VLM`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from gazeheads.vlm.attaching import ModelError
from gazeheads.vlm.base import VLM
from gazeheads.vlm.families import FAMILIES
from gazeheads.vlm.family import Family, Fit

COMIC_TINY = "comic-tiny"
LOAD_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError)


def load(
    name_or_path: str | os.PathLike[str],
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    device_map: str | dict[str, Any] | None = None,
    **options: Any,
) -> VLM:
    """Loads a vision-language model ready to be steered and watched.

    Args:
        name_or_path: "comic-tiny" (comes with this package), a model id of the Hugging Face hub,
            or a folder.
        device: where to put it; default: the GPU if there is one.
        dtype: "auto", "bfloat16", a torch dtype; default: float32 on CPU, else the checkpoint's.
        device_map: instead of `device`, to spread the model over several (needs accelerate).
        options: further arguments of transformers' `from_pretrained`.

    Raises:
        ModelError: it does not exist, cannot be read, or is not of a supported family.
    """
    source, name = _source(name_or_path)
    try:
        config = AutoConfig.from_pretrained(source)
    except LOAD_ERRORS as error:
        raise ModelError(f"cannot load model {name!r}: {_first_line(error)}") from error
    family = family_of(config, name)
    place = torch.device(device) if device is not None else _best_device()
    if dtype is None:
        dtype = torch.float32 if place.type == "cpu" and device_map is None else "auto"
    placement = {"device_map": device_map} if device_map is not None else {}
    try:
        processor = AutoProcessor.from_pretrained(source)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            source, dtype=dtype, **placement, **options
        )
        if device_map is None:
            model = model.to(place)
    except LOAD_ERRORS as error:
        raise ModelError(f"cannot load model {name!r}: {_first_line(error)}") from error
    return VLM(model.eval(), processor, family, name)


def wrap(model: Any, processor: Any, name: str = "", fit: Fit | None = None) -> VLM:
    """A `VLM` around a model the caller loaded; the model stays usable as it is.

    Args:
        model, processor: transformers' own.
        name: for head sets and reports; default: the name it was loaded by.
        fit: how wide pictures are fitted (see `vlm.fitting`); default: the family's own way.
    """
    name = name or str(getattr(model.config, "_name_or_path", "") or type(model).__name__)
    return VLM(model, processor, family_of(model.config, name), name, fit)


def family_of(config: Any, name: str) -> Family:
    """The family of a model config.

    Raises:
        ModelError: text-only, or no family knows it.
    """
    kind = getattr(config, "model_type", "")
    for family in FAMILIES:
        if kind in family.model_types:
            return family
    if getattr(config, "vision_config", None) is None:
        raise ModelError(f"{name!r} is not a vision-language model (its type is {kind!r})")
    known = ", ".join(sorted(kind for family in FAMILIES for kind in family.model_types))
    raise ModelError(f"{name!r} is of type {kind!r}, which is not supported; supported: {known}")


def _source(name_or_path: str | os.PathLike[str]) -> tuple[str, str]:
    """Where to load from, and the model's name."""
    text = os.fspath(name_or_path)
    if text == COMIC_TINY:
        folder = Path(__file__).parent.parent / "tiny" / "model"
        if not (folder / "config.json").exists():
            raise ModelError(
                f"comic-tiny is not in this installation (no {folder}): reinstall, or train it "
                "with `gazeheads tiny train` and load its folder"
            )
        return str(folder), COMIC_TINY
    path = Path(text).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ModelError(f"folder {text} holds no model: config.json is missing")
        return str(path), path.resolve().name
    if path.is_absolute() or text.startswith(("./", "../", "~")) or text.count("/") > 1:
        raise ModelError(f"model folder not found: {text}")
    return text, text


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
