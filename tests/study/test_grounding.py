"""`grounding`: phrases located in pictures, what is counted, and the control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command

from gazeheads.data.objects import drawn_pictures
from gazeheads.heads import HeadScores, HeadSet
from gazeheads.locating.located import METHODS
from gazeheads.locating.naming import locate
from gazeheads.models import load
from gazeheads.study.experiments.grounding import GroundingSettings, absent_phrase
from gazeheads.study.report.blocks import TableBlock
from gazeheads.study.report.grounding import grounding_section
from gazeheads.study.runs import find_runs


@pytest.fixture
def asked(model: str, tmp_path: Path) -> tuple[Any, ...]:
    scores = tmp_path / "scores.json"
    HeadScores(np.random.default_rng(0).random((4, 4))).save(scores)
    return ("--model", model, "--heads", scores, "--k", 2, "--limit", 2, "--out", tmp_path / "runs")


def test_phrases_are_counted_as_located_alone(
    command: Command, asked: Any, model: str, tmp_path: Path
) -> None:
    code, out, err = command("grounding", "--draws", 3, *asked)
    assert code == 0, err
    (folder,) = find_runs([tmp_path / "runs" / "grounding"])
    results = folder.summary["results"]
    records = folder.ordered()
    phrases = [phrase for record in records for phrase in record["phrases"]]
    assert results["phrases"] == len(phrases) and results["random"]["draws"] == 3
    for method in METHODS:
        inside = [
            p["box"][0] <= p["places"][method]["point"][0] < p["box"][2]
            and p["box"][1] <= p["places"][method]["point"][1] < p["box"][3]
            for p in phrases
        ]
        assert results["methods"][method]["point"]["hits"] == sum(inside)
        assert f"{100 * sum(inside) / len(inside):.1f}%" in out
    assert {len(p["random"]) for p in phrases} == {3}
    section = grounding_section({"grounding": folder})
    (table,) = (block for block in section.blocks if isinstance(block, TableBlock))
    assert "3 sets of random heads" in table.caption and len(table.rows) == len(METHODS)
    lines = (folder.path / "grounding.csv").read_text().splitlines()
    assert len(lines) == 1 + 4 * len(METHODS)
    # the very place that `locate` gives
    picture = drawn_pictures(2, 0)[0]
    heads = HeadSet.of([(int(h[1]), int(h[3:])) for h in folder.settings["head_sets"]["gaze"]])
    found = locate(load(model), picture.image, picture.things[0].name, heads)
    assert records[0]["phrases"][0]["places"]["naming"]["box"] == pytest.approx(found.box)


def test_data_that_cannot_be_is_refused_before_a_model_is_loaded(
    command: Command, tmp_path: Path
) -> None:
    for words, told in (
        (("--coco", tmp_path, "--refcoco", tmp_path), "name either --coco or --refcoco"),
        (("--refcoco", tmp_path), "must hold instances.json"),
        (("--coco", tmp_path), "instances_val2017.json"),
    ):
        code, _, err = command("grounding", *words, "--model", tmp_path / "none")
        assert code == 2 and told in err and err.count("\n") == 1


def test_locate_writes_a_figure_and_its_numbers(
    command: Command, model: str, tmp_path: Path
) -> None:
    HeadSet.of([(1, 0), (2, 3)]).save(tmp_path / "heads.json")
    about = ("--model", model, "--heads", tmp_path / "heads.json", "--cells", 3)
    place = tmp_path / "place.png"
    code, out, err = command("locate", "cow", *about, "-o", place)
    assert code == 0 and "cow: " in out and "Drawn scene 0: " in err, err
    data = json.loads(place.with_suffix(".json").read_text())
    assert place.stat().st_size > 1000 and data["kind"] == "located-phrase"
    assert (data["rows"], data["columns"]) == (3, 3) and data["method"] == "naming"
    code, _, err = command("locate", "dog", *about, "-o", place)
    assert code == 2 and "exists: choose another --out" in err
    code, out, err = command("locate", "dog", *about, "--json")
    assert code == 0 and json.loads(out)["phrase"] == "dog"
    code, out, err = command("locate", "dog", *about, "--method", "localization", "--json")
    assert code == 0 and json.loads(out)["unsteered"] is None, err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "b", "c"), "name a picture and a phrase"),
        ((" ",), "name a phrase to look for"),
        (("missing.png", "cow"), "missing.png"),
        ((".", "cow"), "is a folder: name one image"),
        (("cow", "-o", "x.gif"), "--out wants a PNG file"),
        (("cow", "-o", "nowhere/x.png"), "there is no folder"),
    ],
)
def test_what_cannot_be_located_is_one_line(
    command: Command, model: str, words: Any, told: str
) -> None:
    code, _, err = command("locate", *words, "--model", model)
    lines = [line for line in err.splitlines() if not line.startswith(("Drawn scene", "Finding"))]
    assert code == 2 and len(lines) == 1 and told in lines[0]


def test_what_is_asked_for_as_absent_is_not_there_however_small() -> None:
    small = [picture for picture in drawn_pictures(30, 0) if picture.others]
    assert small
    for picture in small:
        there = {thing.name for thing in picture.things} | set(picture.others)
        for seed in range(40):
            settings = GroundingSettings("drawn scenes", seed=seed)
            absent = absent_phrase(picture, [*sorted(there), "nothing"], settings)
            assert absent == "nothing"
