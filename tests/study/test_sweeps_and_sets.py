"""Sweeps and other head sets: known answers give known figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripted_model import GAZE, HEADS, LAYERS, ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError
from gazeheads.heads import HeadScores
from gazeheads.study.experiments import head_sets, sweeps
from gazeheads.study.experiments.question import SteerVqaSettings
from gazeheads.study.runs import RunError, RunOptions

BASE = SteerVqaSettings((2,))


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return [*draw_strips(2, 41, 3, size=32), *draw_strips(2, 42, 2, size=32)]


def sweep(name: str, strips: list[Strip], out: Path, base: SteerVqaSettings = BASE):  # type: ignore[no-untyped-def]
    vlm = ScriptedVlm(strips, [])
    return sweeps.run(name, vlm, strips, scores(), base, RunOptions(out))  # type: ignore[arg-type]


def test_every_sweep_varies_one_thing() -> None:
    strips = draw_strips(1, 41, 2, size=32)
    deltas = sweeps.over_delta(BASE, strips)
    assert [v.settings.delta for v in deltas] == [1, 10, 100, 1000, 10000]
    assert [v.name for v in deltas][-1] == "10,000"
    assert len({v.settings.prompt for v in sweeps.over_prompts(BASE, strips)}) == 5
    assert {v.settings.pool for v in sweeps.over_pools(BASE, strips)} == {
        "matched",
        "layers",
        "bottom",
        "below-median",
    }


def test_panels_are_counted_apart(strips: list[Strip], tmp_path: Path) -> None:
    results = sweep(sweeps.PANELS, strips, tmp_path).summary["results"]["variants"]
    assert [v["name"] for v in results] == ["2 panels", "3 panels"]
    for variant, panels in zip(results, (2, 3), strict=True):
        gaze = next(c for c in variant["conditions"] if c["condition"] == "gaze")
        # the unsteered answer is panel 1's, so steering there counts as no change
        assert gaze["accuracy"]["value"] == pytest.approx((panels - 1) / panels)
        assert gaze["pairs"] == 2 * panels
        assert variant["chance"] == 1 / panels


def test_a_stopped_sweep_goes_on_and_other_settings_are_refused(
    strips: list[Strip], tmp_path: Path
) -> None:
    own = strips[:2]
    whole = sweep(sweeps.DELTA, own, tmp_path / "whole").path
    cut = sweep(sweeps.DELTA, own, tmp_path / "cut").path
    lines = (cut / "records.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "records.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (cut / "summary.json").unlink()
    sweep(sweeps.DELTA, own, tmp_path / "cut")
    for name in ("records.jsonl", "summary.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    with pytest.raises(RunError, match="variants"):
        sweep(sweeps.DELTA, own, tmp_path / "cut", SteerVqaSettings((1,)))


def test_other_sets_are_steered_alike_and_their_overlap_is_counted(
    strips: list[Strip], tmp_path: Path
) -> None:
    own = strips[:2]
    table = np.zeros((LAYERS, HEADS))
    table[GAZE[0]], table[3, 3], table[GAZE[1]] = 3, 2, 1
    other = HeadScores(table, provenance={"model": "scripted"})
    run = head_sets.run(
        ScriptedVlm(own, []),  # type: ignore[arg-type]
        own,
        scores(),
        {"image": other},
        SteerVqaSettings((2, 3)),
        RunOptions(tmp_path),
    )
    results = run.summary["results"]
    by_key = {c["key"]: c["accuracy"]["value"] for c in results["conditions"]}
    assert by_key["image-2"] == 0  # one of the two gaze heads is not enough
    assert by_key["image-3"] == by_key["gaze-3"] == pytest.approx(2 / 3)
    two, three = results["overlaps"]
    assert two["pairs"][0] == {"sets": ["gaze", "image"], "shared": 1}
    # "without highest half" takes part, so nothing is left in all three
    assert (three["k"], three["pairs"][0]["shared"], three["shared_by_all"]) == (3, 2, 0)
    tournament = results["tournament"]
    assert tournament["winner"] in ("gaze", "image") and tournament["goal"]["k"] == 2
    assert {pair["ranking"] for pair in tournament["pairs"]} == {"image", "without highest half"}


def test_sizes_that_do_not_exist_are_refused(strips: list[Strip], tmp_path: Path) -> None:
    with pytest.raises(GazeheadsError, match="K = 17"):
        sweep(sweeps.DELTA, strips[:1], tmp_path, SteerVqaSettings((17,)))
    assert list(tmp_path.iterdir()) == []
    assert head_sets.sizes(14, 48, 160) == (4, 6, 10, 14)
    assert head_sets.sizes(3, 8, 8) == (1, 3, 8)
