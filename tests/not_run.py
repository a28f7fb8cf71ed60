"""What a run of the tests left out and what to install for it: the last line of its output.

Where `GAZEHEADS_REQUIRE_BROWSER` is set, a browser test that is left out is a failure.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterable
from typing import Any

import pytest

REQUIRE_BROWSER = "GAZEHEADS_REQUIRE_BROWSER"
Report = pytest.TestReport | pytest.CollectReport


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU with CUDA")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    if "playwright_driver" in getattr(item, "fixturenames", ()):
        _insist(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    _insist(report)  # nobody knows what the file holds
    return report


def _insist(report: Report) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(REQUIRE_BROWSER):
        reason = _reason(report)
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_BROWSER} is set, and this was not run: {reason}"


def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None
    if reporter and skipped:
        reporter.write_line(left_out(skipped), yellow=True)


def left_out(skipped: Iterable[Report]) -> str:
    """One line that counts the tests, and the files of tests, that were not run, by reason."""
    counts = Counter((isinstance(report, pytest.TestReport), _reason(report)) for report in skipped)
    parts = []
    for (is_test, reason), count in counts.items():
        one, several = ("test", "tests") if is_test else ("file of tests", "files of tests")
        parts.append(f"{count} {one if count == 1 else several} ({reason})")
    return f"Not run: {', '.join(parts)}"


def _reason(report: Report) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, (tuple, list)) else report.longrepr
    return " ".join(str(told).removeprefix("Skipped: ").split())
