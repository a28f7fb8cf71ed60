"""A checkpoint's processor, and the options a user gives its image part."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.dataclasses import validate_typed_dict
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoProcessor
from transformers.utils.hub import cached_file

from gazeheads.attention.install import ModelError
from gazeheads.errors import one_line
from gazeheads.models.options import LOAD_ERRORS, LoadOptions, load_error

# arguments of a call, not properties of a processor
_OF_A_CALL = {"return_tensors", "device", "input_data_format", "disable_grouping", "data_format"}
# the model is built for them, under another name
_OF_THE_MODEL = {"merge_size", "temporal_patch_size"}
_LIMITS = ("min_pixels", "max_pixels")


def load_processor(source: str, name: str, options: LoadOptions) -> Any:
    """The processor, with its image part.

    Raises:
        ModelError: a file of it is missing or damaged.
    """
    place = {**options.source}
    try:
        # trusted or not, AutoProcessor would run the model's code for want of its own
        trusted = options.trust_remote_code and _brings_code(source, options.offline)
        place["trust_remote_code"] = trusted
        processor = AutoProcessor.from_pretrained(source, **place)
    except LOAD_ERRORS as error:
        cause = str(load_error(name, error)).partition(": ")[2]
        raise ModelError(f"cannot load the processor of model {name!r}: {cause}") from error
    if getattr(processor, "image_processor", None) is None:
        raise ModelError(
            f"cannot load the processor of model {name!r}: it has no image processor "
            "(processor_config.json or preprocessor_config.json is missing)"
        )
    return processor


def _brings_code(source: str, offline: bool) -> bool:
    """Whether a checkpoint's processor, image processor or tokenizer has code of its own."""
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = cached_file(
            source, file, local_files_only=offline, _raise_exceptions_for_missing_entries=False
        )
        if path is not None:
            config = json.loads(Path(path).read_text(encoding="utf-8"))
            if isinstance(config, dict) and config.get("auto_map"):
                return True
    return False


def adjust(processor: Any, options: Mapping[str, Any], config: Any) -> None:
    """Gives a processor's image part other values for its options.

    Args:
        processor: is changed.
        options: such as max_pixels, size, max_patches.
        config: of the model, which fixes some of them.

    Raises:
        ModelError: an option that the image processor does not have, that the model fixes, or of a
            value it does not take.
    """
    if not options:
        return
    pixels = processor.image_processor
    _check_names(pixels, options, config)
    if "max_pixels" in options or "min_pixels" in options:
        _check_limits(pixels, options)
    try:
        validate_typed_dict(pixels.valid_kwargs, dict(options))
        changed = type(pixels).from_dict({**pixels.to_dict(), **options})
    except (StrictDataclassError, *LOAD_ERRORS) as error:
        raise ModelError(f"the processor refused its options: {one_line(error)}") from error
    processor.image_processor = changed
    # what a processor passes on at every call would win over its image part
    passed = getattr(processor, "images_kwargs", None) or {}
    if any(name in passed for name in options):
        processor.images_kwargs = copy.copy(passed) | {
            name: value for name, value in options.items() if name in passed
        }


def _check_names(pixels: Any, options: Mapping[str, Any], config: Any) -> None:
    known = set(pixels.valid_kwargs.__annotations__) - _OF_A_CALL
    kind = type(pixels).__name__
    vision = getattr(config, "vision_config", None)
    fixed = {
        name for name in known
        if name in _OF_THE_MODEL or hasattr(config, name) or hasattr(vision, name)
    }  # fmt: skip
    for name in options:
        if name in fixed:
            raise ModelError(f"{name} is fixed by the model: it cannot be another one here")
        if name not in known:
            offered = sorted(
                name for name in known - fixed
                if getattr(pixels, name, None) is not None or name in _LIMITS
            )  # fmt: skip
            raise ModelError(
                f"this model's processor ({kind}) has no option {name!r}; it has "
                f"{', '.join(offered)}"
            )


def _check_limits(pixels: Any, options: Mapping[str, Any]) -> None:
    """Refuses limits that no image could keep."""
    preset = [getattr(pixels.size, n, None) for n in ("shortest_edge", "longest_edge")]
    least, most = (options.get(n, value) for n, value in zip(_LIMITS, preset, strict=True))
    for name in _LIMITS:
        value = options.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{name} is a number of pixels of at least 1, not {value!r}")
    if least is not None and most is not None and least > most:
        raise ModelError(
            f"max_pixels={most} is below min_pixels={least}: give both, the smaller one first"
        )
