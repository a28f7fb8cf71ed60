"""A headless Chromium for the page's tests, driven from Python; no Node is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from live.visiting import CHROMIUM, ENGINE, FLAGS, Visit


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Any]:
    """Starts browsers."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not ENGINE.is_file():
        pytest.skip("the page was not built (npm ci && npm run build in web/)")
    with playwright.sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright_driver: Any) -> Iterator[Any]:
    """A headless Chromium with WebGPU in software."""
    flags = [*FLAGS, "--enable-unsafe-webgpu"]
    started = playwright_driver.chromium.launch(executable_path=CHROMIUM, args=flags)
    yield started
    started.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens the demo's page; afterwards nothing may have failed in it or left the machine."""
    visits: list[Visit] = []

    def open_page(url: str, **options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.page.context.close()
    assert [each.errors for each in visits] == [[] for _ in visits]
    assert [each.outside for each in visits] == [[] for _ in visits]
