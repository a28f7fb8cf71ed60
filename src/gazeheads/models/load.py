"""From a name or a folder to a `VLM`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.utils.hub import cached_file

from gazeheads.attention.install import ModelError, unwrap
from gazeheads.models import adapters
from gazeheads.models.check import check as check_model
from gazeheads.models.checkpoints import reader_of
from gazeheads.models.families import FAMILIES
from gazeheads.models.families.family import Family, Fit
from gazeheads.models.kinds import REFUSED, check_published, supported_types
from gazeheads.models.options import LOAD_ERRORS, LoadOptions, load_error, quantization_config
from gazeheads.models.processing import adjust, load_processor
from gazeheads.models.vlm import VLM

COMIC_TINY = "comic-tiny"
_LOADED: WeakKeyDictionary[VLM, tuple[str | os.PathLike[str], dict[str, Any]]] = WeakKeyDictionary()


def load(name_or_path: str | os.PathLike[str], **options: Any) -> VLM:
    """Loads a vision-language model ready to be steered and watched.

    Args:
        name_or_path: "comic-tiny" (comes with this package), a model id of the Hugging Face hub,
            or a folder: of a checkpoint, or of a PEFT adapter, which names its base model.
        options: those of `LoadOptions` (device, dtype, device_map, quantization, fit, offline,
            trust_remote_code, processor, min_pixels, max_pixels, template, check); further ones
            go to transformers' `from_pretrained`.

    Raises:
        ModelError: it does not exist, cannot be read, is not of a supported family, or does not
            pass the check on a small image.

    Example:
        >>> load("comic-tiny")
        VLM('comic-tiny', 10 layers x 16 heads)
    """
    source, name = source_of(name_or_path)
    wanted, further = LoadOptions.split(options)
    further |= _placement(wanted)
    adapter = adapters.adapter_in(source)
    base = adapters.base_of(adapter) if adapter else source
    called = f"{name} (adapter of {base})" if adapter else name
    try:
        model, processor, missing = _checkpoint(base, called, wanted, further)
        if wanted.device_map is None and wanted.quantization is None:
            model = model.to(_device(wanted))
    except LOAD_ERRORS as error:
        raise load_error(called, error) from error
    if missing:
        raise ModelError(
            f"cannot load model {called!r}: its checkpoint lacks {len(missing)} weights "
            f"({missing[0]} ...)"
        )
    if adapter:
        model = adapters.applied(model, adapter, merged=wanted.quantization is None)
        if adapters.has_processor(adapter):
            processor = load_processor(str(adapter), name, wanted)
    adjust(processor, wanted.pixels, model.config)
    family = family_of(model.config, name)
    vlm = VLM(model.eval(), processor, family, name, wanted.fit, wanted.template)
    if wanted.check:
        check_model(vlm)
    _LOADED[vlm] = name_or_path, options
    return vlm


def load_again(vlm: VLM) -> tuple[str, dict[str, Any]]:
    """What `load` is given in another process for the same model in the same precision.

    Raises:
        ModelError: it was made by `wrap`, which nobody else can repeat, or lies on several devices.
    """
    if vlm not in _LOADED:
        raise ModelError(
            f"{vlm.name!r} was not loaded by its name, so no other process can load it: use "
            "gazeheads.load, or leave workers out"
        )
    name, options = _LOADED[vlm]
    if options.get("device_map") is not None:
        raise ModelError(
            "a worker has one device, and --device-map spreads a model over several: leave it out"
        )
    path = Path(name).expanduser()
    place = (
        str(path.resolve()) if os.fspath(name) != COMIC_TINY and path.is_dir() else os.fspath(name)
    )
    dtype = None if options.get("quantization") else vlm.model.dtype
    return place, {**options, "dtype": options.get("dtype") or dtype}


def _checkpoint(
    source: str, name: str, options: LoadOptions, further: dict[str, Any]
) -> tuple[Any, Any, list[str]]:
    """Model, processor and missing weights of a checkpoint."""
    raw = config_file(source, options)
    if reader := reader_of(raw):
        return reader(source, raw, options.offline, further)
    check_published(raw, name)
    return _read(source, name, options, further)


def config_file(source: str, options: LoadOptions) -> dict[str, Any]:
    """A checkpoint's config.json as it is, before any class reads it."""
    path = cached_file(source, "config.json", local_files_only=options.offline)
    raw = json.loads(Path(str(path)).read_text(encoding="utf-8"))
    if not isinstance(raw, dict):
        raise ValueError("config.json is not a JSON object")
    return raw


