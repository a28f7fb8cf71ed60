"""Maps per image token, and the run that scores heads by earlier methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.discovery.image_heads import image_heads
from gazeheads.discovery.maps import attention_maps
from gazeheads.study.arrays import packed, unpacked
from gazeheads.study.experiments import prior_heads
from gazeheads.study.experiments.prior_heads import PriorHeadsSettings, load_rankings
from gazeheads.study.runs import RunOptions

if TYPE_CHECKING:
    from conftest import FakeStrip

    from gazeheads.models import VLM


def test_the_cells_of_a_panel_hold_its_attention(gqa: VLM, strip: FakeStrip) -> None:
    questions = ["What?", "Who is in the last panel?"]
    maps = attention_maps(gqa, strip.image, questions)
    # tokens are 32 px wide, panels 64 px: 2 rows, 2 columns per panel
    assert maps.shape == (2, 4, 4, 2, 6)
    by_panel = gqa.score_regions(strip.image, questions, strip.regions)
    for panel in range(3):
        cells = maps[..., 2 * panel : 2 * panel + 2].sum((-2, -1))
        np.testing.assert_allclose(cells, by_panel[..., panel], atol=1e-6)


def test_rankings_come_from_all_strips_and_a_stop_changes_nothing(gqa: VLM, tmp_path: Path) -> None:
    strips = draw_strips(2, 15, 2, size=64)
    whole = prior_heads.run(gqa, strips, PriorHeadsSettings(), RunOptions(tmp_path / "whole"))
    cut = prior_heads.run(gqa, strips, PriorHeadsSettings(), RunOptions(tmp_path / "cut")).path
    lines = (cut / "records.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "records.jsonl").write_bytes(lines[0] + lines[1][:99])
    (cut / "summary.json").unlink()
    again = prior_heads.run(gqa, strips, PriorHeadsSettings(), RunOptions(tmp_path / "cut"))
    for name in ("image.json", "localization.json", "localization-averaged.json", "summary.json"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()
    rankings = load_rankings(whole)
    mass = np.concatenate([unpacked(record, "mass") for record in whole.ordered()])
    assert mass.shape == (4, 4, 4)
    assert rankings["image"].ranking() == image_heads(mass).ranking()
    for ranking in rankings.values():
        assert ranking.fingerprint == gqa.fingerprint
        assert ranking.living is not None and ranking.living.all()
    # layers 0 and 1 come last: they are never localization heads
    assert all(head.layer >= 2 for head in rankings["localization"].ranking()[:8])


def test_arrays_survive_a_record() -> None:
    array = np.arange(6, dtype=np.float64).reshape(2, 3) / 4
    np.testing.assert_array_equal(unpacked({"a": packed(array)}, "a"), array)
    np.testing.assert_array_equal(unpacked({"a": packed(array > 0.5, "u1")}, "a"), array > 0.5)
