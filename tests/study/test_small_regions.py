"""`small-regions`: every way of naming a small object, counted by the tokens in its box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import Command

from gazeheads.heads import HeadScores
from gazeheads.study.experiments.small_regions import OTHERS, STEERED, class_of, small_scenes
from gazeheads.study.report.blocks import TableBlock
from gazeheads.study.report.small_regions import small_regions_section
from gazeheads.study.runs import find_runs


def test_what_cannot_be_pointed_at_counts_as_missed(
    command: Command, model: str, tmp_path: Path
) -> None:
    HeadScores(np.random.default_rng(0).random((4, 4))).save(tmp_path / "scores.json")
    code, out, err = command(
        "small-regions", "--model", model, "--heads", tmp_path / "scores.json", "--k", 2,
        "--limit", 2, "--out", tmp_path / "runs",
    )  # fmt: skip
    assert code == 0 and "crop as second image" in out, err
    (run,) = find_runs([tmp_path / "runs"])
    things = [thing for record in run.ordered() for thing in record["things"]]
    for thing in things:
        assert set(OTHERS) <= set(thing["answers"]) <= {*STEERED, *OTHERS}
        assert ("pointed at" in thing["answers"]) is (thing["tokens"] > 0)
    classes = {each["name"]: each for each in run.summary["results"]["classes"]}
    assert (
        classes["all"]["boxes"]
        == len(things)
        == sum(own["boxes"] for name, own in classes.items() if name != "all")
    )
    section = small_regions_section({"small-regions": run})
    (table,) = (block for block in section.blocks if isinstance(block, TableBlock))
    assert len(table.rows) == len(STEERED) + len(OTHERS)
    assert (run.path / "small-regions.csv").read_text().count("\n") > len(table.rows)


def test_scenes_are_small_and_usual_in_turn_and_come_from_the_seed() -> None:
    first, second = small_scenes(2, 5)
    sides = [
        [max(t.box[2] - t.box[0], t.box[3] - t.box[1]) for t in p.things] for p in (first, second)
    ]
    assert max(sides[0]) <= 0.16 * 448 and max(sides[1]) > 0.16 * 448
    assert small_scenes(1, 5)[0].things == first.things
    assert [class_of(n) for n in (0, 1, 2, 3, 4, 8, 9, 40)] == [
        "0", "1", "2-3", "2-3", "4-8", "4-8", "9 or more", "9 or more",
    ]  # fmt: skip
