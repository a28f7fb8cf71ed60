"""``python -m benchmarks.serving``: gaze requests against plain ones, and a crowd at the demo.

Starts both servers with comic-tiny on free ports, measures from outside, and writes `serving.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2 as httpx
import websockets
from rich.console import Console

from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip

OUT = Path(__file__).parent / "serving.json"
QUESTIONS = (prompts.VQA, *prompts.VQA_VARIANTS[:3])
TOKENS = 20
PANELS = 6


@contextmanager
def server(*words: str) -> Iterator[str]:
    """A server of the command line; the address it tells."""
    command = [sys.executable, "-m", "gazeheads.cli", *words, "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        yield next(word for word in line.split() if word.startswith("http"))
    finally:
        process.terminate()
        process.wait(30)


@cache
def strip() -> Strip:
    """What is asked about."""
    return draw_strips(1, 7)[0]


@cache
def picture() -> bytes:
    """The strip, as PNG."""
    file = io.BytesIO()
    strip().image.save(file, "PNG")
    return file.getvalue()


def body(question: str, gaze: dict[str, Any] | None) -> dict[str, Any]:
    """A request about the strip."""
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
    sent = {"model": "comic-tiny", "messages": [{"role": "user", "content": parts}]}
    return {**sent, "max_tokens": TOKENS, **({"gaze": gaze} if gaze else {})}


async def at_once(url: str, bodies: list[dict[str, Any]]) -> tuple[float, int]:
    """Seconds until all requests are answered, and the tokens of the answers."""
    async with httpx.AsyncClient(timeout=300) as client:
        begun = time.perf_counter()
        posts = [client.post(f"{url}/chat/completions", json=each) for each in bodies]
        answers = await asyncio.gather(*posts)
        seconds = time.perf_counter() - begun
    told = [answer.raise_for_status().json() for answer in answers]
    return seconds, sum(each["usage"]["completion_tokens"] for each in told)


def requests(count: int, repeats: int) -> dict[str, dict[str, float]]:
    """Plain and gaze requests of one picture in one server, by turns; the first turn warms up."""
    gazes = [{"panel": n % PANELS + 1, "panels": PANELS} for n in range(count)]
    kinds = {
        "plain, one question": [body(prompts.VQA, None)] * count,
        "gaze, one question": [body(prompts.VQA, gaze) for gaze in gazes],
        "plain, four questions": [body(QUESTIONS[n % 4], None) for n in range(count)],
        "gaze, four questions": [body(QUESTIONS[n % 4], gazes[n]) for n in range(count)],
        "gaze and watched": [body(prompts.VQA, {**gaze, "watch": "regions"}) for gaze in gazes],
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    tokens: dict[str, int] = {}
    with server("serve") as url:
        for turn in range(repeats + 1):
            for name, bodies in kinds.items():
                took, tokens[name] = asyncio.run(at_once(url, bodies))
                if turn:
                    seconds[name].append(took)
    return {
        name: {"best": min(took), "median": statistics.median(took), "tokens": tokens[name]}
        for name, took in seconds.items()
    }


async def visit(url: str, number: int) -> tuple[float, float, int]:
    """One page: seconds to its first token, to its last, and how many there were."""
    panels = [list(map(float, region.boxes[0])) for region in strip().regions]
    async with websockets.connect(url, max_size=None) as socket:
        while (told := json.loads(await socket.recv()))["type"] != "ready":
            pass
        start = {
            "type": "start", "text": 1, "prompt": prompts.FREE_NARRATION, "panels": panels,
            "region": {"panel": number % PANELS + 1}, "heads": told["model"]["ranking"][:12],
            "delta": None, "maxTokens": 40,
        }  # fmt: skip
        begun = time.perf_counter()
        await socket.send(picture())
        await socket.send(json.dumps(start))
        first, count = 0.0, 0
        while (told := json.loads(await socket.recv()))["type"] not in ("done", "failed"):
            if told["type"] == "step":
                first, count = first or time.perf_counter() - begun, count + 1
                await socket.send(json.dumps({"type": "next"}))
        return first, time.perf_counter() - begun, count


def crowd(visitors: int) -> dict[str, float]:
    """Pages that all begin at once, each asking for a token as soon as it has one."""

    async def everyone(url: str) -> list[tuple[float, float, int]]:
        return await asyncio.gather(*(visit(url, n) for n in range(visitors)))

    with server("demo", "--engine", "server", "--no-open") as page:
        url = page.rstrip("/").replace("http", "ws", 1) + "/ws"
        asyncio.run(visit(url, 0))  # until the model is there
        found = asyncio.run(everyone(url))
    firsts, lasts, counts = zip(*found, strict=True)
    return {
        "visitors": visitors,
        "first token, median": statistics.median(firsts),
        "first token, slowest": max(firsts),
        "all texts": max(lasts),
        "tokens": sum(counts),
    }


def main() -> None:
    """Measure both and write the numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=main.__doc__)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--visitors", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    about = {
        "machine": platform.processor() or platform.machine(),
        "python": sys.version.split()[0],
    }
    found = {
        "about": about,
        "requests": requests(asked.requests, asked.repeats),
        "crowd": crowd(asked.visitors),
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    Console().print_json(json.dumps(found))


if __name__ == "__main__":
    main()