def _read(
    source: str, name: str, options: LoadOptions, further: dict[str, Any]
) -> tuple[Any, Any, list[str]]:
    """Model, processor and missing weights of a checkpoint that transformers reads."""
    # the family first: a wrong model is refused before its weights are read
    place = {"local_files_only": options.offline, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(source, **place)
    family_of(config, name)
    processor = load_processor(source, name, options)
    auto: Any = AutoModelForImageTextToText
    model, report = auto.from_pretrained(source, output_loading_info=True, **place, **further)
    return model, processor, sorted(report["missing_keys"])


def _device(options: LoadOptions) -> torch.device:
    if options.device is None:
        return best_device()
    try:
        return torch.device(options.device)
    except RuntimeError:
        raise ModelError(
            f"no device {options.device!r}: name cpu, cuda, cuda:1 or mps, or none for the best"
        ) from None


def _placement(options: LoadOptions) -> dict[str, Any]:
    """Arguments of `from_pretrained`: precision and place."""
    out: dict[str, Any] = {"dtype": options.dtype}
    if options.dtype is None:
        plain_cpu = options.device_map is None and _device(options).type == "cpu"
        out["dtype"] = torch.float32 if plain_cpu else "auto"
    if options.quantization is not None:
        out["quantization_config"] = quantization_config(options.quantization)
        out["device_map"] = options.device_map or {"": _device(options)}
    elif options.device_map is not None:
        out["device_map"] = options.device_map
    return out


def wrap(
    model: Any,
    processor: Any,
    name: str = "",
    fit: Fit | None = None,
    check: bool = True,
    template: Mapping[str, Any] | None = None,
) -> VLM:
    """A `VLM` around a model the caller loaded; the model stays usable as it is.

    Wrappers (PEFT adapters, `torch.compile`) may stay around it: what they run is steered too. It
    changes the language model's attention implementation (to one that is what it was wherever
    nothing is steered) and adds forward hooks; `VLM.unwrap` undoes both.

    Args:
        model, processor: transformers' own.
        name: for head sets and reports; default: the name it was loaded by.
        fit: how wide pictures are fitted (see `models.fit`); default: the family's own way.
        check: try the model on one small image, as `load` does.
        template: variables of the chat template.

    Raises:
        ModelError: it cannot be steered, or does not pass the check.

    Example:
        >>> own = load("comic-tiny")
        >>> wrap(own.unwrap(), own.processor, "mine").num_layers
        10
    """
    inner = unwrap(model)
    name = name or str(getattr(inner.config, "_name_or_path", "") or type(inner).__name__)
    vlm = VLM(inner, processor, family_of(inner.config, name), name, fit, template)
    if check:
        check_model(vlm)
    return vlm


def family_of(config: Any, name: str) -> Family:
    """The family of a model config.

    Raises:
        ModelError: text-only, encoder-decoder, or no family knows it.
    """
    kind = getattr(config, "model_type", "")
    for family in FAMILIES:
        if family.handles(config):
            return family
    if kind in REFUSED:
        raise ModelError(f"{name!r} is of type {kind!r}, which is not supported: {REFUSED[kind]}")
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name!r} is an encoder-decoder model (type {kind!r}): only models that read image "
            "and text in one decoder can be steered"
        )
    if getattr(config, "vision_config", None) is None:
        raise ModelError(f"{name!r} is not a vision-language model (its type is {kind!r})")
    raise ModelError(
        f"{name!r} is of type {kind!r}, which is not supported; supported: "
        f"{', '.join(supported_types())}"
    )


def source_of(name_or_path: str | os.PathLike[str]) -> tuple[str, str]:
    """Where to load from, and the model's name.

    Raises:
        ModelError: a folder that is not there, or holds no model.
    """
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
        if not (path / "config.json").exists() and not adapters.adapter_in(str(path)):
            raise ModelError(f"folder {text} holds no model: config.json is missing")
        return str(path), path.resolve().name
    if path.is_absolute() or text.startswith(("./", "../", "~")) or text.count("/") > 1:
        raise ModelError(f"model folder not found: {text}")
    return text, text


def best_device() -> torch.device:
    """The GPU if there is one."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
