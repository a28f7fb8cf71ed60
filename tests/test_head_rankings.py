"""Rankings in any form: read, refused, and called what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gazeheads import GazeheadsError, Head, HeadScores, HeadSet
from gazeheads.head_rankings import (
    every_head,
    heads_of_text,
    random_ranking,
    read_ranking,
    scores_of_set,
    told,
)

LIVING = np.array([[True, False, True], [True, True, False]])


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def test_the_studys_ranking_is_read_and_called_by_its_file(tmp_path: Path) -> None:
    rows = [{"layer": i // 3, "head": i % 3, "score": (i * 7 % 6) / 10} for i in range(6)]
    rows.sort(key=lambda row: -row["score"])
    found = read_ranking(written(tmp_path / "gaze_head_ranking.json", rows))
    assert isinstance(found, HeadScores)
    assert [tuple(h) for h in found.ranking()] == [(row["layer"], row["head"]) for row in rows]
    assert told(found) == {
        "ranking": "gaze_head_ranking", "provenance": {"file": "gaze_head_ranking.json"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "names no heads"),
        ([{"layer": 0, "head": 0}], "layer, head and score"),
        ([[0, 0, 0.5]], "layer, head and score"),
        ([{"layer": 1, "head": 0, "score": 1}], "ranks 1 heads, not each of 2 layers x 1 once"),
        ([{"layer": 0, "head": 0, "score": 1}] * 2, "ranks 2 heads"),
        ([{"layer": -1, "head": 0, "score": 1}], "below 0"),
        ({"kind": "run-settings"}, "is not a head-scores file"),
    ],
)
def test_what_is_no_ranking_is_one_line(tmp_path: Path, data: Any, said: str) -> None:
    with pytest.raises(GazeheadsError, match=said) as error:
        read_ranking(written(tmp_path / "r.json", data))
    assert "\n" not in str(error.value)


def test_a_head_set_is_a_ranking_with_its_heads_first(tmp_path: Path) -> None:
    heads = HeadSet((Head(1, 1), Head(0, 2), Head(0, 0)), "mine", "m", (2, 3), "v1-x")
    read = read_ranking(heads.save(tmp_path / "set.json"))
    assert isinstance(read, HeadSet)
    scores = scores_of_set(read, LIVING, "set.json")
    assert scores.top(3).heads == heads.heads
    assert scores.living_ranking()[3:] == (Head(1, 0),)
    kept = {"model": "m", "fingerprint": "v1-x", "file": "set.json", "recommended_k": 3}
    assert told(scores) == {"ranking": "mine", "provenance": kept}


def test_heads_by_name_random_ones_and_all() -> None:
    named = heads_of_text(" L1H1, l0h2")
    assert named is not None and named.heads == (Head(1, 1), Head(0, 2))
    assert heads_of_text("scores.json") is None and heads_of_text("L1H1;L2H2") is None
    drawn = [random_ranking(LIVING, seed).ranking() for seed in range(20)]
    assert all(set(own[:4]) == {(0, 0), (0, 2), (1, 0), (1, 1)} for own in drawn)
    assert len(set(drawn)) > 5 and random_ranking(LIVING, 3).ranking() == drawn[3]
    assert len(every_head(LIVING).top(6)) == 6
    assert told(every_head(LIVING))["provenance"] == {"recommended_k": 6}


def test_long_provenance_is_told_in_short() -> None:
    about = {"model": "m", "strips": ["a"] * 500, "questions": ["q"], "notes": "x" * 900}
    assert told(HeadScores(np.zeros((2, 2)), name="own", provenance=about)) == {
        "ranking": "own", "provenance": {"model": "m", "strips": 500},
    }  # fmt: skip
