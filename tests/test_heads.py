from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gazeheads import GazeheadsError, Head, HeadScores, HeadSet
from gazeheads.control_draws import in_their_layers
from gazeheads.head_set import FORMAT
from gazeheads.heads import HeadError, HeadsWarning


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
    assert again.q is None


def test_q_survives_a_file_and_is_of_its_own_scores_only(tmp_path):
    scores = make_scores()
    q = np.linspace(1e-9, 1, scores.scores.size).reshape(scores.shape)
    tested = replace(scores, q=q)
    path = tested.save(tmp_path / "scores.json")
    again = HeadScores.load(path)
    assert again.q is not None and np.array_equal(again.q, q)
    assert again.selectivity().q is None
    with pytest.raises(GazeheadsError, match="q of shape"):
        replace(scores, q=q[:, 1:])
    data = json.loads(path.read_text())
    del data["q"]
    path.write_text(json.dumps(data))
    assert HeadScores.load(path).q is None


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


def test_check_refuses_heads_that_do_not_exist():
    top = make_scores().top(2)
    top.check(4, 5, "m")
    with pytest.raises(GazeheadsError, match="4 layers x 5 heads"):
        top.check(4, 6, "m")
    with pytest.raises(GazeheadsError, match="4 layers x 5 heads"):
        top.forced().check(4, 6, "m")
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


