"""Heads of a user's own as conditions of an experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from gazeheads import HeadSet, Steering, prompts
from gazeheads.data.drawn.strips import draw_strips


def test_heads_of_one_s_own_are_a_condition_like_the_others(
    command: Command, model: str, gqa: Any, tmp_path: Path
) -> None:
    own = HeadSet.of([(1, 0), (3, 2)])
    own.save(tmp_path / "set.json")
    words = ["steer-vqa", "--limit", 1, "--draws", 1, "--k", 2, "--model", model]
    words += ["--condition", f"mine={tmp_path / 'set.json'}", "--condition", "one=L2H1"]
    code, _, err = command(*words, "--out", tmp_path / "runs")
    assert code == 0, err
    (folder,) = (tmp_path / "runs" / "steer-vqa").iterdir()
    (record,) = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    said = {
        (each["condition"], each["target"]): each["text"]
        for each in record["answers"]
        if each["condition"] in ("mine-2", "one-1")
    }
    (strip,) = draw_strips(1, 0)
    encoded = gqa.encode(strip.image, prompts.VQA)
    rows = [
        (encoded, Steering(heads, strip.panel(target), 10_000.0, "paper"))
        for heads in (own, HeadSet.of([(2, 1)]))
        for target in range(1, 7)
    ]
    texts = [each.text.strip() for each in gqa.generate(rows, max_new_tokens=15)]
    keys = [(key, target) for key in ("mine-2", "one-1") for target in range(1, 7)]
    assert said == dict(zip(keys, texts, strict=True))


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("gaze=L1H1", "a condition 'gaze' already"),
        ("L1H1", "wants NAME=HEADS"),
        ("a b-2=L1H1", "wants NAME=HEADS"),
        ("mine=nowhere.json", "cannot read nowhere.json"),
        ("mine=L9H1", "L9H1 does not exist"),
    ],
)
def test_conditions_that_are_none(
    command: Command, model: str, tmp_path: Path, condition: str, told: str
) -> None:
    words = ["steer-vqa", "--limit", 1, "--draws", 1, "--k", 2, "--model", model]
    code, _, err = command(*words, "--condition", condition, "--out", tmp_path / "runs")
    assert code == 2 and told in err.splitlines()[-1]
