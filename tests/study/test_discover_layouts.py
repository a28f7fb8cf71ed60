"""Discovery on several layouts: every one with the null of its scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.study.experiments import discover_layouts
from gazeheads.study.experiments.discover import DiscoverSettings
from gazeheads.study.experiments.discover_layouts import MAIN, StripLayout
from gazeheads.study.report.heads import layouts_section
from gazeheads.study.runs import RunOptions


def test_every_layout_counts_its_heads_among_the_living(
    vlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = vlm.living_heads().copy()
    living[0, 0] = False
    monkeypatch.setattr(type(vlm), "living_heads", lambda _: living)
    shown = (StripLayout(2), MAIN)
    strips = {
        layout: draw_strips(n, 3 + n, layout.panels, size=32)
        for n, layout in enumerate(shown, start=1)
    }
    run = discover_layouts.run(vlm, strips, DiscoverSettings(), 3, RunOptions(tmp_path))
    two, main = run.summary["results"]["layouts"]
    assert (two["strips"], main["strips"]) == (1, 2)
    assert two["tested"] == main["tested"] == living.sum() == 15
    # one strip of two panels has two shuffles: nothing can be more than chance, nor has it halves
    assert (two["count"], two["stability"]) == (0, None)
    assert -1 <= main["stability"]["spearman"] <= 1 and main["stability"]["k"] == 3
    section = layouts_section({discover_layouts.EXPERIMENT: run})
    assert "false-discovery rate of 5%" in section.text[-1]
    (table,) = section.blocks
    assert [row[-2:] for row in table.rows] == [
        ("0 of 15 (0%)", "-"),
        (
            f"{main['count']} of 15 ({100 * main['count'] / 15:.0f}%)",
            f"{main['stability']['spearman']:.2f}",
        ),
    ]


def test_selective_heads_are_counted_and_dead_ones_rank_last() -> None:
    rng = np.random.default_rng(0)
    each = 0.01 * rng.random((6, 2, 4, 4, 4)).astype(np.float32)
    each[:, 0, :2] += 0.1 * np.eye(4, dtype=np.float32)
    living = np.ones((2, 4), dtype=bool)
    living[0, 1] = False
    scores = discover_layouts._scores(each, living, [])
    found = discover_layouts._chance(each, scores, 2, 0)
    assert (found["count"], found["tested"]) == (1, 7)
    assert scores.ranking()[0] == (0, 0) and scores.ranking()[-1] == (0, 1)
