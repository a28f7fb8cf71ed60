"""Dose and price: the recommendation, the price of a text, and a whole run on a random model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command

from gazeheads import HeadSet, wrap
from gazeheads.data.drawn.strips import draw_strips
from gazeheads.study.experiments import dose, mass_origin
from gazeheads.study.experiments.dose_summary import recommendation
from gazeheads.study.report.page import write_report
from gazeheads.study.runs import RunOptions

HEADS = HeadSet.of([(1, 0), (2, 3)], "two")


def of(delta: float | None, accuracy: float, mode: str = "paper") -> dict[str, Any]:
    return {"mode": mode, "delta": delta, "accuracy": {"value": accuracy}}


def test_the_smallest_strength_near_the_peak_is_recommended() -> None:
    curve = [of(1, 0.1), of(5, 0.9), of(10, 0.96), of(100, 1.0), of(None, 1.0, "hard")]
    found = recommendation(curve)
    assert found is not None and found["delta"] == 10 and found["peak"] == 1.0
    # neither a mode of another kind nor the order of the doses matters
    assert recommendation([of(2, 1.0, "within"), *reversed(curve)]) == found
    assert recommendation([of(1, 0.0), of(None, 1.0, "hard")]) is None


@pytest.fixture(scope="module")
def small(processor: Any) -> Any:
    from tiny_models import make_model

    return wrap(make_model(processor, 4, 2), processor, "tiny-random")


def test_a_run_prices_every_text_and_stores_the_heads(small: Any, tmp_path: Path) -> None:
    strips = draw_strips(2, 5, 2, size=64)
    settings = dose.DoseSettings(max_new_tokens=4)
    folder = dose.run(small, strips, HEADS, settings, RunOptions(tmp_path))
    record = folder.ordered()[0]
    assert len(record["answers"]) == len(dose.DOSES) * 2 and len(record["alone"]) == 2
    # the price is the plain model's, given the target panel alone: a pass by hand
    answer = next(a for a in record["answers"] if a["text"] and a["condition"] == "hard")
    ids = small.tokenizer(answer["text"], add_special_tokens=False)["input_ids"]
    alone = small.encode(dose.panel_alone(strips[0], answer["target"]), settings.prompt)
    inputs = dict(alone.inputs)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([ids])], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    kinds = inputs["mm_token_type_ids"]
    inputs["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(1, len(ids))], 1)
    with torch.no_grad():
        logits = small.model(**inputs).logits[0, -len(ids) - 1 : -1]
    by_hand = torch.log_softmax(logits.float(), -1)[torch.arange(len(ids)), ids].mean()
    assert answer["quality"]["log_prob"] == pytest.approx(float(by_hand), abs=1e-3)
    results = folder.summary["results"]
    assert [own["name"] for own in results["doses"]] == [name for name, _, _ in dose.DOSES]
    if results["recommended"] is None:
        assert not (folder.path / dose.HEADS).exists()
    else:
        kept = HeadSet.load(folder.path / dose.HEADS)
        assert (kept.heads, kept.delta) == (HEADS.heads, results["recommended"]["delta"])
    page = write_report([folder], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Dose and price" in page and (folder.path / "dose.csv").exists()


def test_masses_are_those_of_an_eager_pass_and_sum_to_one(small: Any, tmp_path: Path) -> None:
    from eager_reference import STATE, Reference, bias_of

    (strip,) = draw_strips(1, 5, 2, size=64)
    settings = mass_origin.MassSettings(max_new_tokens=3, mode="soft", delta=2.0)
    folder = mass_origin.run(small, [strip], {"gaze": HEADS}, settings, RunOptions(tmp_path))
    own = folder.ordered()[0]["conditions"]["gaze"]
    for masses in own.values():
        assert sum(masses) == pytest.approx(1, abs=1e-3)
    encoded = small.encode(strip.image, settings.prompt)
    reference = Reference(small)
    for kind, steered in (("plain", False), ("steered", True)):
        expected = torch.zeros(6)
        for panel in (1, 2):
            region = strip.panel(panel)
            biases = [bias_of(small, encoded, HEADS, region, "soft", 2.0, "both")]
            reference.logits(encoded, [], biases if steered else [])
            table = torch.tensor(
                mass_origin.groups_of(strip, panel, encoded.tokens, len(encoded)),
                dtype=torch.float32,
            )
            assert (table.sum(1) == 1).all()
            for layer, head in HEADS:
                expected[:5] += STATE.weights[layer][0, head, -1] @ table / 4
        assert own[kind] == pytest.approx(expected.tolist(), abs=1e-4)
    results = folder.summary["results"]["conditions"][0]["prompt_end"]
    assert results["gained"] == pytest.approx(own["steered"][0] - own["plain"][0], abs=1e-4)
    if results["from"] is not None:
        assert sum(results["from"].values()) == pytest.approx(1, abs=0.02)


def test_heads_with_a_recommended_strength_are_used_with_it(
    command: Command, model: str, tmp_path: Path
) -> None:
    draw_strips(1, 5, 2, size=64)[0].image.save(tmp_path / "strip.png")
    told = {}
    for name, delta in (("plain", None), ("weak", 1e-6), ("strong", 10_000.0)):
        heads = HeadSet(HEADS.heads, "two", delta=delta)
        path = heads.save(tmp_path / f"{name}.json")
        assert HeadSet.load(path) == heads
        words = ("steer", tmp_path / "strip.png", "--panels", 2, "--panel", 2, "--model", model)
        code, out, err = command(*words, "--heads", path, "--max-new-tokens", 6)
        assert code == 0, err
        assert ("Strength: " in err) == (delta is not None)
        told[name] = [line.split("  ", 1)[1].strip() for line in out.splitlines()]
    assert told["weak"][1] == told["weak"][0]  # no strength to speak of: as unsteered
    assert told["strong"] == told["plain"]
    data = json.loads((tmp_path / "weak.json").read_text())
    (tmp_path / "weak.json").write_text(json.dumps({**data, "delta": -1}))
    code, _, err = command(*words, "--heads", tmp_path / "weak.json")
    assert code == 2 and "above 0" in err
