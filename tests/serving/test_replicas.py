"""Replicas on a Ray cluster of this machine, behind one address."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from PIL import Image

from gazeheads import Region, Steering
from gazeheads.heads import HeadSet
from serving.conftest import KEYS, asking

httpx = pytest.importorskip("httpx2", reason="needs pip install 'gazeheads[judge]'")
pytest.importorskip("ray.serve", reason="needs pip install 'gazeheads[ray]'")
pytestmark = pytest.mark.slow

PICTURE = Image.effect_noise((96, 64), 90).convert("RGB")
HEADS = HeadSet.of([(1, 0), (3, 2)])
REPLICAS = 2


@pytest.fixture(scope="module")
def served(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """The command's process, and the address it tells."""
    folder = tmp_path_factory.mktemp("replicas")
    (folder / "keys.txt").write_text("\n".join(KEYS))
    HEADS.save(folder / "heads.json")
    words = ["--model", model, "--heads", "heads.json", "--keys", "keys.txt", "--port", "0"]
    words += ["--replicas", str(REPLICAS), "--replica-cores", "1", "--max-tokens", "900"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gazeheads.cli", "serve", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("gazeheads serve: "):
        raise AssertionError(f"{line!r}, {process.communicate()}")
    yield process, line.split()[2]
    process.terminate()
    assert process.wait(60) == 0
    assert process.stderr is not None and process.stderr.read() == ""


def replicas_of(process: Any) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if "ServeReplica" in " ".join(each.cmdline()):
                found.append(each)
    return found


def header(n: int = 0) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[n]}"}


def body(**more: Any) -> dict[str, Any]:
    return {
        "model": "tiny-random",
        "messages": asking("what happens?", PICTURE),
        "max_tokens": 8,
        **more,
    }


def test_replicas_write_what_the_library_writes(served: Any, gqa: Any) -> None:
    _, url = served
    box = (0.0, 0.0, 48.0, 64.0)
    prompt = gqa.encode(PICTURE, "what happens?")
    steering = Steering(HEADS, Region.from_box(*box))
    expected = gqa.generate((prompt, steering), max_new_tokens=8)[0].text
    sent = body(gaze={"box": list(box)})
    replicas = set()
    for _ in range(12):
        answer = httpx.post(f"{url}/chat/completions", json=sent, headers=header(), timeout=60)
        assert answer.json()["choices"][0]["message"]["content"] == expected
        replicas.add(answer.json()["id"].split("-")[1])
    assert len(replicas) == REPLICAS


def test_a_text_is_moved_whichever_replica_is_asked(served: Any) -> None:
    """Each request has a connection of its own, so the replicas take them in turn."""
    _, url = served
    sent = body(max_tokens=900, stream=True, gaze={"panels": 3, "panel": 1})
    with httpx.stream(
        "POST", f"{url}/chat/completions", json=sent, headers=header(), timeout=60
    ) as answer:
        lines = answer.iter_lines()
        name = next(lines).split('"id": "')[1].split('"')[0]
        told = [
            httpx.post(
                f"{url}/gaze/{name}", json={"panel": 1 + n % 3}, headers=header(), timeout=60
            )
            for n in range(6)
        ]
        assert [each.status_code for each in told] == [200] * 6
        assert [each.json()["region"] for each in told[:3]] == ["panel 1", "panel 2", "panel 3"]
        wrong = [
            (name, {"panel": 9}, 0, 400),
            (name, {"panel": 1}, 1, 404),
            ("chatcmpl-00000000-00", {"panel": 1}, 0, 404),
            ("chatcmpl-00", {"panel": 1}, 0, 404),
        ]
        for text, place, key, status in wrong:
            for _ in range(3):
                refused = httpx.post(
                    f"{url}/gaze/{text}", json=place, headers=header(key), timeout=60
                )
                assert refused.status_code == status, (text, place)


def test_a_replica_that_dies_is_replaced(served: Any) -> None:
    process, url = served
    first = replicas_of(process)
    assert len(first) == REPLICAS
    os.kill(first[0].pid, signal.SIGKILL)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        answer = httpx.post(f"{url}/chat/completions", json=body(), headers=header(), timeout=60)
        alive = {each.pid for each in replicas_of(process)}
        if answer.status_code == 200 and len(alive) == REPLICAS and first[0].pid not in alive:
            return
        time.sleep(0.5)
    raise AssertionError("the replica was not replaced")


def test_what_cannot_be_served_is_refused(model: str, tmp_path: Any) -> None:
    words = ["serve", "--model", model, "--replicas", "99", "--port", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "gazeheads.cli", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "name fewer with --replicas" in done.stderr
