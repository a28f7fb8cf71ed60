"""Reports that several modules of tests look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.study.experiments import main_job
from gazeheads.study.report.page import write_report

if TYPE_CHECKING:
    from gazeheads.models import VLM


@pytest.fixture(scope="session")
def out(gqa: VLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The main job on a random model, with its report."""
    folder = tmp_path_factory.mktemp("runs")
    strips = draw_strips(4, 31, 2, size=32)
    runs = main_job.run(
        gqa,
        strips[:2],
        strips[2:],
        main_job.MainJob(ks=(1, 3), seed=7),
        folder,
        lambda name: lambda done, total: None,
    )
    write_report(runs, folder / "report.html")
    return folder
