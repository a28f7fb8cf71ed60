"""One measurement in a process of its own: seconds and peak memory of one contender at one task.

Run as ``python -m benchmarks.measure '{"model": ...}'``; prints one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contenders import CONTENDERS, Contender, Ours
from benchmarks.models import Place
from benchmarks.page import Page, conditions, draw_pages
from gazeheads import prompts
from gazeheads.models.continuous import ContinuousBatch, TextRequest
from gazeheads.models.generate import Decoding
from gazeheads.models.rows import UNSTEERED
from gazeheads.steering import Steering

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Job:
    """What is measured.

    Attributes:
        model, task, contender: names.
        image_tokens: of the strip.
        strips: at once.
        repeats: runs after one to warm up; with 0 the first run counts.
        k: steered heads per condition; 0: discovery needs none.
        tokens: decoded in the live and the batch task, per text.
        texts: in the batch task, at once.
        device, dtype: where, and in which precision.
    """

    model: str
    task: str
    contender: str
    image_tokens: int
    strips: int = 1
    repeats: int = 3
    k: int = 0
    tokens: int = 64
    texts: int = 1
    device: str = "cpu"
    dtype: str = "float32"


def measure(job: Job) -> dict[str, Any]:
    """Seconds of every run (wall clock and processor), peak memory above the loaded model."""
    place = Place(job.device, getattr(torch, job.dtype))
    contender = CONTENDERS[job.contender](job.model, job.image_tokens, place)
    on_card = torch.device(job.device).type == "cuda"
    run = TASKS[job.task]
    pages = draw_pages(job.strips, job.image_tokens)
    results: list[Any] = []
    wall, processor = [], []
    before = _start_of_memory(on_card)
    for number in range(job.repeats + 1):
        began, used = time.perf_counter(), time.process_time()
        results.append(run(contender, pages, job))
        if on_card:
            torch.cuda.synchronize()
        if number > 0 or job.repeats == 0:
            wall.append(time.perf_counter() - began)
            processor.append(time.process_time() - used)
    return {
        **asdict(job),
        "seconds": wall,
        "processor_seconds": processor,
        "model_mib": before,
        "peak_mib": _peak(on_card) - before,
        **({"card": torch.cuda.get_device_name()} if on_card else {}),
        "result": results[-1],
    }


def _discover(contender: Contender, pages: list[Page], job: Job) -> Any:
    del job
    mass = contender.discover(pages)
    return None if mass is None else np.round(mass[0], 5).tolist()


def _answer(contender: Contender, pages: list[Page], job: Job) -> Any:
    sets = conditions(contender.layers, contender.heads, job.k)
    return contender.answer(pages[0], sets)


def _live(contender: Contender, pages: list[Page], job: Job) -> Any:
    heads = conditions(contender.layers, contender.heads, job.k)[0] if job.k else None
    first, *later = contender.decode(pages[0], heads, job.tokens)
    moves = contender.moves if isinstance(contender, Ours) else []
    return {
        "first": first,
        "per_token": statistics.median(later),
        "move": max(moves) if moves else None,
    }


def _batch(contender: Contender, pages: list[Page], job: Job) -> Any:
    """Texts that are written together, every one with heads and a panel of its own, or plain."""
    assert isinstance(contender, Ours)
    vlm, page = contender.vlm, pages[0]
    sets = conditions(contender.layers, contender.heads, job.k) if job.k else []
    encoded = vlm.encode(page.image, prompts.VQA)
    decoding = Decoding(max_new_tokens=job.tokens, ignore_eos=True)
    requests = [
        TextRequest(
            encoded,
            Steering(sets[i % 2], page.regions[i % len(page.regions)]) if sets else UNSTEERED,
            decoding,
        )
        for i in range(job.texts)
    ]
    batch = ContinuousBatch(vlm)
    began = time.perf_counter()
    batch.join(requests)
    first = time.perf_counter() - began
    steps = []
    while len(batch):  # every step reads its tokens, so the device has done it
        began = time.perf_counter()
        batch.step()
        steps.append(time.perf_counter() - began)
    return {"first": first, "per_token": statistics.median(steps)}


TASKS = {"discover": _discover, "answer": _answer, "live": _live, "batch": _batch}


def _start_of_memory(on_card: bool) -> float:
    """MiB in use; the peak counts from here."""
    if on_card:
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    _forget_peak()
    return _memory("VmRSS")


def _peak(on_card: bool) -> float:
    return torch.cuda.max_memory_allocated() / 2**20 if on_card else _memory("VmHWM")


def _forget_peak() -> None:
    """Start counting the peak of memory anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> float:
    """MiB of a field of this process's status (Linux)."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"{_STATUS} has no {field}: the benchmark needs Linux")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", os.cpu_count() or 1)))
    print(json.dumps(measure(Job(**json.loads(sys.argv[1])))))
