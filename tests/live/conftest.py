"""Visits to the demo's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from live.visiting import Visit


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
