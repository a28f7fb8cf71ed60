from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads import GazeheadsError, Head, HeadScores, HeadSet


def make_scores(layers=4, heads=5, regions=3, seed=0, **provenance) -> HeadScores:
    matrices = np.random.default_rng(seed).random((layers, heads, regions, regions))
    diagonal = np.trace(matrices, axis1=2, axis2=3) / regions
    return HeadScores(diagonal, matrices, provenance={"model": "m", **provenance})


def test_ranking_is_best_first_with_stable_ties():
    scores = HeadScores(np.array([[0.1, 0.9], [0.9, 0.2]]))
    assert scores.ranking() == (Head(0, 1), Head(1, 0), Head(1, 1), Head(0, 0))
    assert scores.top(2).heads == (Head(0, 1), Head(1, 0))
    assert len(scores.all()) == 4
    assert scores[0, 1] == 0.9
    assert str(Head(3, 2)) == "L3H2"


@pytest.mark.parametrize("k", [0, -1, 21])
def test_top_of_more_heads_than_there_are(k):
    with pytest.raises(GazeheadsError, match="20 heads"):
        make_scores().top(k)


def test_scores_survive_a_file(tmp_path):
    scores = make_scores(strips=["a", "b"])
    again = HeadScores.load(scores.save(tmp_path / "new" / "scores.json"))
    assert np.array_equal(scores.scores, again.scores)
    assert np.array_equal(scores.matrices, again.matrices)
    assert again.provenance == scores.provenance and again.name == scores.name


def test_head_set_survives_a_file(tmp_path):
    top = make_scores().top(3)
    assert HeadSet.load(top.save(tmp_path / "set.json")) == top


def test_bad_files_are_one_clear_error(tmp_path):
    path = tmp_path / "set.json"
    with pytest.raises(GazeheadsError, match="cannot read"):
        HeadSet.load(path)
    path.write_text("{")
    with pytest.raises(GazeheadsError, match="not a JSON"):
        HeadSet.load(path)
    make_scores().save(path)
    with pytest.raises(GazeheadsError, match="not a head-set file"):
        HeadSet.load(path)
    path.write_text('{"kind": "head-set"}')
    with pytest.raises(GazeheadsError, match="complete"):
        HeadSet.load(path)
    path.write_text('{"kind": "head-scores", "scores": 3}')
    with pytest.raises(GazeheadsError, match="complete"):
        HeadScores.load(path)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GazeheadsError, match="cannot write"):
        make_scores().save(tmp_path / "file" / "scores.json")
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(GazeheadsError, match="cannot write"):
        make_scores().save(folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "taken"]


def test_check_refuses_heads_of_another_model():
    top = make_scores().top(2)
    top.check(4, 5, "m")
    with pytest.raises(GazeheadsError, match="4 layers x 5 heads"):
        top.check(4, 6, "m")
    with pytest.raises(GazeheadsError, match="made for m"):
        top.check(4, 5, "other")
    HeadSet.of([(0, 0)]).check(1, 1, "any")
    with pytest.raises(GazeheadsError, match="L0H1"):
        HeadSet.of([(0, 1)]).check(1, 1, "any")
    with pytest.raises(GazeheadsError, match="twice"):
        HeadSet.of([(0, 0), (0, 0)])
    with pytest.raises(GazeheadsError, match="does not exist"):
        HeadSet(((9, 0),), shape=(2, 2))


def test_head_set_basics():
    heads = HeadSet.of([(2, 1), (0, 3), (2, 0)], "mine")
    assert heads.by_layer() == {0: [3], 2: [0, 1]}
    assert heads.top(1).heads == (Head(2, 1),)
    assert (0, 3) in heads and len(heads) == 3
    with pytest.raises(GazeheadsError, match="top 4"):
        heads.top(4)


@given(seed=st.integers(0, 50), k=st.integers(1, 5), pool=st.sampled_from(["layers", "bottom"]))
def test_random_heads_avoid_the_set_under_test(seed, k, pool):
    scores = make_scores(10, 8, seed=seed)
    top = scores.top(12)
    drawn = scores.random(k, seed, exclude=top, pool=pool)
    assert len(set(drawn)) == k and not set(drawn) & set(top)
    assert drawn == scores.random(k, seed, exclude=top, pool=pool)
    layers = {head.layer for head in top}
    if pool == "layers":
        assert all(min(layers) <= head.layer <= max(layers) for head in drawn)
    else:
        assert set(drawn) <= set(scores.ranking()[-max(k, 4) :])


def test_random_pools():
    scores = make_scores()
    below = scores.random(5, pool="below-median")
    assert all(scores[head] < np.median(scores.scores) for head in below)
    with pytest.raises(GazeheadsError, match="cannot draw"):
        scores.random(15)
    with pytest.raises(GazeheadsError, match="unknown pool"):
        scores.random(1, pool="all")  # type: ignore[arg-type]


def test_selectivity():
    matrices = np.zeros((1, 3, 2, 2))
    matrices[0, 0] = [[0.4, 0.2], [0.2, 0.4]]
    matrices[0, 1] = [[0.1, 0.0], [0.0, 0.1]]
    scores = HeadScores(np.array([[0.4, 0.1, 0.0]]), matrices)
    assert scores.selectivity().scores == pytest.approx(np.array([[0.2, 0.1, 0.0]]))
    normal = scores.selectivity(normalise=True)
    assert normal.scores == pytest.approx(np.array([[1 / 3, 1.0, 0.0]]))
    assert normal.top(1).heads == (Head(0, 1),)
    with pytest.raises(GazeheadsError, match="no matrices"):
        HeadScores(np.zeros((1, 1))).selectivity()


def test_malformed_scores():
    with pytest.raises(GazeheadsError, match="layers x heads"):
        HeadScores(np.zeros(3))
    with pytest.raises(GazeheadsError, match="NaN"):
        HeadScores(np.array([[np.nan]]))
    with pytest.raises(GazeheadsError, match="do not fit"):
        HeadScores(np.zeros((2, 2)), np.zeros((1, 2, 3, 3)))
