"""Discovery against six full prompts with eager attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from eager_reference import STATE, Reference

from gazeheads import GazeheadsError, discover, prompts
from gazeheads.discovery import gaze
from gazeheads.discovery.nulls import permutation_null
from gazeheads.head_set import HeadsWarning
from gazeheads.heads import HeadScores
from gazeheads.models import score


@pytest.fixture(scope="module")
def reference(vlm):
    return Reference(vlm)


def eager_matrices(vlm, reference, strips):
    """(L, H, R, R), one full prompt after the other, all attention weights materialised."""
    total = 0.0
    for strip in strips:
        panels = len(strip)
        matrix = np.zeros((vlm.num_layers, vlm.num_heads, panels, panels))
        for k in range(panels):
            encoded = vlm.encode(strip.image, prompts.discovery(k + 1, panels))
            reference.logits(encoded, [], [])
            for layer in range(vlm.num_layers):
                last = STATE.weights[layer][0, :, -1].numpy()
                for j, region in enumerate(strip.regions):
                    matrix[layer, :, k, j] = last[:, encoded.tokens.select(region)].sum(-1)
        total = total + matrix
    return total / len(strips)


def test_scores_equal_six_eager_prompts(vlm, reference, make_strip):
    strips = [make_strip(f"s{i}", panels=6, seed=i) for i in range(2)]
    seen = []
    scores = discover(vlm, strips, progress=lambda done, total: seen.append((done, total)))
    expected = eager_matrices(vlm, reference, strips)
    assert np.abs(scores.matrices - expected).max() < 1e-5
    diagonal = np.trace(expected, axis1=2, axis2=3) / 6
    assert np.abs(scores.scores - diagonal).max() < 1e-5
    assert seen == [(1, 2), (2, 2)]
    assert scores.provenance["strips"] == ["s0", "s1"] and scores.model == "tiny-random"
    assert (
        scores.top(1).fingerprint == vlm.fingerprint and scores.living_text() == "16 of 16 living"
    )
    assert scores.matrices.max() > 0.05


def test_output_attentions_gives_the_same(gqa, make_strip):
    """The library's own eager attention agrees with the test's."""
    strip = make_strip("s", panels=2)
    model = Reference(gqa).model
    model.set_attn_implementation({"text_config": "eager"})
    scores = discover(gqa, [strip])
    for k in (1, 2):
        encoded = gqa.encode(strip.image, prompts.discovery(k, 2))
        with torch.no_grad():
            attentions = model(**encoded.inputs, output_attentions=True).attentions
        for layer, weights in enumerate(attentions):
            for j, region in enumerate(strip.regions):
                mass = weights[0, :, -1, encoded.tokens.select(region)].sum(-1).numpy()
                assert mass == pytest.approx(scores.matrices[layer, :, k - 1, j], abs=1e-5)


def test_shared_prefix_equals_full_prompts(vlm, make_strip, monkeypatch):
    strip = make_strip("s", panels=4)
    questions = ["short?", "what happens in the third panel of it?", "in what", "of the strip"]
    shared = vlm.score_regions(strip.image, questions, strip.regions)
    monkeypatch.setattr(score, "_prefix", lambda rows: 0)
    whole = vlm.score_regions(strip.image, questions, strip.regions)
    assert shared.shape == (4, vlm.num_layers, vlm.num_heads, 4)
    assert np.abs(shared - whole).max() < 1e-5


def test_strips_of_different_sizes_in_one_batch(vlm, make_strip):
    items = [
        (s.image, [f"what is {k}?" * k for k in range(1, s.panels + 1)], s.regions)
        for s in (make_strip("a", panels=2), make_strip("b", panels=5), make_strip("c", panels=3))
    ]
    together = vlm.score_many(items, batch_size=3)
    for item, mass in zip(items, together, strict=True):
        assert mass == pytest.approx(vlm.score_regions(*item), abs=1e-5)


def test_identical_questions_and_a_single_question(vlm, strip):
    twice = vlm.score_regions(strip.image, ["what?", "what?"], strip.regions)
    once = vlm.score_regions(strip.image, ["what?"], strip.regions)
    assert twice[0] == pytest.approx(once[0], abs=1e-6)
    assert twice[1] == pytest.approx(once[0], abs=1e-6)


def test_scoring_inside_steer_is_refused(vlm, strip):
    with (
        pytest.raises(GazeheadsError, match="plain model"),
        vlm.steer([(0, 0)], strip.panel(1)),
    ):
        vlm.score_regions(strip.image, ["what?"], strip.regions)


def test_out_of_memory_halves_the_batch(caplog):
    sizes = []

    def work(part):
        sizes.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [x * 10 for x in part]

    assert score.halving(work, [1, 2, 3, 4, 5, 6, 7], 7) == [10, 20, 30, 40, 50, 60, 70]
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert "out of memory with 7" in caplog.text

    def never(part):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 99 bytes")

    with pytest.raises(GazeheadsError, match="batch of 1"):
        score.halving(never, [1, 2], 2)

    def broken(part):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        score.halving(broken, [1], 1)


def test_limit_and_prompt(vlm, make_strip):
    strips = [make_strip(f"s{i}", panels=2, seed=i) for i in range(5)]
    some = discover(vlm, strips, limit=2, seed=1, prompt="look at {k} of {n}")
    assert len(some.provenance["strips"]) == 2
    assert some.provenance["questions"] == ["look at 1 of 2", "look at 2 of 2"]
    again = discover(vlm, strips, limit=2, seed=1, prompt=lambda k, n: f"look at {k} of {n}")
    assert np.array_equal(some.scores, again.scores)


def test_strips_that_do_not_fit(vlm, make_strip):
    with pytest.raises(GazeheadsError, match="no strips"):
        discover(vlm, [])
    with pytest.raises(GazeheadsError, match="equally many"):
        discover(vlm, [make_strip("a", panels=2), make_strip("b", panels=3)])
    with pytest.raises(GazeheadsError, match="limit"):
        discover(vlm, [make_strip("a")] * 2, limit=0)
    with pytest.raises(GazeheadsError, match="prompt"):
        discover(vlm, [make_strip("a")], prompt="{panel}?")


def test_discover_tells_which_heads_are_more_than_chance(vlm, make_strip, monkeypatch, tmp_path):
    strips = [make_strip(f"s{i}", panels=3, seed=i) for i in range(4)]
    each: list[np.ndarray] = []
    _, mean = gaze.measure(vlm, strips, each=each)
    assert len(each) == 4 and {one.dtype for one in each} == {np.dtype("float32")}
    assert np.abs(np.mean(each, axis=0) - mean).max() < 1e-6
    scores = discover(vlm, strips, seed=5)
    expected = permutation_null(np.stack(each), vlm.living_heads(), seed=5).q
    assert scores.q is not None and np.array_equal(scores.q, expected)
    again = HeadScores.load(scores.save(tmp_path / "scores.json"))
    assert again.q is not None and np.array_equal(again.q, expected)
    # too many strips to keep: said, and the scores are the same
    monkeypatch.setattr(gaze, "KEPT_BYTES", 4 * 4 * 16 * 9 - 1)
    with pytest.warns(HeadsWarning, match="4 strips are too many"):
        without = discover(vlm, strips, seed=5)
    assert without.q is None and np.array_equal(without.scores, scores.scores)
