"""What would make the host wait for a GPU, found on the CPU.

Two instruments. `Waits` counts calls from Python that read a tensor's values on the host or copy
values to a device from ordinary memory; on a GPU each waits until the device has done all before
it. `on_a_pretended_gpu` runs code on tensors that only pretend to lie on one: reading a value there
is an error, whoever does it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READ = {
    torch.Tensor.tolist, torch.Tensor.item, torch.Tensor.__bool__, torch.Tensor.__int__,
    torch.Tensor.__float__, torch.Tensor.__index__, torch.Tensor.cpu, torch.Tensor.numpy,
    torch.Tensor.nonzero, torch.nonzero, torch.is_nonzero, torch.equal, torch.Tensor.equal,
    torch.Tensor.masked_select, torch.masked_select, torch.unique, torch.Tensor.unique,
    torch.allclose, torch.argwhere, torch.Tensor.argwhere,
}  # fmt: skip
"""They bring values to the host."""
COPIED = {torch.tensor, torch.as_tensor, torch.Tensor.new_tensor}
"""They bring values to the device, from ordinary memory."""
INDEXED = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class Waits(TorchFunctionMode):
    """Notes each of them as (what, file of the caller)."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        copied = func in COPIED and not isinstance(args[0], torch.Tensor)
        if func in READ or copied or (func in INDEXED and _waits_for_index(args[1])):
            frame = sys._getframe(1)
            while "torch/" in frame.f_code.co_filename and frame.f_back is not None:
                frame = frame.f_back
            where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            self.seen.append((func.__name__, where))
        return func(*args, **(kwargs or {}))


def _waits_for_index(index: Any) -> bool:
    """A list is copied to the device; a mask is counted on the host."""
    parts = index if isinstance(index, tuple) else (index,)
    masks = (part for part in parts if isinstance(part, torch.Tensor))
    return any(isinstance(part, list) for part in parts) or any(
        mask.dtype == torch.bool for mask in masks
    )


class _NoCopies(TorchDispatchMode):
    """Fails where something is copied between host and device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            devices = {each.device.type for each in (args[0], out)}
            devices |= {each.device.type for each in args[1:2] if isinstance(each, torch.Tensor)}
            assert len(devices) == 1, f"{func} copies between {sorted(devices)}"
        return out


@contextmanager
def on_a_pretended_gpu() -> Iterator[None]:
    """Inside, `device="cuda"` works without one; reading values is an error."""
    with FakeTensorMode():
        yield


def no_copies() -> TorchDispatchMode:
    """Inside, a copy between host and device is an error."""
    return _NoCopies()
