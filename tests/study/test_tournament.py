"""The tournament of rankings: its tests are paired and corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gazeheads.study.tournament import compared, hits_of, holm, paired_p


def test_paired_p_is_small_for_a_difference_in_every_strip_and_one_for_none() -> None:
    ones, zeros = np.ones(12), np.zeros(12)
    assert paired_p(ones, zeros) == pytest.approx(2 / 2**12, abs=6e-4)
    assert paired_p(ones, ones) == 1


def test_holm_multiplies_by_what_is_left_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def records(hits: dict[str, list[list[bool]]]) -> list[dict[str, Any]]:
    """Per strip the answers of every condition, one per panel, that follow or not."""
    strips = len(next(iter(hits.values())))
    return [
        {
            "answers": [
                {
                    "condition": key,
                    "target": target,
                    "panel": target if hit else None,
                    "reason": "described" if hit else "junk",
                }
                for key, own in hits.items()
                for target, hit in enumerate(own[strip], 1)
            ]
        }
        for strip in range(strips)
    ]


def test_the_winner_and_who_needs_half_the_heads_are_read_off_the_answers() -> None:
    yes, half, no = [True, True], [True, False], [False, False]
    strips = 12
    found = compared(
        ["gaze", "causal", "image"],
        [2, 4, 8],
        records(
            {
                "gaze-2": [no] * strips, "gaze-4": [half] * strips, "gaze-8": [yes] * strips,
                "causal-2": [half] * strips, "causal-4": [yes] * strips,
                "causal-8": [yes] * strips,
                "image-2": [no] * strips, "image-4": [no] * strips, "image-8": [yes] * strips,
            }
        ),
        "gaze",
    )  # fmt: skip
    assert found["winner"] == "causal"
    assert found["mean_over_k"] == pytest.approx({"causal": 2.5 / 3, "gaze": 0.5, "image": 1 / 3})
    assert found["goal"] == {
        "k": 8,
        "accuracy": 1.0,
        "needed": {"gaze": 8, "causal": 4, "image": 8},
        "half": ["causal"],
    }
    pairs = {(pair["ranking"], pair["k"]): pair for pair in found["pairs"]}
    assert len(pairs) == 6
    assert pairs["causal", 4]["difference"] == 0.5 and pairs["causal", 4]["p"] < 0.002
    assert pairs["image", 4]["difference"] == -0.5
    assert pairs["causal", 8]["difference"] == 0 and pairs["causal", 8]["p"] == 1
    assert all(pair["p_holm"] >= pair["p"] for pair in found["pairs"])
    # as sure as that many strips allow, corrected for two comparisons
    assert set(found["winner_p"]) == {"gaze", "image"} and max(found["winner_p"].values()) < 0.003


def test_shares_are_counted_strip_by_strip() -> None:
    own = records({"gaze-2": [[True, False], [True, True]], "gaze-4": [[False] * 2] * 2})
    assert hits_of("gaze-2", own).tolist() == [0.5, 1.0]
    assert hits_of("gaze-4", own).tolist() == [0.0, 0.0]
