"""Work done by the workers of a Ray cluster is the work done here, whatever happens to them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning
from gazeheads.heads import HeadScores
from gazeheads.models import VLM, load
from gazeheads.own_code import object_of
from gazeheads.study.cluster import RayWorkers
from gazeheads.study.experiments import steer_vqa
from gazeheads.study.experiments.question import SteerVqaSettings
from gazeheads.study.runs import RunError, RunFolder, RunOptions

pytestmark = pytest.mark.slow
STRIPS = (4, 3, 3)
SETTINGS = SteerVqaSettings((4,), draws=1)


@pytest.fixture(scope="module")
def tiny() -> VLM:
    return load("comic-tiny", check=False)


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(*STRIPS)


@pytest.fixture(scope="module")
def scores(tiny: VLM) -> HeadScores:
    import numpy as np

    drawn = np.random.default_rng(0).random((tiny.num_layers, tiny.num_heads))
    return HeadScores(drawn, living=tiny.living_heads())


@pytest.fixture(scope="module")
def workers() -> Iterator[RayWorkers]:
    """Two on a cluster of this test's own, which has room for another command's two."""
    os.environ.setdefault("RAY_worker_niceness", "0")
    quiet = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    ray.init("local", num_cpus=4, object_store_memory=100 * 2**20, **quiet)
    found = RayWorkers.connect("auto", cores=1)
    found.count = 2
    yield found
    found.close()
    assert ray.is_initialized()
    ray.shutdown()


def run(tiny: VLM, strips: list[Strip], scores: HeadScores, out: Path, **how: Any) -> RunFolder:
    return steer_vqa.run(tiny, strips, scores, SETTINGS, RunOptions(out, **how))


def lines(folder: RunFolder) -> list[bytes]:
    return sorted((folder.path / "records.jsonl").read_bytes().splitlines())


def files(folder: RunFolder) -> dict[str, bytes]:
    """Everything but the records, whose lines may stand in another order."""
    return {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name != "records.jsonl"
    }


def test_a_run_is_the_local_one_even_if_a_worker_is_killed_in_the_middle(
    tiny: VLM, strips: list[Strip], scores: HeadScores, workers: RayWorkers, tmp_path: Path
) -> None:
    here = run(tiny, strips, scores, tmp_path / "here")
    seen: list[tuple[int, int]] = []
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if not killed:
            killed.append(busy_worker())
            os.kill(killed[0], signal.SIGKILL)

    there = run(tiny, strips, scores, tmp_path / "there", progress=progress, workers=workers)
    assert killed and seen == [(n, len(strips)) for n in range(1, len(strips) + 1)]
    assert lines(there) == lines(here)
    assert files(there) == files(here)
    assert len([name for name in files(there) if name.endswith(".webp")]) == len(strips)


def busy_worker() -> int:
    """The process of a worker that is doing a part."""
    import psutil

    for _ in range(200):
        for process in psutil.Process().children(recursive=True):
            if process.name() == "ray::Worker.do" or "ray::Worker.do" in process.cmdline():
                return process.pid
        time.sleep(0.01)
    raise AssertionError("no worker is doing anything")


def test_what_is_wrong_in_a_part_is_told_as_here(workers: RayWorkers, tmp_path: Path) -> None:
    def do(part: Any) -> Any:
        raise GazeheadsError(f"cannot do {part[0]}")

    with pytest.raises(GazeheadsError, match=r"^cannot do 7$"):
        list(workers.done(do, [[7]]))


def test_warnings_and_files_of_a_part_come_back(workers: RayWorkers, tmp_path: Path) -> None:
    folder = RunFolder.open(RunOptions(tmp_path), "steer-vqa", "m", {"seed": 0}, {})
    pid = os.getpid()

    def do(part: Any) -> Any:
        import warnings as inside

        inside.warn(f"{part[0]} is odd", GazeheadsWarning, stacklevel=1)
        (folder.path / "kept").mkdir(parents=True)
        (folder.path / "kept" / f"{part[0]}.txt").write_text(part[0])
        return [{"elsewhere": os.getpid() != pid}]

    with pytest.warns(GazeheadsWarning, match="a is odd|b is odd") as told:
        made = dict(workers.done(do, [["a"], ["b"]]))
    assert made == {0: [{"elsewhere": True}], 1: [{"elsewhere": True}]}
    assert {str(each.message) for each in told} == {"a is odd", "b is odd"}
    assert {p.name: p.read_text() for p in (folder.path / "kept").iterdir()} == {
        "a.txt": "a", "b.txt": "b",
    }  # fmt: skip
    folder.close()


def test_what_a_file_of_ones_own_defines_goes_along(workers: RayWorkers, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "class Count:\n    def words(self, text):\n        return len(text.split())\n"
        "def do(part):\n    return [{'words': Count().words(each)} for each in part]\n"
    )
    do, judge = object_of(f"{tmp_path}/own.py:do"), object_of(f"{tmp_path}/own.py:Count")()
    assert list(workers.done(do, [["a b c"]])) == [(0, [{"words": 3}])]
    (made,) = workers.done(lambda part: [{"words": judge.words(part[0])}], [["a b"]])
    assert made == (0, [{"words": 2}])


def test_a_part_that_ends_every_worker_is_no_endless_loop(
    workers: RayWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gazeheads.study.cluster.TRIES", 2)

    def do(part: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RunError, match="one unit of work ended 2 workers"):
        list(workers.done(do, [[1]]))


def test_other_weights_elsewhere_are_refused(workers: RayWorkers) -> None:
    import torch

    changed = load("comic-tiny", check=False)
    with torch.no_grad():
        next(changed.model.parameters()).flatten()[0] += 1

    def do(part: Any) -> Any:
        return [{"name": changed.name}]

    with pytest.raises(RunError, match=r"comic-tiny on .* has other weights"):
        list(workers.done(do, [[1]]))


ELSEWHERE = f"""
import sys
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.heads import HeadScores
from gazeheads.models import load
from gazeheads.study.cluster import RayWorkers
from gazeheads.study.experiments.steer_vqa import RunOptions, SteerVqaSettings, run
address, scores, out = sys.argv[1:]
options = RunOptions(out, workers=RayWorkers.connect(address, cores=1))
tiny, found = load("comic-tiny", check=False), HeadScores.load(scores)
run(tiny, draw_strips(*{STRIPS}), found, {SETTINGS}, options)
"""


def test_a_killed_driver_goes_on_when_it_is_started_again(
    tiny: VLM, strips: list[Strip], scores: HeadScores, workers: RayWorkers, tmp_path: Path
) -> None:
    scores.save(tmp_path / "scores.json")
    here = run(tiny, strips, scores, tmp_path / "here")
    there = tmp_path / "there"
    records = there / here.path.relative_to(tmp_path / "here") / "records.jsonl"
    words = (ray.get_runtime_context().gcs_address, tmp_path / "scores.json", there)
    first = subprocess.Popen([sys.executable, "-c", ELSEWHERE, *map(str, words)])
    while not (records.exists() and records.read_bytes().count(b"\n")):
        assert first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.wait()
    before = records.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    assert before.count(b"\n") < len(strips)
    again = run(tiny, strips, scores, there, workers=workers)
    assert records.read_bytes().startswith(before)
    assert lines(again) == lines(here) and files(again) == files(here)


def test_nothing_of_ray_reaches_the_terminal(scores: HeadScores, tmp_path: Path) -> None:
    scores.save(tmp_path / "scores.json")
    asked = ["steer-vqa", "--heads", "scores.json", "--k", "4", "--limit", "1", "--draws", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "gazeheads.cli", *asked, "--ray", "auto", "--ray-cores", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
    )
    first, *rest = done.stderr.splitlines()
    assert re.fullmatch(r"Ray: \d+ workers?, 1 core each, [\d.]+:\d+", first)
    assert [line for line in rest if not re.match("[A-Z4][a-z ]|gazeheads: note", line)] == []
    assert "ray" not in "".join(rest).lower()


def test_a_silent_address_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GazeheadsError, match=f"no Ray cluster can be used at 127.0.0.1:{port}"):
        RayWorkers.connect(f"127.0.0.1:{port}")
    for wrong in ("somewhere", "ray://127.0.0.1:10001", "host:port"):
        with pytest.raises(GazeheadsError, match="takes auto or HOST:PORT"):
            RayWorkers.connect(wrong)


def test_what_is_no_ray_cluster_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gazeheads.ray_cluster.ANSWERS_WITHIN", 4.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,  # accepts, and never says a word
        pytest.raises(GazeheadsError, match="no Ray cluster can be used at") as told,
    ):
        RayWorkers.connect(f"127.0.0.1:{other.getsockname()[1]}")
    assert "\n" not in str(told.value)


def test_a_missing_package_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GazeheadsError, match=r"pip install 'gazeheads\[ray\]'"):
        RayWorkers.connect("auto")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["steer-vqa", "--ray", "auto", "--shard", "1/2"], "--ray and --shard both split the work"),
        (["steer-vqa", "--ray", "auto", "--judge", "llm"], "--judge llm stays on this machine"),
        (["run", "--ray", "auto", "--judge", "llm"], "--judge llm stays on this machine"),
        (["discover", "--ray-cores", "2"], "add --ray auto"),
        (["reproduce", "--ray", "cluster"], "--ray takes auto or HOST:PORT of a Ray cluster"),
    ],
)
def test_what_does_not_go_with_a_cluster_is_one_line(
    command: Any, tmp_path: Path, words: list[str], told: str
) -> None:
    code, out, err = command(*words, "--out", tmp_path / "r")
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and told in err
    assert not (tmp_path / "r").exists()