def test_equal_weights_fit_whatever_the_names_are():
    found = make_scores(fingerprint="v1-a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for heads in (found.top(2), found):
            heads.check(4, 5, "quite-another-name", "v1-a")
            heads.forced("x", "v1-b").check(4, 5, "x", "v1-b")


@pytest.mark.parametrize("name", ["m", "other", ""])
def test_other_weights_are_refused_in_one_line_that_says_what_to_do(name):
    found = make_scores(fingerprint="v1-a")
    for heads in (found.top(2), found):
        with pytest.raises(GazeheadsError) as refused:
            heads.check(4, 5, name, "v1-b")
        for told in ("v1-a", "v1-b", "made for m", "--heads-anyway", "force=True", name):
            assert told in str(refused.value)
        assert "\n" not in str(refused.value)
    found.top(2).forced().check(4, 5, name, "v1-b")


@pytest.mark.parametrize(("own", "asked"), [("", ""), ("", "v1-b"), ("v1-a", "")])
def test_without_fingerprints_another_name_is_a_warning_and_no_more(own, asked):
    top = make_scores(fingerprint=own).top(2)
    with pytest.warns(HeadsWarning, match="made for m, and is used with other"):
        top.check(4, 5, "other", asked)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        top.check(4, 5, "m", asked)
        top.check(4, 5, "", asked)
        top.forced().check(4, 5, "other", asked)
        HeadSet.of([(0, 0)]).check(4, 5, "other", asked)


def test_fingerprint_and_living_heads_survive_files(tmp_path):
    living = np.arange(20).reshape(4, 5) % 3 > 0
    scores = replace(make_scores(fingerprint="v1-a"), living=living)
    again = HeadScores.load(scores.save(tmp_path / "scores.json"))
    assert np.array_equal(again.living, living) and again.living.dtype == bool
    assert again.fingerprint == again.selectivity().fingerprint == "v1-a"
    assert np.array_equal(again.selectivity().living, living)
    top = HeadSet.load(again.top(3).save(tmp_path / "set.json"))
    assert top == scores.top(3) and top.fingerprint == "v1-a"
    assert top.top(1).fingerprint == "v1-a" and again.all().fingerprint == "v1-a"


def test_forced_scores_say_where_they_were_found(tmp_path):
    forced = make_scores(fingerprint="v1-a").forced("other", "v1-b")
    assert (forced.model, forced.fingerprint) == ("other", "v1-b")
    assert forced.provenance["found_in"] == {"model": "m", "fingerprint": "v1-a"}


def test_files_of_0_1_are_read_and_later_ones_refused(tmp_path):
    path = tmp_path / "heads.json"
    made = make_scores(fingerprint="v1-a")
    for whole, reader in ((made.top(2), HeadSet), (made, HeadScores)):
        data = json.loads(whole.save(path).read_text())
        assert data["format"] == FORMAT
        old = {k: v for k, v in data.items() if k not in ("format", "fingerprint", "living")}
        old.get("provenance", {}).pop("fingerprint", None)
        path.write_text(json.dumps(old))
        assert reader.load(path).fingerprint == ""
        for later in (FORMAT + 1, "2", None, 0, [1]):
            path.write_text(json.dumps({**data, "format": later}))
            with pytest.raises(GazeheadsError, match="update gazeheads"):
                reader.load(path)


def alive(seed, share=0.4):
    return np.random.default_rng(seed).random((4, 5)) < share


@given(seed=st.integers(0, 500))
def test_dead_heads_rank_after_the_living(seed):
    scores = make_scores(seed=seed)
    lives = replace(scores, living=alive(seed))
    ranking = lives.ranking()
    count = int(lives.living.sum())
    assert sorted(ranking) == sorted(scores.ranking()) and len(lives.all()) == 20
    assert [bool(lives.living[head]) for head in ranking] == [True] * count + [False] * (20 - count)
    assert lives.living_ranking() == ranking[:count]
    assert list(ranking[:count]) == [h for h in scores.ranking() if lives.living[h]]
    assert lives.living_text() == f"{count} of 20 living" and scores.living_text() == "20 heads"
    assert replace(scores, living=np.ones((4, 5))).ranking() == scores.ranking()


@given(
    seed=st.integers(0, 500),
    k=st.integers(1, 4),
    pool=st.sampled_from(["layers", "bottom", "below-median"]),
)
def test_control_heads_are_alive(seed, k, pool):
    lives = replace(make_scores(seed=seed), living=alive(seed, 0.6))
    assume(lives.living.sum() > k)
    try:
        drawn = lives.random(k, seed, pool=pool)
    except GazeheadsError as error:
        assert "living" in str(error)  # too few, and nothing dead instead
    else:
        assert all(lives.living[head] for head in drawn) and len(drawn) == k


def test_bottom_and_median_are_those_of_the_living():
    living = np.zeros((4, 5), dtype=bool)
    living[0], living[3] = True, True
    table = np.arange(20.0).reshape(4, 5)
    scores = HeadScores(table, living=living)
    assert set(scores.random(2, exclude=scores.top(1), pool="bottom")) == {(0, 0), (0, 1)}
    assert set(scores.random(5, exclude=scores.top(1), pool="below-median")) == {
        (0, head) for head in range(5)
    }


def test_no_head_alive():
    scores = HeadScores(np.ones((2, 2)), living=np.zeros((2, 2)))
    assert len(scores.ranking()) == 4 and scores.living_ranking() == ()
    for pool in ("layers", "bottom", "below-median"):
        with pytest.raises(GazeheadsError, match="0 of 4 living"):
            scores.random(1, pool=pool)


def test_living_heads_of_another_shape():
    with pytest.raises(GazeheadsError, match="do not fit"):
        HeadScores(np.zeros((2, 2)), living=np.zeros((2, 3)))


def layered(living: list[list[bool]]) -> HeadScores:
    """Scores that fall from head to head, and which heads live."""
    alive = np.array(living)
    scores = -np.arange(alive.size, dtype=float).reshape(alive.shape)
    return HeadScores(scores, living=alive)


@given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(1, 8))
def test_matched_controls_live_are_none_of_the_set_and_match_its_layers(
    seed: int, k: int, draws: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = layered((rng.random((5, 8)) < 0.8).tolist())
    k = min(k, len(scores.living_ranking()))
    tested = scores.top(k)
    others = set(scores.living_ranking()) - set(tested)
    if len(others) < k:
        with pytest.raises(HeadError, match="cannot draw"):
            scores.matched(tested, draws, seed)
        return
    sets = scores.matched(tested, draws, seed)
    assert sets == scores.matched(tested, draws, seed)
    assert 1 <= len(sets) <= draws and len({each.heads for each in sets}) == len(sets)
    wanted = {layer: len(heads) for layer, heads in tested.by_layer().items()}
    free = {layer: sum(h.layer == layer for h in others) for layer in range(5)}
    best = sum(min(count, free[layer]) for layer, count in wanted.items())
    for each in sets:
        assert len(each) == k and set(each) <= others
        assert in_their_layers(each, tested) == best


def test_what_a_layer_lacks_comes_from_its_neighbours() -> None:
    scores = layered([[True] * 4, [True] * 2 + [False] * 2, [True] * 4, [True] * 4])
    for drawn in scores.matched(HeadSet.of([(1, 0), (1, 1)]), 20, 3):
        assert {head.layer for head in drawn} <= {0, 2}


def test_no_more_sets_are_drawn_than_there_are() -> None:
    scores = layered([[True] * 4])
    assert len(scores.matched(HeadSet.of([(0, 0)]), 20)) == 3
    protected = scores.matched(HeadSet.of([(0, 0)]), 20, protected=[Head(0, 1), Head(0, 2)])
    assert [each.heads for each in protected] == [((0, 3),)]


def test_heads_are_taken_in_every_form_people_give_them() -> None:
    expected = HeadSet.of([(3, 1), (4, 2)]).heads
    forms = (
        ["L3H1", "l4h2"], [Head(3, 1), "L4H2"], np.array([[3, 1], [4, 2]]), ((3, 1), [4, 2]),
        [(np.int64(3), np.uint8(1)), (np.int32(4), 2)], iter([(3, 1), (4, 2)]),
    )  # fmt: skip
    for form in forms:
        assert HeadSet.of(form).heads == expected
    assert HeadSet.of("L3H1").heads == HeadSet.of(Head(3, 1)).heads == expected[:1]
    assert all(type(n) is int for head in HeadSet.of(np.array([[3, 1]])) for n in head)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([(3.7, 1)], "a layer is a whole number, not 3.7"),
        ([(3, 1.0)], "a head is a whole number, not 1.0"),
        (np.array([[3.0, 1.0]]), "a layer is a whole number"),
        ([(True, 1)], "a layer is a whole number, not True"),
        ((3, 1), r"several come as a list: \[\(3, 1\), \(4, 2\)\]"),
        ([(3, 1, 2)], "a head is .layer, head. or a name"),
        (["x3"], "'x3' names no head: L3H1 is head 1 of layer 3"),
        (7, "heads are a head set or a list such as"),
        (HeadScores(np.zeros((2, 2))), r"take the best ones, such as scores.top\(12\)"),
    ],
)
def test_what_names_no_heads_is_refused_with_what_would(names: Any, told: str) -> None:
    for make in (HeadSet.of, HeadSet):
        with pytest.raises(HeadError, match=told):
            make(names)


def test_a_number_of_heads_is_a_whole_number() -> None:
    scores = HeadScores(np.arange(6.0).reshape(2, 3))
    for of in (scores, scores.all()):
        assert len(of.top(np.int64(2))) == 2
        for wrong in (2.5, "2", None, True):
            with pytest.raises(HeadError, match="a number of heads is a whole number"):
                of.top(wrong)
