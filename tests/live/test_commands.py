"""`gazeheads demo`: the address it prints, and how it refuses what it cannot do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs pip install 'gazeheads[serve]'")

from gazeheads.cli.commands.demo import choose_engine, read_scores, slots_of
from gazeheads.cli.listening import listen
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores
from gazeheads.live.worker import WorkerLimits


@pytest.mark.parametrize("engine", ["server", "browser"])
def test_the_page_is_up_when_its_address_is_printed_and_an_interrupt_ends_it(engine: str) -> None:
    words = ["-m", "gazeheads.cli", "demo", "--no-open", "--port", "0", "--engine", engine]
    run = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert run.stdout is not None
        line = run.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address and "comic-tiny" in line
        with urllib.request.urlopen(address[0], timeout=60) as answer:
            assert b"<title>Gaze heads" in answer.read()
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        _, complaints = run.communicate(timeout=60)
        assert run.returncode in (0, 130)
        assert "Traceback" not in complaints
        assert time.monotonic() - began < 20  # a second when nothing else runs
    finally:
        run.kill()


def test_the_browser_engine_is_chosen_when_the_page_carries_the_model(tmp_path: Path) -> None:
    shipped = {"index.html": b"", "model/model.json": b"{}"}
    assert choose_engine("auto", "comic-tiny", None, shipped) == "browser"
    assert choose_engine("auto", "comic-tiny", None, {}) == "server"
    assert choose_engine("auto", "other", None, shipped) == "server"
    assert choose_engine("auto", "comic-tiny", tmp_path / "scores.json", shipped) == "server"
    with pytest.raises(GazeheadsError, match="export web"):
        choose_engine("browser", "other", None, shipped)
    with pytest.raises(GazeheadsError, match="unknown engine"):
        choose_engine("cloud", "comic-tiny", None, shipped)


def test_what_cannot_be_served_is_refused_before_anything_starts(tmp_path: Path) -> None:
    taken = listen("127.0.0.1", 0)
    with taken, pytest.raises(GazeheadsError, match="--port 0"):
        listen("127.0.0.1", taken.getsockname()[1])
    bare = HeadScores(np.ones((2, 2))).save(tmp_path / "scores.json")
    with pytest.raises(GazeheadsError, match="no matrices"):
        read_scores(bare)


def test_the_old_name_of_slots_works_with_a_note_and_not_beside_the_new_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (slots_of(None, None), slots_of(3, None)) == (WorkerLimits().slots, 3)
    assert capsys.readouterr().err == ""
    assert slots_of(None, 4) == 4
    assert capsys.readouterr().err == "gazeheads: note: --seats is now --slots\n"
    with pytest.raises(GazeheadsError, match="--slots alone"):
        slots_of(3, 4)


def test_the_page_is_served_before_torch_is_loaded() -> None:
    """Only the server engine needs it, and loads it while the page shows how far it is."""
    script = (
        "import sys, gazeheads.live.server, gazeheads.live.worker; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
