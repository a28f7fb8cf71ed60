"""Which heads are alive: those whose output can be anything but zero."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gazeheads.attention.install import attention_layers

_OUTPUTS = ("o_proj", "out_proj", "dense", "wo")


def living_heads(model: Any, layers: int, heads: int) -> np.ndarray:
    """Which heads of a model's language model are alive.

    A head is dead if its part of the output projection is zero, or if all its values are: whatever
    it looks at, the model is the same. In layers without attention no head lives.

    Args:
        model: transformers' own.
        layers, heads: of its language model.

    Returns:
        (L, H) bool.
    """
    alive = np.zeros((layers, heads), dtype=bool)
    for layer, attention in attention_layers(model).items():
        alive[layer] = _read_out(attention, heads) & _has_values(attention, heads)
    return alive


def _read_out(attention: Any, heads: int) -> np.ndarray:
    """(H,) whether the output projection reads anything of a head."""
    output = next((o for n in _OUTPUTS if (o := getattr(attention, n, None)) is not None), None)
    width = int(getattr(output, "in_features", 0))
    if output is None or not width or width % heads:
        return np.ones(heads, dtype=bool)  # unknown: never called dead
    weight = _plain_weight(output)
    if weight is not None:
        return _any(weight.reshape(weight.shape[0], heads, -1), (0, 2))
    # quantised, adapted or elsewhere: what comes out for noise in one head alone
    noise = torch.zeros(heads, heads, width // heads)
    noise[range(heads), range(heads)] = _noise(heads, width // heads)
    return _any(_changes(output, noise.reshape(heads, width)), (1,))


def _has_values(attention: Any, heads: int) -> np.ndarray:
    """(H,) whether the values that a head reads can be other than zero."""
    values = getattr(attention, "v_proj", None)
    kv_heads = heads // int(getattr(attention, "num_key_value_groups", 1) or 1)
    rows = int(getattr(values, "out_features", 0))
    if values is None or not rows or not kv_heads or rows % kv_heads or heads % kv_heads:
        return np.ones(heads, dtype=bool)
    weight, bias = _plain_weight(values), getattr(values, "bias", None)
    if weight is not None:
        alive = _any(weight.reshape(kv_heads, -1), (1,))
        if bias is not None:
            alive |= _any(bias.reshape(kv_heads, -1), (1,))
    else:
        width = int(values.in_features)
        noise = torch.cat([_noise(1, width), torch.zeros(1, width)])
        alive = _any(_outputs(values, noise).reshape(2, kv_heads, -1), (0, 2))
    return alive.repeat(heads // kv_heads)


def _plain_weight(projection: Any) -> Tensor | None:
    """(out, in) numbers of an ordinary linear layer; None if it is more than those."""
    weight: Any = getattr(projection, "weight", None)
    if type(weight) not in (Tensor, torch.nn.Parameter) or hasattr(projection, "base_layer"):
        return None
    wanted = (projection.out_features, projection.in_features)
    if weight.is_meta or not weight.is_floating_point() or tuple(weight.shape) != wanted:
        return None
    return Tensor.detach(weight)


def _any(values: Tensor, over: tuple[int, ...]) -> np.ndarray:
    any_value: np.ndarray = (values != 0).any(over).cpu().numpy()
    return any_value


def _noise(rows: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, width, generator=generator)


def _changes(projection: Any, inputs: Tensor) -> Tensor:
    """What each row of inputs changes in the output."""
    zeros = torch.zeros(1, inputs.shape[1])
    return _outputs(projection, inputs) - _outputs(projection, zeros)


def _outputs(projection: Any, inputs: Tensor) -> Tensor:
    base = getattr(projection, "base_layer", projection)
    weight = getattr(base, "weight", None)
    kind = getattr(weight, "dtype", torch.float32)
    device = getattr(weight, "device", torch.device("cpu"))
    if not kind.is_floating_point or kind.itemsize < 2:
        kind = getattr(base, "compute_dtype", None) or torch.float16
    if device.type == "meta":
        device = torch.device("cpu")
    with torch.no_grad():
        result: Tensor = projection(inputs.to(device, kind))
    return result.float()
