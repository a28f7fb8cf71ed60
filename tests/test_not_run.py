"""What a run of the tests says that it left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from not_run import REQUIRE_BROWSER

TESTS = """
import pytest

@pytest.fixture(scope="session")
def playwright_driver():
    pytest.skip("needs Chromium: apt-get install chromium")

@pytest.fixture
def page(playwright_driver):
    pass

@pytest.mark.parametrize("number", [1, 2])
def test_browser(page, number):
    pass

@pytest.mark.skipif(True, reason="needs Node: npm ci")
def test_built():
    pass

@pytest.mark.gpu
def test_gpu():
    raise AssertionError("ran without a GPU")

def test_runs():
    pass
"""
A_FILE = """
import pytest
pytest.importorskip("no_such_package", reason="needs the package")
"""
BROWSER = "2 tests (needs Chromium: apt-get install chromium)"
NODE, GPU = "1 test (needs Node: npm ci)", "1 test (needs a GPU with CUDA)"


def run(folder: Path, *words: str, require: bool = False) -> tuple[int, list[str]]:
    """Runs pytest on a machine without a GPU; its exit code and the lines of its output."""
    environment = {key: value for key, value in os.environ.items() if key != REQUIRE_BROWSER}
    environment |= {"PYTHONPATH": str(Path(__file__).parent), "CUDA_VISIBLE_DEVICES": ""}
    environment |= {REQUIRE_BROWSER: "1"} if require else {}
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs a GPU\n")
    called = [sys.executable, "-m", "pytest", "-q", "-p", "not_run", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*called, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
def test_the_last_line_says_what_was_not_run_and_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_whole.py").write_text(A_FILE)
    for words in ((), ("-n", "1")):
        code, lines = run(tmp_path, *words)
        assert code == 0
        told, counted = lines[-1].removeprefix("Not run: "), lines[-2]
        for part in (BROWSER, NODE, GPU, "1 file of tests (needs the package)"):
            assert part in told
        assert "1 passed" in counted


@pytest.mark.slow
def test_a_browser_test_that_is_left_out_fails_where_browsers_are_required(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    code, lines = run(tmp_path, require=True)
    assert code == 1
    assert lines[-1] == f"Not run: {NODE}, {GPU}"
    assert "1 passed" in lines[-2] and "2 errors" in lines[-2]
    assert any("this was not run: needs Chromium" in line for line in lines)
    (tmp_path / "test_some.py").unlink()
    (tmp_path / "test_whole.py").write_text(A_FILE)
    code, lines = run(tmp_path, require=True)
    assert code != 0 and any("this was not run: needs the package" in line for line in lines)


def test_nothing_is_said_where_everything_was_run(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_one():\n    pass\n")
    code, lines = run(tmp_path, require=True)
    assert code == 0 and "1 passed" in lines[-1]
