"""What became of steered answers: accuracy, clean hits, profiles by panel, and the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gazeheads.judges import Verdict
from gazeheads.study.experiments.controls import about_draws, distribution
from gazeheads.study.stats import share_of

GAZE, RANDOM, ALL = "gaze", "random", "all"
Records = Sequence[dict[str, Any]]
Judged = list[tuple[int, Verdict]]
"""The answers about one strip: the target of each, and the verdict on it."""


def conditions_summary(
    head_sets: Mapping[str, Sequence[Sequence[str]]], records: Records
) -> list[dict[str, Any]]:
    """Accuracy of every condition, as the study counts it and by content alone.

    Args:
        head_sets: the heads of every condition, as the settings of the run hold them.
        records: of the strips.
    """
    return [_condition_summary(key, head_sets, records) for key in head_sets]


def _condition_summary(
    key: str, head_sets: Mapping[str, Sequence[Sequence[str]]], records: Records
) -> dict[str, Any]:
    name, _, k = key.rpartition("-")
    draws, gaze = head_sets[key], head_sets.get(f"{GAZE}-{k}")
    return {
        "condition": name,
        "k": int(k),
        "key": key,
        "heads": [list(heads) for heads in draws],
        **(
            {"about_draws": about_draws(draws, gaze[0] if gaze else None)} if name == RANDOM else {}
        ),
        **counted(key, records),
    }


def counted(key: str, records: Records) -> dict[str, Any]:
    """What became of the answers under the condition of this key.

    Those of several draws count together, and stand one by one under "controls".
    """
    judged = [_judged(record, key) for record in records]
    flat = [pair for strip in judged for pair in strip]
    panels = max((target for target, _ in flat), default=0)
    hits = [verdict for target, verdict in flat if verdict.hits(target)]
    known = all(verdict.mixed is not None for verdict in hits)
    told = all(verdict.repeats is not None for verdict in hits)
    return {
        "accuracy": share_of([[v.hits(t) for t, v in strip] for strip in judged]).as_dict(),
        "content": share_of([[v.shows(t) for t, v in strip] for strip in judged]).as_dict(),
        "clean": share_of(
            [[v.hits(t) and bool(v.clean) for t, v in strip] for strip in judged]
        ).as_dict()
        if known and told
        else None,
        "mixed_hits": sum(bool(v.mixed) for v in hits) if known else None,
        "repeating_hits": sum(bool(v.repeats) for v in hits) if told else None,
        "by_panel": [
            share_of([[v.hits(t) for t, v in strip if t == panel] for strip in judged]).as_dict()
            for panel in range(1, panels + 1)
        ],
        "described": _described(flat, panels),
        "pairs": len(flat),
        "junk": sum(v.reason == "junk" for _, v in flat),
        "ties": sum(v.reason == "tie" for _, v in flat),
        "baseline_matches": sum(v.reason == "baseline" for _, v in flat),
        "unjudged": sum(v.reason == "unjudged" for _, v in flat),
        "controls": _controls(key, records),
    }


def _judged(record: Mapping[str, Any], key: str, draw: int | None = None) -> Judged:
    return [
        (int(answer["target"]), Verdict.of_record(answer))
        for answer in record["answers"]
        if answer["condition"] == key and draw in (None, answer.get("draw", 0))
    ]


def _described(flat: Judged, panels: int) -> list[list[int]]:
    """By target, how many answers describe every panel, and last no single one."""
    table = [[0] * (panels + 1) for _ in range(panels)]
    for target, verdict in flat:
        place = panels if verdict.panel is None else min(verdict.panel - 1, panels)
        table[target - 1][place] += 1
    return table


def _controls(key: str, records: Records) -> dict[str, Any] | None:
    """The distribution over draws, with the gaze heads on the same strips; None for one draw."""
    numbers = sorted(
        {a.get("draw", 0) for r in records for a in r["answers"] if a["condition"] == key}
    )
    if len(numbers) < 2:
        return None
    own = [r for r in records if all(_judged(r, key, number) for number in numbers)]
    if not own:  # draws that took turns by strip, as those of before did
        return None
    draws = [_accuracy([_judged(record, key, number) for record in own]) for number in numbers]
    name, _, k = key.rpartition("-")
    gaze = [_judged(record, f"{GAZE}-{k}") for record in own]
    measured = _accuracy(gaze) if name == RANDOM and all(gaze) else None
    return distribution(draws, measured, len(own))


def _accuracy(judged: Sequence[Judged]) -> dict[str, Any]:
    return share_of([[v.hits(t) for t, v in strip] for strip in judged]).as_dict()


def unsteered_summary(records: Records) -> dict[str, Any]:
    """Which panels the unsteered answers describe: the model's and the judge's own bias."""
    panels = max((len(record["strip"]["panels"]) for record in records), default=0)
    said = [Verdict.of_record(record["baseline"]) for record in records]
    unjudged = sum(v.reason == "unjudged" for v in said)
    return {
        "by_panel": [sum(v.panel == panel for v in said) for panel in range(1, panels + 1)],
        "junk": sum(v.reason == "junk" for v in said),
        "ties": sum(v.reason == "tie" for v in said),
        **({"unjudged": unjudged} if unjudged else {}),
        "strips": len(said),
    }


def peak_of(conditions: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The K with the best accuracy of the gaze heads; ties go to content, then to the smaller."""
    curve = [result for result in conditions if result["condition"] == GAZE]
    if not curve:
        return None

    def merit(result: dict[str, Any]) -> tuple[float, float, int]:
        return result["accuracy"]["value"], result["content"]["value"], -result["k"]

    best = max(curve, key=merit)
    return {"k": best["k"], "accuracy": best["accuracy"]["value"]}
