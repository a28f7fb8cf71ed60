"""A headless Chromium for the tests of pages, driven from Python; no Node is needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from gazeheads.live.page import STATIC

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ENGINE = STATIC / "assets/engine.js"
FLAGS = (
    "--no-sandbox",
    # whatever asks for another machine fails, and a page that tries is found out by its console
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Any]:
    """Starts browsers. What uses it is a browser test: see `not_run`."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    needed = "needs Playwright: pip install 'gazeheads[test]'"
    playwright = pytest.importorskip("playwright.sync_api", reason=needed)
    if not ENGINE.is_file():
        pytest.skip("needs the built page: npm ci && npm run build in web/")
    with playwright.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright_driver: Any) -> Iterator[Any]:
    """A headless Chromium with WebGPU in software."""
    flags = [*FLAGS, "--enable-unsafe-webgpu"]
    started = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=flags)
    yield started
    started.close()
