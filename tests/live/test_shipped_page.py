"""The page for a model: with the runtime that it needs, and no other."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from browsers import CHROMIUM, FLAGS
from conftest import Command

from gazeheads.errors import GazeheadsError
from gazeheads.live.page import (
    GPU_RUNTIME,
    GPU_RUNTIME_HASH,
    GPU_RUNTIME_ORIGIN,
    MODEL,
    STATIC,
    page_files,
    page_for,
)
from live.serving import Running

ASYNCIFY = STATIC / GPU_RUNTIME
WEB = Path(__file__).parents[2] / "web"


@pytest.fixture
def as_in_a_wheel(tmp_path: Path) -> Path:
    """The page's folder without what a wheel leaves out."""
    shutil.copytree(STATIC, tmp_path / "static", ignore=shutil.ignore_patterns("*asyncify*"))
    return tmp_path / "static"


def runtimes(files: dict[str, bytes]) -> list[str]:
    return [path for path in files if path.endswith(".wasm")]


def test_each_kind_of_model_gets_its_runtime_alone() -> None:
    (plain,) = runtimes(page_for("wasm"))
    assert "asyncify" not in plain
    assert runtimes(page_for("webgpu")) == [GPU_RUNTIME]
    assert runtimes(page_files()) == [plain]
    assert not any(path.startswith(MODEL) for path in page_for("wasm"))


def test_the_runtime_that_the_messages_name_is_the_one_of_the_page() -> None:
    assert sha256(ASYNCIFY.read_bytes()).hexdigest() == GPU_RUNTIME_HASH
    name, version = GPU_RUNTIME_ORIGIN.split("@")
    assert re.search(rf'"{name}": "{re.escape(version)}"', (WEB / "package.json").read_text())


def test_a_wheel_asks_for_the_runtime_for_webgpu_and_takes_no_other(
    as_in_a_wheel: Path, tmp_path: Path
) -> None:
    assert len(runtimes(page_for("wasm", as_in_a_wheel))) == 1
    with pytest.raises(GazeheadsError, match=r"npm pack onnxruntime-web.* with --runtime"):
        page_for("webgpu", as_in_a_wheel)
    with pytest.raises(GazeheadsError, match="no runtime for WebGPU at"):
        page_for("webgpu", as_in_a_wheel, tmp_path / "none.wasm")
    wrong = tmp_path / "other.wasm"
    wrong.write_bytes(b"\0asm")
    with pytest.raises(GazeheadsError, match="not the runtime that the page was built with"):
        page_for("webgpu", as_in_a_wheel, wrong)
    assert page_for("webgpu", as_in_a_wheel, ASYNCIFY) == page_for("webgpu")


def test_a_runtime_for_a_model_that_needs_none_is_a_mistake(
    command: Command, tmp_path: Path
) -> None:
    code, _, told = command("export", "web", "-o", tmp_path / "out", "--runtime", ASYNCIFY)
    assert code == 2 and told.count("\n") == 1 and "--weights int4" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_page_runs_without_webgpu(playwright_driver: Any) -> None:
    started = playwright_driver.chromium.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--disable-gpu", "--disable-features=WebGPU"]
    )
    server = Running(None, page_files())
    try:
        server.healthy()
        page = started.new_page()
        page.goto(server.url)
        assert page.evaluate(
            "async () => !navigator.gpu || !(await navigator.gpu.requestAdapter())"
        )
        page.wait_for_selector("#plain:enabled", timeout=60_000)
        page.locator(".region").nth(2).hover()
        page.locator('#story [data-region="3"] .token').nth(2).wait_for(state="attached")
    finally:
        server.end()
        started.close()
