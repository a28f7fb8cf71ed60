"""How a model is loaded: device, precision, quantisation, fit; and the hub's errors, readable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError

from gazeheads.attention.install import ModelError
from gazeheads.errors import one_line
from gazeheads.models.families.family import Fit

LOAD_ERRORS = (
    OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError, AttributeError,
    SafetensorError,
)  # fmt: skip
"""What transformers and the hub raise for a checkpoint they cannot read."""


@dataclass(frozen=True)
class LoadOptions:
    """What `load` takes beside the model's name.

    Attributes:
        device: where to put it; None: the GPU if there is one.
        dtype: "auto", "bfloat16", a torch dtype; None: float32 on CPU, else the checkpoint's.
        device_map: instead of `device`, to spread the model over several (needs accelerate).
        quantization: "bnb-4bit", "bnb-8bit", "torchao-int8", "torchao-int4", or a quantisation
            config of transformers.
        fit: how wide pictures are fitted (see `models.fit`); None: the family's own way.
        offline: use local files only.
        trust_remote_code: run code that comes with a checkpoint's processor; modelling code is
            never run, because its attention could not be steered.
        processor: options of the image processor, such as `dict(max_pixels=...)`.
        min_pixels, max_pixels: the same two, for short.
        template: variables of the chat template, such as `dict(enable_thinking=False)`.
        check: try the model on one small image (see `vlm.checking`).
    """

    device: Any = None
    dtype: Any = None
    device_map: Any = None
    quantization: Any = None
    fit: Fit | None = None
    offline: bool = False
    trust_remote_code: bool = False
    processor: Mapping[str, Any] | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    template: Mapping[str, Any] | None = None
    check: bool = True

    def __post_init__(self) -> None:
        for name in ("processor", "template"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise ModelError(
                    f"{name}= takes a dict of options, not {type(value).__name__}: the processor "
                    "itself comes with the checkpoint, or goes to gazeheads.wrap"
                )

    @property
    def pixels(self) -> dict[str, Any]:
        """All options of the image processor."""
        short = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        given = {name: value for name, value in short.items() if value is not None}
        return {**(self.processor or {}), **given}

    @classmethod
    def split(cls, options: dict[str, Any]) -> tuple[LoadOptions, dict[str, Any]]:
        """These options and the rest, which is for transformers' `from_pretrained`."""
        names = {field.name for field in fields(cls)}
        known = {name: value for name, value in options.items() if name in names}
        return cls(**known), {k: v for k, v in options.items() if k not in names}

    @property
    def source(self) -> dict[str, bool]:
        """Arguments of every `from_pretrained`: where files may come from, and whose code runs."""
        return {
            "local_files_only": self.offline, "trust_remote_code": self.trust_remote_code
        }  # fmt: skip


def quantization_config(wanted: Any) -> Any:
    """A quantisation config of transformers, from its short name or as it is.

    Raises:
        ModelError: unknown name, or the package it needs is missing.
    """
    if not isinstance(wanted, str):
        return wanted
    if wanted not in _QUANTIZATIONS:
        raise ModelError(
            f"unknown quantisation {wanted!r}: use {', '.join(_QUANTIZATIONS)}, or pass a "
            "quantisation config of transformers"
        )
    try:
        return _QUANTIZATIONS[wanted]()
    except (ImportError, ValueError) as error:
        # transformers says a missing or too old package with a ValueError
        package = "bitsandbytes" if wanted.startswith("bnb") else "torchao"
        raise ModelError(f"{wanted} needs the package {package}: pip install {package}") from error


def _bits(bits: int) -> Any:
    import bitsandbytes  # noqa: F401, PLC0415 - optional
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    return BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8)


def _torchao(kind: str) -> Any:
    from torchao import quantization  # noqa: PLC0415 - optional
    from transformers import TorchAoConfig  # noqa: PLC0415

    return TorchAoConfig(quant_type=getattr(quantization, kind)())


_QUANTIZATIONS: dict[str, Callable[[], Any]] = {
    "bnb-4bit": lambda: _bits(4),
    "bnb-8bit": lambda: _bits(8),
    "torchao-int8": lambda: _torchao("Int8WeightOnlyConfig"),
    "torchao-int4": lambda: _torchao("Int4WeightOnlyConfig"),
}


def load_error(name: str, error: BaseException) -> ModelError:
    """One readable line for what went wrong while loading."""
    chain = list(_chain(error))
    if any(isinstance(each, GatedRepoError) for each in chain):
        why = "it is gated: ask for access on its hub page, then log in (hf auth login, HF_TOKEN)"
    elif any(isinstance(each, RepositoryNotFoundError) for each in chain):
        why = "the hub has no such model, or it is private: check the name, or log in (HF_TOKEN)"
    elif any(isinstance(each, OfflineModeIsEnabled | LocalEntryNotFoundError) for each in chain):
        why = "it is not among the local files, and the hub is off or cannot be reached"
    elif "trust_remote_code" in str(error):
        why = (
            "it brings code of its own, which is not run unless you say so: trust_remote_code=True "
            "or gazeheads --trust-remote-code COMMAND"
        )
    else:
        why = one_line(error)
    return ModelError(f"cannot load model {name!r}: {why}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
