"""From the host to the device without making the host wait."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def to_device(values: np.ndarray | Sequence[int], device: torch.device | str) -> torch.Tensor:
    """Values as a tensor on a device; the host goes on at once.

    On a GPU a copy from ordinary memory waits until all work before it is done. One from pinned
    memory is queued behind that work, and torch keeps the memory until it was read.

    Args:
        values: an array, or whole numbers.
        device: where to.
    """
    if not isinstance(values, np.ndarray):
        values = np.array(values, dtype=np.int64)
    tensor = torch.from_numpy(values)
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
