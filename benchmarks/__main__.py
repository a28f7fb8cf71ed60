"""``python -m benchmarks``: run every measurement, or some, and write RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.results import write_results

HERE = Path(__file__).parent
CONTENDERS = ("ours", "literal", "plain")
BEFORE = "before"
ROUNDS = 3
"""Ours, as another checkout has it."""
GROUPS = ("tiny", "2b", "scaling", "2b-answers")
FURTHER = ("kernels", "8b")
"""Groups that run only where they are named: made for a GPU."""


def jobs(groups: list[str]) -> list[dict[str, Any]]:
    """What is measured, the contenders of one comparison next to each other."""
    found: list[dict[str, Any]] = []
    tiny, big = {"model": "comic-tiny", "image_tokens": 54}, {"model": "2b", "image_tokens": 384}
    if "tiny" in groups:
        found += _each({**tiny, "task": "discover", "repeats": 10})
        found += _each({**tiny, "task": "answer", "repeats": 5, "k": 16})
        found += _live({**tiny, "repeats": 5}, k=16)
        for strips in (1, 2, 4, 8, 16):
            job = {**tiny, "task": "discover", "repeats": 3, "strips": strips}
            found += _each(job, ("ours", "literal", "plain") if strips == 16 else ("ours", "plain"))
    if "scaling" in groups:
        for image_tokens in (256, 1024, 4096):
            for model in ("comic-tiny", "2b-slice"):
                job = {"model": model, "image_tokens": image_tokens, "task": "discover"}
                found += _each({**job, "repeats": 1 if image_tokens < 4096 else 0})
    if "2b" in groups:
        found += _each({**big, "task": "discover", "repeats": 0})
        found += _live({**big, "repeats": 1, "tokens": 24}, k=10)
    if "2b-answers" in groups:
        found += _each({**big, "task": "answer", "repeats": 0, "k": 10})
    if "kernels" in groups:
        found += _kernels({**tiny, "repeats": 1}, k=16, texts=8)
    if "8b" in groups:
        found += _kernels({**big, "model": "8b", "repeats": 1}, k=100, texts=64)
    return found


def _kernels(job: dict[str, Any], k: int, texts: int) -> list[dict[str, Any]]:
    """Steered decode beside plain, second path beside FlexAttention; many gazes in one batch."""
    live = _live(job, k)
    batch = {**job, "task": "batch", "texts": texts, "tokens": 24, "contender": "ours"}
    return [*live, {**live[-1], "contender": "flex"}, {**batch, "k": 0}, {**batch, "k": k},
            {**batch, "k": k, "contender": "flex"}]  # fmt: skip


def _each(job: dict[str, Any], contenders: tuple[str, ...] = CONTENDERS) -> list[dict[str, Any]]:
    return [{**job, "contender": contender} for contender in contenders]


def _live(job: dict[str, Any], k: int) -> list[dict[str, Any]]:
    job = {**job, "task": "live"}
    return [{**job, "contender": "plain"}, *({**job, "contender": "ours", "k": n} for n in (0, k))]


def main() -> None:
    """Measure one after the other, keep what was measured, write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument(
        "groups",
        nargs="*",
        default=list(GROUPS),
        help=" ".join(GROUPS) + " (default: these) " + " ".join(FURTHER),
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results.json, RESULTS.md")
    parser.add_argument(
        "--before", type=Path, help="another checkout, whose library is measured beside this one"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    options = parser.parse_args()
    if unknown := set(options.groups) - {*GROUPS, *FURTHER}:
        parser.error(f"unknown group {min(unknown)!r}: use {', '.join((*GROUPS, *FURTHER))}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU with CUDA, and torch finds none: use --device cpu")
    console = Console(stderr=True)
    kept = options.out / "results.json"
    done = json.loads(kept.read_text()) if kept.exists() else []
    todo = jobs(options.groups)
    if (options.device, options.dtype) != ("cpu", "float32"):
        place = {"device": options.device, "dtype": options.dtype}
        todo = [{**job, **place} for job in todo]
    if options.before is not None:
        todo = [each for job in todo for each in _beside(job)]
    for number, job in enumerate(todo, 1):
        console.print(f"[{number}/{len(todo)}] " + " ".join(f"{k}={v}" for k, v in job.items()))
        measured = _with_earlier(_run(job, options.before), todo[: number - 1], job, done)
        done = [old for old in done if any(old.get(name) != job[name] for name in job)]
        done.append(measured)
        kept.write_text(json.dumps(done, indent=1) + "\n")
        console.print("    " + _line(measured))
    write_results(done, options.out / "RESULTS.md")
    console.print(f"written: {options.out / 'RESULTS.md'}")


def _beside(job: dict[str, Any]) -> list[dict[str, Any]]:
    """A job of ours in turn with the other checkout's library: a machine's speed drifts."""
    return ROUNDS * [{**job, "contender": BEFORE}, job] if job["contender"] == "ours" else [job]


def _with_earlier(
    measured: dict[str, Any],
    earlier: list[dict[str, Any]],
    job: dict[str, Any],
    done: list[dict[str, Any]],
) -> dict[str, Any]:
    """A measurement with the runs of its earlier rounds in this sitting."""
    known = [old for old in done if all(old.get(name) == job[name] for name in job)]
    if job not in earlier or not known or "failed" in measured or "failed" in known[0]:
        return measured
    results = [known[0]["result"], measured["result"]]
    if job["task"] == "live":
        results.sort(key=lambda result: result["per_token"], reverse=True)
    return {**measured, "seconds": known[0]["seconds"] + measured["seconds"], "result": results[-1]}


def _run(job: dict[str, Any], before: Path | None) -> dict[str, Any]:
    """Measures a job in a process of its own; `before` in the other checkout."""
    where, asked = HERE.parent, job
    if job["contender"] == BEFORE and before is not None:
        where, asked = before.absolute(), {**job, "contender": "ours"}
    command = [sys.executable, "-m", "benchmarks.measure", json.dumps(asked)]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join((str(where / "src"), str(where)))}
    ended = subprocess.run(command, check=False, cwd=where, env=own, capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["killed: out of memory?"])[-1]
        return {**job, "failed": last}
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return {**found, "contender": job["contender"]}


def _line(measured: dict[str, Any]) -> str:
    if "failed" in measured:
        return f"failed: {measured['failed']}"
    return f"{min(measured['seconds']):.3f} s, peak {measured['peak_mib']:.0f} MiB over the model"


if __name__ == "__main__":
    main()
