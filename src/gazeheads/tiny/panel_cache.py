"""A cache of drawn panels on disk, so that training draws each panel once and uses it often."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from gazeheads.data.drawn.strips import draw_panel
from gazeheads.data.drawn.truth import PanelTruth, sample_truths

PANEL = 192
"""Side in pixels of a cached panel."""
_CHUNK = 500
FOLDER = "bank"
"""Of a training run, holds its panels. Runs begun with 0.1 have it by this name."""


@dataclass(frozen=True)
class PanelCache:
    """Panels (N, 192, 192, 3) uint8, memory-mapped, with the truth of each."""

    panels: np.ndarray
    truths: tuple[PanelTruth, ...]

    def draw(self, rng: np.random.Generator, count: int) -> tuple[int, ...]:
        """Indices of ``count`` panels in which no attribute repeats."""
        chosen: list[int] = []
        used: set[str] = set()
        while len(chosen) < count:
            index = int(rng.integers(len(self.truths)))
            words = set(self.truths[index].attributes().values())
            if not words & used:
                used |= words
                chosen.append(index)
        return tuple(chosen)


def build_panel_cache(
    folder: Path,
    count: int,
    seed: int,
    workers: int,
    progress: Callable[[int], None] = lambda _: None,
    *,
    held_out: bool = False,
) -> PanelCache:
    """Draw ``count`` panels into ``folder``, or reuse what an earlier run drew there.

    Args:
        folder: Where the panels and their truths are kept; made when missing.
        count: Number of panels.
        seed: Panel chunk i depends on (seed, i) only.
        workers: Processes that draw.
        progress: Called with the number of panels drawn since the last call.
        held_out: Draw the combinations kept from training instead of the others.
    """
    name = f"{'held-out' if held_out else 'training'}-{seed}-{count}"
    described, data = folder / f"{name}.json", folder / f"{name}.npy"
    if not described.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (count, PANEL, PANEL, 3)
        panels = np.lib.format.open_memmap(data, "w+", np.uint8, shape)
        truths: list[dict[str, str | None]] = []
        jobs = [
            (seed, start, min(_CHUNK, count - start), held_out) for start in range(0, count, _CHUNK)
        ]
        with ProcessPoolExecutor(workers) as pool:
            for (_, start, size, _), (drawn, chunk_truths) in zip(
                jobs, pool.map(_draw_chunk, jobs), strict=True
            ):
                panels[start : start + size] = drawn
                truths.extend(asdict(truth) for truth in chunk_truths)
                progress(size)
        panels.flush()
        partial = described.with_suffix(".partial")
        partial.write_text(json.dumps(truths))
        os.replace(partial, described)
    truths_read = tuple(PanelTruth(**entry) for entry in json.loads(described.read_text()))
    return PanelCache(np.load(data, mmap_mode="r"), truths_read)


def _draw_chunk(job: tuple[int, int, int, bool]) -> tuple[np.ndarray, list[PanelTruth]]:
    seed, start, size, held_out = job
    rng = np.random.default_rng((seed, start))
    truths = [sample_truths(rng, 1, held_out)[0] for _ in range(size)]
    drawn = np.stack([np.asarray(draw_panel(truth, rng, PANEL)) for truth in truths])
    return drawn, truths
