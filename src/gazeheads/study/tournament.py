"""Which ranking of heads wins: paired tests against the gaze ranking over the same strips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gazeheads.judges import Verdict

FLIPS = 10_000


def hits_of(key: str, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(strips,) share of a condition's answers that follow, per strip."""
    return np.array(
        [
            np.mean(
                [
                    Verdict.of_record(answer).hits(int(answer["target"]))
                    for answer in record["answers"]
                    if answer["condition"] == key
                ]
            )
            for record in records
        ]
    )


def paired_p(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """Two-sided add-one p of the mean paired difference, by random flips of its signs."""
    difference = np.asarray(a - b, dtype=np.float64)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(FLIPS, len(difference)))
    null = np.abs(signs @ difference)
    # rounding must not make an equal sum smaller
    return float((1 + (null >= abs(difference.sum()) - 1e-9).sum()) / (1 + FLIPS))


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for their number, by Holm's procedure."""
    corrected, largest = [0.0] * len(ps), 0.0
    for place, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[i]))
        corrected[i] = largest
    return corrected


def compared(
    names: Sequence[str], ks: Sequence[int], records: Sequence[Mapping[str, Any]], reference: str
) -> dict[str, Any]:
    """Every ranking against the reference, the winner, and how few heads do the reference's work.

    Args:
        names: of the rankings; a ranking's conditions are called "name-k".
        ks: numbers of heads.
        records: of the strips.
        reference: the ranking that others are compared with.
    """
    hits = {name: {k: hits_of(f"{name}-{k}", records) for k in ks} for name in names}
    others = [name for name in names if name != reference]
    pairs: list[dict[str, Any]] = [
        {
            "ranking": name,
            "k": k,
            "difference": float((hits[name][k] - hits[reference][k]).mean()),
            "p": paired_p(hits[name][k], hits[reference][k]),
        }
        for name in others
        for k in ks
    ]
    for pair, p in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p
    area = {name: np.mean([hits[name][k] for k in ks], axis=0) for name in names}
    ranked = sorted(names, key=lambda name: (-float(area[name].mean()), names.index(name)))
    winner, rest = ranked[0], ranked[1:]
    corrected = holm([paired_p(area[winner], area[name]) for name in rest])
    best = max(ks, key=lambda k: (float(hits[reference][k].mean()), -k))
    goal = float(hits[reference][best].mean())
    needed = {
        name: next((k for k in sorted(ks) if float(hits[name][k].mean()) >= goal), None)
        for name in names
    }
    half = [name for name in others if (k := needed[name]) is not None and 2 * k <= best]
    return {
        "reference": reference,
        "pairs": pairs,
        "mean_over_k": {name: float(area[name].mean()) for name in ranked},
        "winner": winner,
        "winner_p": dict(zip(rest, corrected, strict=True)),
        "goal": {"k": best, "accuracy": goal, "needed": needed, "half": half},
    }
