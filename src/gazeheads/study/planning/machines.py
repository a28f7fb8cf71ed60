"""How fast machines are: a few known cards, and this processor, measured for a moment."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gazeheads.errors import GazeheadsError

CPU = "cpu"
GIB = 1 << 30
OF_PEAK = 0.4
"""Of a card's peak, what a prefill reaches through transformers' modules; an assumption."""
OF_BANDWIDTH = 0.6
"""Of a card's memory bandwidth, what a decode step reaches; an assumption."""
OPERATION = 1.2e-6
"""Seconds of one small operation on the processor beside a card; an assumption."""
OF_PRODUCT = 0.85
"""Of plain matrix products, what a model's own reach on a processor; from the benchmark's runs."""
PROBE_SECONDS = 0.25
_LARGEST = 64 << 20  # numbers of one matrix of the probe


@dataclass(frozen=True)
class Machine:
    """What work runs on.

    Attributes:
        name: of the card, or "cpu".
        flops: floating-point operations per second while a prompt is read.
        bandwidth: bytes per second that weights and caches are read with.
        touch: seconds per number that is gone through one by one, as norms and softmax do; 0: it
            is part of `flops`.
        operation: seconds that a small tensor operation takes, however little it computes.
        memory: bytes.
        element: bytes of a number in the precision that models run in there.
        measured: whether the numbers were measured, and are not those of a data sheet.
    """

    name: str
    flops: float
    bandwidth: float
    touch: float
    operation: float
    memory: int
    element: int = 2
    measured: bool = False


def _card(name: str, teraflops: float, gigabytes: float, gib: int) -> Machine:
    return Machine(
        name, teraflops * 1e12 * OF_PEAK, gigabytes * 1e9 * OF_BANDWIDTH, 0.0, OPERATION, gib * GIB
    )


CARDS: dict[str, Machine] = {
    card.name: card
    for card in (
        _card("b200", 2250, 8000, 180),
        _card("h200", 989, 4800, 141),
        _card("h100", 989, 3350, 80),
        _card("a100", 312, 2039, 80),
        _card("a100-40", 312, 1555, 40),
        _card("mi300x", 1307, 5300, 192),
        _card("l40s", 362, 864, 48),
        _card("l4", 121, 300, 24),
        _card("a10", 125, 600, 24),
        _card("rtx4090", 165, 1008, 24),
        _card("rtx3090", 71, 936, 24),
        _card("t4", 65, 320, 16),
    )
}
"""Peak of dense bfloat16 (float16 on a T4), bandwidth and memory by the makers' data sheets."""


def machine_named(name: str, widths: tuple[int, int], layer_bytes: float) -> Machine:
    """A card, or this processor.

    Args:
        name: of a card, or "cpu".
        widths: hidden and intermediate size of the model, to measure a processor with.
        layer_bytes: of the weights that one token of the model reads.

    Raises:
        GazeheadsError: it is not known.
    """
    if name.lower() == CPU:
        return this_processor(widths, layer_bytes)
    if name.lower() not in CARDS:
        raise GazeheadsError(f"no card {name!r}: choose from {CPU}, {', '.join(CARDS)}")
    return CARDS[name.lower()]


def this_processor(
    widths: tuple[int, int], weight_bytes: float, clock: Callable[[], float] = time.perf_counter
) -> Machine:
    """What this processor does in float32 at a model's widths, measured for about a second.

    Args:
        widths: of a matrix of the model.
        weight_bytes: of the model: a small one stays in the cache, a large one does not.
        clock: seconds, of whichever kind are to be told.
    """
    import torch  # noqa: PLC0415 - slow to load

    across, down = widths
    matrices = max(1, round(min(weight_bytes / 4, _LARGEST) / (across * down)))
    weights = [torch.randn(across, down) for _ in range(matrices)]
    many, one, small = torch.randn(256, across), torch.randn(1, across), torch.randn(64)
    wide = torch.randn(256, down)
    with torch.no_grad():
        reading = _seconds(lambda: many @ weights[0], clock)
        writing = _seconds(lambda: [one @ each for each in weights], clock)
        touching = _seconds(lambda: torch.nn.functional.silu(wide), clock)
        operation = _seconds(lambda: [small + small for _ in range(50)], clock) / 50
    return Machine(
        CPU,
        OF_PRODUCT * 2 * 256 * across * down / reading,
        4 * matrices * across * down / max(writing - matrices * operation, writing / 10),
        touching / wide.numel(),
        operation,
        memory_of_machine(),
        4,
        True,
    )


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """The median of the repeats that fit a moment."""
    work()
    taken: list[float] = []
    until = time.perf_counter() + PROBE_SECONDS
    while len(taken) < 3 or time.perf_counter() < until:
        begun = clock()
        work()
        taken.append(clock() - begun)
    return statistics.median(taken)


def memory_of_machine() -> int:
    """Bytes of memory that this machine has, or this container may use; 0 if nobody tells."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a Unix
        return 0
    limit = Path("/sys/fs/cgroup/memory.max")
    told = limit.read_text().strip() if limit.exists() else ""
    return min(memory, int(told)) if told.isdigit() else memory
