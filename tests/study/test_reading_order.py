"""The order of reading: orders, labels, positions, and a whole run on a random model."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gazeheads import prompts
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.errors import GazeheadsError
from gazeheads.study.experiments import reading_directions, reading_order
from gazeheads.study.experiments.labelled import Layout, labelled
from gazeheads.study.experiments.reading_directions import ReadingSettings, positions
from gazeheads.study.experiments.reading_order import Material, OrderSettings, orders_of
from gazeheads.study.merging import merge
from gazeheads.study.report.reading import order_section
from gazeheads.study.report.reading_map import layer_sentence
from gazeheads.study.runs import RunError, RunOptions, Shard

if TYPE_CHECKING:
    from gazeheads.models import VLM

LAYOUTS = (Layout(3), Layout(2, "digit"))


def test_all_orders_are_there_and_the_reverse_comes_first() -> None:
    orders = orders_of(6, None, 0)
    assert len(orders) == len(set(orders)) == 719  # all 720 but the natural one
    assert orders[0] == (6, 5, 4, 3, 2, 1)
    few = orders_of(6, 5, 1)
    assert len(few) == 6 and few == orders_of(6, 5, 1) and few[0] == orders[0]
    assert orders_of(2, 10, 0) == [(2, 1)]


def test_labels_come_from_the_seed_and_never_repeat() -> None:
    (strip,) = draw_strips(1, 71, 6, size=32)
    one, two = (labelled(strip, Layout(6), 3, number) for number in (0, 1))
    assert one.labels is not None and len(set(one.labels)) == 6
    assert one.labels == labelled(strip, Layout(6), 3, 0).labels != two.labels
    assert set(labelled(strip, Layout(6, "digit"), 3, 0).labels or ()) <= set("123456789")
    with pytest.raises(GazeheadsError, match="letters or digits"):
        Layout(6, "rune")


def test_the_question_in_an_order_names_it() -> None:
    assert prompts.label_in_order((3, 1, 2), 2) == (
        "Read the comic in the order 3, 1, 2, what is the letter on the 2-th panel? "
        "Answer with one letter:"
    )


def test_positions_that_lie_apart_have_a_high_silhouette() -> None:
    rng = np.random.default_rng(0)
    states = [rng.standard_normal((3, 2, 8)) * 0.01 for _ in range(4)]
    for each in states:
        each[:, 1] += 5 * np.eye(8)[:3]  # only layer 1 tells the panels apart
    found = positions(states)
    assert found["layer"] == 1 and found["silhouette"][1] > 0.9 > found["silhouette"][0]
    assert len(found["points"]) == len(found["panels"]) == 12


@pytest.fixture(scope="module")
def material(gqa: VLM, tmp_path_factory: pytest.TempPathFactory) -> Any:
    tuning, strips = (
        {layout.name: draw_strips(2, seed + i, layout.panels, size=64)
         for i, layout in enumerate(LAYOUTS)}
        for seed in (81, 91)
    )  # fmt: skip
    out = tmp_path_factory.mktemp("reading")
    found = reading_directions.run(gqa, tuning, ReadingSettings(LAYOUTS), RunOptions(out))
    directions = reading_directions.load_directions(found.path)
    return found, Material(strips, tuning[LAYOUTS[0].name], directions)


def test_directions_are_the_mean_differences(material: Any) -> None:
    found, own = material
    assert set(own.directions) == {"3 letters", "2 digits"}
    assert own.directions["3 letters"].shape == (3, 4, 32)  # one per panel asked about
    assert own.directions["2 digits"].shape == (2, 4, 32)
    assert np.abs(own.directions["3 letters"][0] - own.directions["3 letters"][2]).max() > 0
    results = found.summary["results"]
    assert results["layouts"][0]["plain"]["total"] == 6
    assert len(results["positions"]["silhouette"]) == 4


def test_a_whole_run_on_a_random_model(gqa: VLM, material: Any, tmp_path: Path) -> None:
    settings = OrderSettings(LAYOUTS, orders=1, order_strips=1, patch_strips=1, max_new_tokens=6)
    run = reading_order.run(gqa, material[1], settings, RunOptions(tmp_path))
    results = run.summary["results"]
    main = results["layouts"][0]
    assert len(main["by_layer"]) == 4 and main["best"]["total"] == 2  # the first panel of each
    tried = {own["name"]: own["by_layer"] for own in main["tried"]}
    assert tried["panel 1"] == main["by_layer"]
    assert {name: own[0]["total"] for name, own in tried.items()} == {
        "panel 1": 2,  # panel 2 of 3 is the same in both orders
        "panel 3": 2,
        "panel 1, asked about the others": 2,
        "the mean of all, asked about every panel": 4,
    }
    patching = results["patching"]
    assert patching["asked"] == 2 and np.shape(patching["flips"]) == (4, len(patching["words"]))
    assert "k" in patching["words"]
    page = order_section({run.experiment: run})
    assert any("flip after" in text for text in page.text)
    for name in ("flips_by_panel", "patching"):
        with (run.path / f"{name}.csv").open(newline="") as file:
            lines = list(csv.reader(file))
        counted = len(main["tried"]) if name == "flips_by_panel" else 2 * len(patching["words"])
        assert len(lines) == 1 + 4 * counted
    assert results["layer"] == main["best_layer"] and results["layer"] in results["band"]
    assert main["best"]["value"] == max(rate["value"] for rate in main["by_layer"])
    assert results["orders"][0]["order"] == [3, 2, 1]
    assert len(results["orders"]) == 2
    assert results["orders"][0]["steered"][1] == 2  # the middle panel is the same in reverse
    assert results["narration"]["plain"]["starts_at_last"]["total"] == 2
    before = (run.path / "records.jsonl").read_bytes()
    again = reading_order.run(gqa, material[1], settings, RunOptions(tmp_path))
    assert (again.path / "records.jsonl").read_bytes() == before


def test_a_sentence_names_the_layers_that_turn_the_order() -> None:
    rates = [{"value": own} for own in (0.0, 0.95, 1.0, 0.5, 0.05, 0.9)]
    assert layer_sentence(rates) == (
        "At least 90% flip after layers 1-2, 5; at most 5% after layers 0, 4; 50% after layer 3."
    )
    assert layer_sentence([{"value": 0.3}]).startswith("At least 90% flip after no layer; 30%")


def test_shards_share_the_work_and_merge_to_the_whole_run(
    gqa: VLM, material: Any, tmp_path: Path
) -> None:
    settings = OrderSettings(LAYOUTS, orders=2, order_strips=1, max_new_tokens=4)
    shards = [
        reading_order.run(
            gqa, material[1], settings, RunOptions(tmp_path / str(n), shard=Shard(n, 2))
        )
        for n in (1, 2)
    ]
    whole = reading_order.run(gqa, material[1], settings, RunOptions(tmp_path / "whole"))
    in_both = set(shards[0].records) & set(shards[1].records)
    # only the flips of the main layout, which tell the layer, are done by both
    assert in_both == {unit for unit in whole.records if unit.startswith("flip 3 letters")}
    assert all(len(shard.records) < len(whole.records) for shard in shards)
    (merged,) = merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    for name in ("records.jsonl", "summary.json", "settings.json"):
        assert (merged.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_orders_tried_at_another_layer_are_refused(gqa: VLM, material: Any, tmp_path: Path) -> None:
    settings = OrderSettings(LAYOUTS, orders=0, order_strips=1, max_new_tokens=1)
    run = reading_order.run(gqa, material[1], settings, RunOptions(tmp_path))
    run.records["order 3-2-1"]["layer"] += 1
    with pytest.raises(RunError, match="another layer"):
        reading_order.results(run)
