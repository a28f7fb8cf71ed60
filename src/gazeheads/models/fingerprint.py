"""A fingerprint of the weights a loaded model computes with: equal weights, equal fingerprint.

Every number of every weight enters, by its bit pattern as float32, multiplied by a constant of its
place and summed in 64-bit integers. Integer sums are exact, so that device, number of threads,
sharding of files and lossless precision (a bfloat16 checkpoint loaded in float32) make no
difference. A model rounded to a lower precision is another model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from gazeheads.attention.install import ModelError

VERSION = "v1"
"""Begins every fingerprint; another way of computing them gets another one."""
BLOCK = 1 << 16
"""Numbers summed together; part of what a fingerprint is."""
SMALL = 1 << 23
"""Models of up to so many numbers are read in full every time: it takes some milliseconds."""
SAMPLES = 512
"""Numbers of every tensor by which a change that torch does not count is noticed."""
_GPU_BLOCKS = 64  # blocks at once: 32 MiB of 64-bit integers
_COUNTERS = ("num_batches_tracked", "position_ids", "inv_freq")
_DIRECT = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float64: torch.int64}
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class _Weights:
    """What a model computes with.

    Attributes:
        tensors: by canonical name; a tensor shared by several names is there once.
        settings: numbers beside them that change what they do, such as the scale of an adapter.
    """

    tensors: Mapping[str, Tensor]
    settings: tuple[str, ...]


_known: WeakKeyDictionary[torch.nn.Module, tuple[Any, str]] = WeakKeyDictionary()


def fingerprint_of(model: Any, quick: bool = False) -> str:
    """The fingerprint of a model's weights, for example "v1-8c7e0a5b1f2d3c4e".

    Parameters and persistent buffers count, tied weights once; adapters that are switched on count
    (an adapted model is not its base), those that are off do not. Of a quantised model it is the
    fingerprint of the quantised weights, with the method at its end.

    A fingerprint is remembered with the place and version counter of every tensor and `SAMPLES` of
    its numbers, so that a change is noticed. Only changes that hide from torch (made through
    `.data`) and spare all samples are not, and not in models of up to `SMALL` numbers.

    Args:
        model: transformers' own, or a wrapper of it.
        quick: trust what is remembered of a small model too.

    Raises:
        ModelError: weights that are not in memory and cannot be fetched.
    """
    weights = _weights_of(model)
    key = _state(weights)
    total = sum(tensor.numel() for tensor in weights.tensors.values())
    found = _known.get(model)
    if found is not None and found[0] == key and (quick or total > SMALL):
        return found[1]
    method = _quantization(model)
    text = f"{VERSION}-{_digest(model, weights)}{'-' if method else ''}{method}"
    _known[model] = (key, text)
    return text


def _digest(model: Any, weights: _Weights) -> str:
    parts = {name: _digest_of(tensor) for name, tensor in weights.tensors.items()}
    # an output layer that is a copy of the embeddings computes what a tied one does
    first, last = (_name_of(weights, layer) for layer in _embeddings(model))
    if first and last and first != last and parts[first] == parts[last]:
        del parts[last]
    whole = hashlib.sha256()
    for name in sorted(parts):
        whole.update(name.encode() + b"\0" + parts[name])
    for line in sorted(weights.settings):
        whole.update(line.encode() + b"\0")
    return whole.hexdigest()[:16]


def _embeddings(model: Any) -> tuple[Any, Any]:
    """Input and output layer of the language model, None where there is none."""
    names = ("get_input_embeddings", "get_output_embeddings")
    first, last = (getattr(model, name, lambda: None)() for name in names)
    return first, last


def _name_of(weights: _Weights, layer: Any) -> str | None:
    weight = getattr(layer, "weight", None)
    return next((name for name, tensor in weights.tensors.items() if tensor is weight), None)


def _digest_of(tensor: Tensor) -> bytes:
    """Shape, kind and sums of one tensor."""
    kind = "float" if tensor.dtype in _FLOATS else str(tensor.dtype)
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {kind}".encode())
    real = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    with torch.no_grad():
        for part in _sums(real.reshape(-1)):
            digest.update(part.cpu().numpy().tobytes())
    return digest.digest()


def _sums(flat: Tensor) -> Iterator[Tensor]:
    """Of every block of (N,) numbers the sum over number times factor, modulo 2^64."""
    factors = _factors(flat.device)
    # few blocks stay in a CPU's cache; several per thread, as threads wait for each other
    threads = torch.get_num_threads()
    rows = 1 if threads == 1 else 4 * threads
    rows = rows if flat.device.type == "cpu" else _GPU_BLOCKS
    whole = len(flat) // BLOCK * BLOCK
    for part in flat[:whole].reshape(-1, BLOCK).split(rows):
        yield _summed(part, factors)
    if whole < len(flat):
        yield _summed(flat[whole:][None], factors[: len(flat) - whole])


def _summed(part: Tensor, factors: Tensor) -> Tensor:
    sums = _bits(part).mul_(factors).sum(-1)
    # the float32 of a bfloat16 has the same bits, 16 places up
    return sums * (1 << 16) if part.dtype == torch.bfloat16 else sums


def _bits(part: Tensor) -> Tensor:
    """Numbers as 64-bit integers: of floats the bits of a float32, of bfloat16 their upper half."""
    if part.dtype in _DIRECT:
        part = part.contiguous().view(_DIRECT[part.dtype])
    elif part.dtype == torch.float16:
        part = part.float().view(torch.int32)
    elif part.is_floating_point():  # 8 bits
        part = part.contiguous().view(torch.uint8)
    return part.to(torch.int64, copy=True)


@lru_cache(maxsize=8)
def _factors(device: torch.device) -> Tensor:
    """(BLOCK,) odd pseudo-random 64-bit integers, the same everywhere."""
    drawn = hashlib.shake_256(b"gazeheads fingerprint").digest(8 * BLOCK)
    return torch.from_numpy(np.frombuffer(drawn, "<i8") | 1).to(device)


def _state(weights: _Weights) -> tuple[Any, ...]:
    """What changes when a weight is replaced or written to."""
    places = tuple((name, *_place(tensor)) for name, tensor in weights.tensors.items())
    return places, weights.settings, _sampled(weights.tensors.values())


def _place(tensor: Tensor) -> tuple[Any, ...]:
    # what is no parameter may be made anew at every look: parts of quantised weights
    where = tensor.data_ptr() if isinstance(tensor, torch.nn.Parameter) else None
    version = None if tensor.is_inference() else tensor._version
    return where, version, tensor.shape, tensor.dtype, tensor.device


def _sampled(tensors: Iterable[Tensor]) -> bytes:
    """A hash of `SAMPLES` numbers of every tensor, in every block of its rows and columns."""
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        if count := tensor.numel():
            flat = tensor.detach().reshape(-1)
            if count > SAMPLES:
                flat = flat[_spread(count // tensor.shape[-1], tensor.shape[-1], tensor.device)]
            groups.setdefault((tensor.device, tensor.dtype), []).append(flat)
    digest = hashlib.sha256()
    for parts in groups.values():
        digest.update(torch.cat(parts).view(torch.uint8).cpu().numpy().tobytes())
    return digest.digest()


@lru_cache(maxsize=1024)
def _spread(rows: int, columns: int, device: torch.device) -> Tensor:
    """(SAMPLES,) places in a matrix, evenly over its rows and over its columns (an R2 sequence)."""
    steps = np.arange(SAMPLES)
    row = (steps * 0.7548776662466927 % 1 * rows).astype(np.int64)
    column = (steps * 0.5698402909980532 % 1 * columns).astype(np.int64)
    return torch.from_numpy(row * columns + column).to(device)


def _weights_of(model: Any) -> _Weights:
    """The weights in use, by names that do not depend on wrappers."""
    state: dict[str, Any] = model.state_dict(keep_vars=True)
    settings: list[str] = []
    if any(".base_layer." in name or ".original_module." in name for name in state):
        state, settings = _with_adapters(model, state)
    if any(isinstance(value, Tensor) and value.is_meta for value in state.values()):
        state = _fetched(model, state)
    seen: set[int] = set()
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if not isinstance(value, Tensor) or name.endswith(_COUNTERS) or id(value) in seen:
            continue
        seen.add(id(value))
        if value.is_meta:
            raise ModelError(f"the weights of the model are not in memory ({name} ...)")
        tensors |= _plain(_short(name), value)
    return _Weights(tensors, tuple(map(_short, settings)))


def _short(name: str) -> str:
    """A name without what torch.compile and PEFT put before it."""
    return name.replace("_orig_mod.", "").removeprefix("base_model.model.")


def _plain(name: str, tensor: Any) -> dict[str, Tensor]:
    """A tensor, or the tensors that one of a quantisation package is made of."""
    if not hasattr(tensor, "__tensor_flatten__"):
        return {name: tensor}
    inner, _ = tensor.__tensor_flatten__()
    return {
        key: value
        for part in inner
        for key, value in _plain(f"{name}.{part}", getattr(tensor, part)).items()
    }


def _with_adapters(model: Any, state: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A state without adapters that are off or merged, and the scales of those that are on."""
    out, settings = dict(state), []
    for prefix, layer in model.named_modules():
        names = tuple(getattr(layer, "adapter_layer_names", ()))
        if not names and not hasattr(layer, "original_module"):
            continue
        merged = set(getattr(layer, "merged_adapters", ()))
        active = [] if layer.disable_adapters else list(layer.active_adapters)
        if names and hasattr(layer, "base_layer"):
            active = [each for each in active if each not in merged]
            kept = tuple(f"{prefix}.{part}.{each}." for part in names for each in active)
            adapters = tuple(f"{prefix}.{part}." for part in names)
            out = {
                name: value
                for name, value in out.items()
                if not name.startswith(adapters) or f"{name}.".startswith(kept)
            }
            out = _renamed(out, f"{prefix}.base_layer.", f"{prefix}.")
            scaling = getattr(layer, "scaling", {})
            settings += [f"{prefix} {each} {scaling.get(each)!r}" for each in active]
        elif hasattr(layer, "original_module"):
            saved = [each for each in active if each in getattr(layer, "modules_to_save", ())]
            used = f"modules_to_save.{saved[0]}" if saved else "original_module"
            active_prefix = f"{prefix}.{used}."
            out = {
                n: v for n, v in out.items() if not n.startswith(f"{prefix}.") or active_prefix in n
            }
            out = _renamed(out, active_prefix, f"{prefix}.")
    return out, settings


def _renamed(state: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {
        new + name.removeprefix(old) if name.startswith(old) else name: value
        for name, value in state.items()
    }


def _fetched(model: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """A state with the weights that accelerate keeps on the CPU or the disk between uses."""
    out = dict(state)
    for prefix, module in model.named_modules():
        hook = getattr(module, "_hf_hook", None)
        for each in getattr(hook, "hooks", [hook]):
            kept = getattr(each, "weights_map", None)
            for name, _ in [*module.named_parameters(), *module.named_buffers()]:
                full = f"{prefix}.{name}" if prefix else name
                if kept is not None and full in out and out[full].is_meta:
                    out[full] = kept[name]
    return out


def _quantization(model: Any) -> str:
    """The quantisation method of a model, or an empty string."""
    config = getattr(model.config, "quantization_config", None)
    method = config.get("quant_method") if isinstance(config, Mapping) else None
    method = method or getattr(config, "quant_method", None)
    return str(getattr(method, "value", method)) if config is not None else ""
