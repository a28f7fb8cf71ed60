"""RESULTS.md from the measurements: seconds, memory and ratios in one table per question."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gazeheads.files import write_text

Measured = dict[str, Any]
Key = tuple[str, str, int, int]
"""Model, task, image tokens, strips."""


_INTRODUCTION = """# Benchmark

{machine}; Python {python}, {versions}; float32. {count} measurements.

`python -m benchmarks` repeats it (or a part: `tiny`, `2b`, `scaling`, `2b-answers`) and writes this
page and `results.json`. On a GPU: `python -m benchmarks 8b --device cuda --dtype bfloat16` (decode
with 100 of 1,152 heads steered beside plain, 64 gazes in one batch beside 64 plain texts, the
second path beside FlexAttention). {cards}

Each measurement runs in a process of its own, after one run to warm up
(but for the longest, which run once); the best repeat counts. Memory is the peak above the loaded
model.

- **ours**: this library.
- **literal**: the published protocol step by step: eager attention, `output_attentions`, six
  prompts one by one, one generation at a time, +-10,000 added to the scores of the steered heads.
- **plain**: transformers with sdpa doing as many prompts or answers, neither steered nor recorded:
  for discovery the shared prefix once and six ends as one batch, for answers one batch of 19 rows.

The models: comic-tiny; `2b`: random weights in Qwen3-VL-2B's shape; `2b-slice`: the same widths,
with 4 language and 2 vision layers, so that every contender can be tried on large images."""


def write_results(done: Sequence[Measured], path: Path) -> None:
    """Write every table that the measurements allow."""
    cards = [one for one in done if _of_card(one)]
    done = [one for one in done if not _of_card(one)]
    found = _by_key(done)
    parts = [
        _head(done, cards),
        _section("Discovery: one strip, six questions", found, "discover", _COMPARED),
        _section(
            "Steering: an unsteered answer, and 3 conditions x 6 panels", found, "answer", _COMPARED
        ),
        _agreement(found),
        _live(done),
        _growth(found),
        _batches(found),
        _before(done),
        _kernels([*done, *cards]),
        _failures(done),
    ]
    write_text(path, "\n\n".join(part for part in parts if part) + "\n")


_COMPARED = (
    "| model | image tokens | ours | literal | plain | literal / ours | ours / plain "
    "| memory: ours | literal | plain |"
)


def _by_key(done: Iterable[Measured]) -> dict[Key, dict[str, Measured]]:
    found: dict[Key, dict[str, Measured]] = {}
    for one in done:
        if one["task"] != "live":
            key = (one["model"], one["task"], one["image_tokens"], one.get("strips", 1))
            found.setdefault(key, {})[one["contender"]] = one
    return found


def _head(done: Sequence[Measured], cards: Sequence[Measured]) -> str:
    known = sorted({one["card"] for one in cards if "card" in one})
    told = f"Measured on {', '.join(known)}." if known else ""
    names = ("torch", "transformers", "gazeheads")
    return _INTRODUCTION.format(
        machine=f"{_processor()}, {os.cpu_count()} cores, {_memory()} GiB",
        versions=", ".join(f"{name} {version(name)}" for name in names),
        python=platform.python_version(),
        cards=told or "**Nothing on this page was measured on a GPU.**",
        count=sum("failed" not in one for one in done),
    )


def _section(title: str, found: dict[Key, dict[str, Measured]], task: str, header: str) -> str:
    rows = [
        _compared(key, contenders)
        for key, contenders in found.items()
        if key[1] == task and key[0] != "2b-slice" and key[2] in (54, 384) and key[3] == 1
    ]
    return f"## {title}\n\n{_table(header, rows)}" if rows else ""


def _compared(key: Key, contenders: dict[str, Measured]) -> str:
    ours, literal, plain = (_seconds(contenders.get(n)) for n in ("ours", "literal", "plain"))
    memory = [_mib(contenders.get(n)) for n in ("ours", "literal", "plain")]
    cells = [
        key[0],
        str(key[2]),
        *(_said(seconds, "s") for seconds in (ours, literal, plain)),
        _ratio(literal, ours),
        _ratio(ours, plain),
        *memory,
    ]
    return "| " + " | ".join(cells) + " |"


def _agreement(found: dict[Key, dict[str, Measured]]) -> str:
    """How far ours and the literal protocol say the same."""
    lines = []
    for (model, task, tokens, strips), contenders in found.items():
        results: list[Any] = [contenders.get(n, {}).get("result") for n in ("ours", "literal")]
        if strips > 1 or None in results:
            continue
        if task == "discover":
            gap = np.abs(np.array(results[0]) - np.array(results[1])).max()
            lines.append(f"- {model}, {tokens} image tokens: matrices differ by at most {gap:.0e}.")
        else:
            same = sum(a == b for a, b in zip(*results, strict=True))
            lines.append(f"- {model}: {same} of {len(results[0])} answers equal token for token.")
    return "## Do ours and the literal protocol agree?\n\n" + "\n".join(lines) if lines else ""


def _live(done: Sequence[Measured]) -> str:
    rows = []
    for one in done:
        if one["task"] != "live" or "failed" in one or one["contender"] == "before":
            continue
        name = one["contender"] + (f", {one['k']} heads steered" if one.get("k") else "")
        result = one["result"]
        move = "-" if result["move"] is None else f"{result['move'] * 1e6:.0f} us"
        rows.append(
            f"| {one['model']} | {name} | {result['first']:.3f} s | "
            f"{result['per_token'] * 1e3:.1f} ms | {move} |"
        )
    header = "| model | | to the first token | per further token | moving the target |"
    note = "A moved target acts on the next token; per token: the median."
    return f"## One live answer\n\n{_table(header, rows)}\n\n{note}" if rows else ""


def _growth(found: dict[Key, dict[str, Measured]]) -> str:
    rows = [
        _compared(key, found[key])
        for key in sorted(found)
        if key[1] == "discover" and key[2] in (256, 1024, 4096) and key[3] == 1
    ]
    return f"## Growth with the number of image tokens\n\n{_table(_COMPARED, rows)}" if rows else ""


def _batches(found: dict[Key, dict[str, Measured]]) -> str:
    rows = []
    for (model, task, tokens, strips), contenders in sorted(found.items()):
        ours, plain = _seconds(contenders.get("ours")), _seconds(contenders.get("plain"))
        if task == "discover" and tokens == 54 and ours is not None and plain is not None:
            literal = _seconds(contenders.get("literal"))
            each = [_said(seconds / strips, "s") for seconds in (ours, plain)]
            ratios = [_ratio(literal, ours), _ratio(ours, plain)]
            cells = [model, str(strips), *each, *ratios, _mib(contenders["ours"])]
            rows.append("| " + " | ".join(cells) + " |")
    header = (
        "| model | strips at once | ours, per strip | plain, per strip | literal / ours "
        "| ours / plain | memory: ours |"
    )
    return f"## Discovery with several strips at once\n\n{_table(header, rows)}" if rows else ""


def _before(done: Sequence[Measured]) -> str:
    """Ours beside another checkout's library, measured in one sitting."""
    names = ("model", "task", "image_tokens", "strips", "k")
    found: dict[tuple[Any, ...], dict[str, Measured]] = {}
    for one in done:
        if "failed" not in one and one["contender"] in ("before", "ours"):
            key = tuple(one.get(name) for name in names)
            found.setdefault(key, {})[one["contender"]] = one
    rows = []
    for (model, task, tokens, strips, k), both in found.items():
        if len(both) == 2:
            what = f"{task}, {tokens} image tokens"
            what += f", {strips} strips" if strips and strips > 1 else ""
            what += f", {k} heads" if k else ""
            before, after = (_cost(both[name]) for name in ("before", "ours"))
            memory = [_mib(both[name]) for name in ("before", "ours")]
            cells = [model, what, f"{before:.4g} s", f"{after:.4g} s", f"{after / before:.2f}"]
            rows.append("| " + " | ".join([*cells, *memory]) + " |")
    header = "| model | | before | after | after / before | memory: before | after |"
    note = "Live: a further token. Several strips: all of them."
    return f"## Before and after\n\n{_table(header, rows)}\n\n{note}" if rows else ""


def _of_card(measured: Measured) -> bool:
    return bool(measured.get("device", "cpu") != "cpu" or measured.get("dtype") == "bfloat16")


def _kernels(done: Sequence[Measured]) -> str:
    """Many gazes in one batch, FlexAttention beside the second path, and all that a GPU did."""
    rows = []
    for one in done:
        if "failed" in one or not (
            _of_card(one) or one["task"] == "batch" or one["contender"] == "flex"
        ):
            continue
        what = one["task"] + (f", {one['texts']} texts" if one["task"] == "batch" else "")
        what += f", {one['k']} heads" if one.get("k") else ""
        seconds = min(one["seconds"])
        step = one["result"]["per_token"] if one["task"] in ("live", "batch") else None
        cells = [one.get("card", "this processor"), one.get("dtype", "float32"), one["model"]]
        cells += [what, one["contender"], _said(seconds, "s")]
        cells += ["-" if step is None else f"{1000 * step:.1f} ms", _mib(one)]
        rows.append("| " + " | ".join(cells) + " |")
    header = "| on | precision | model | | contender | seconds | per step | memory |"
    note = (
        "`ours`: steered heads on the second path; `flex`: by FlexAttention. Without heads: plain."
    )
    return f"## Kernels, batches and cards\n\n{_table(header, rows)}\n\n{note}" if rows else ""


def _cost(measured: Measured) -> float:
    """Seconds of a run, or of a live token."""
    if measured["task"] == "live":
        return float(measured["result"]["per_token"])
    return float(min(measured["seconds"]))


def _failures(done: Sequence[Measured]) -> str:
    lines = [
        f"- {one['model']}, {one['task']}, {one['image_tokens']} image tokens, {one['contender']}: "
        f"{one['failed']}"
        for one in done
        if "failed" in one
    ]
    return "## Failed\n\n" + "\n".join(lines) if lines else ""


def _table(header: str, rows: Sequence[str]) -> str:
    return "\n".join([header, "|---" * (header.count("|") - 1) + "|", *rows])


def _seconds(measured: Measured | None) -> float | None:
    return min(measured["seconds"]) if measured and "failed" not in measured else None


def _mib(measured: Measured | None) -> str:
    return f"{measured['peak_mib']:.0f} MiB" if measured and "failed" not in measured else "-"


def _said(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3g} {unit}"


def _ratio(above: float | None, below: float | None) -> str:
    return "-" if above is None or below is None else f"{above / below:.2f}"


def _processor() -> str:
    return _line("/proc/cpuinfo", "model name", lambda value: value)


def _memory() -> str:
    return _line("/proc/meminfo", "MemTotal", lambda value: f"{int(value.split()[0]) / 2**20:.0f}")


def _line(path: str, name: str, read: Callable[[str], str]) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return read(line.split(":", 1)[1].strip())
    return "unknown"
