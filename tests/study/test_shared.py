"""What experiments build on: exactly the discovery they need, whatever lies in the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scripted_model import ScriptedVlm, scores

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.strip import Strip
from gazeheads.study.experiments import discover, steer_vqa
from gazeheads.study.experiments.discover import DiscoverSettings
from gazeheads.study.experiments.steer_vqa import SteerVqaSettings
from gazeheads.study.experiments.steered_answers import number_of_heads
from gazeheads.study.runs import RunOptions, Shard, find_runs
from gazeheads.study.shared import one_of_each

if TYPE_CHECKING:
    from gazeheads.models import VLM

SETTINGS = DiscoverSettings()


@pytest.fixture(scope="module")
def strips() -> list[Strip]:
    return draw_strips(3, 5, 2, size=32)


@contextmanager
def other_weights(vlm: VLM) -> Iterator[None]:
    weight = next(iter(vlm.model.state_dict().values()))
    before = weight.clone()
    try:
        weight.add_(1e-3)
        yield
    finally:
        weight.copy_(before)


def test_a_discovery_made_with_exactly_the_needed_settings_serves(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    own = discover.run(gqa, strips, SETTINGS, RunOptions(tmp_path))
    options = RunOptions(tmp_path, shard=Shard(2, 3))  # a shard needs all of the heads
    found = discover.for_others(gqa, strips, SETTINGS, options)
    assert found.path == own.path and not found.derived
    assert len(found.records) == len(strips)
    assert [run.path for run in find_runs([tmp_path])] == [own.path]


@pytest.mark.parametrize("lies", ["nothing", "fewer strips", "another seed", "damage"])
def test_the_scores_are_the_same_whatever_discovery_lies_there(
    gqa: VLM, strips: list[Strip], tmp_path: Path, lies: str
) -> None:
    expected = discover.run(gqa, strips, SETTINGS, RunOptions(tmp_path / "alone"))
    out = RunOptions(tmp_path / "runs")
    if lies == "fewer strips":
        discover.run(gqa, strips[:1], SETTINGS, out)
    elif lies == "another seed":
        discover.run(gqa, strips, DiscoverSettings(seed=9), out)
    elif lies == "damage":
        run = discover.run(gqa, strips, SETTINGS, out)
        (run.path / "records.jsonl").write_text('{"unit": "x"}\n{"unit": "y"}\n')
    before = {p: p.read_bytes() for p in tmp_path.rglob("discover/*/*") if p.is_file()}
    found = discover.for_others(gqa, strips, SETTINGS, out)
    again = discover.for_others(gqa, strips, SETTINGS, out)
    assert found.path == again.path and found.derived
    assert found.path.parent == tmp_path / "runs" / "discover" / "tiny-random"
    np.testing.assert_array_equal(
        discover.load_scores(found.path).scores, discover.load_scores(expected.path).scores
    )
    assert before == {path: path.read_bytes() for path in before}


def test_other_weights_and_other_software_have_discoveries_of_their_own(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    own = discover.run(gqa, strips[:1], SETTINGS, RunOptions(tmp_path))
    with other_weights(gqa):
        other = discover.for_others(gqa, strips[:1], SETTINGS, RunOptions(tmp_path))
    path = own.path / "settings.json"
    data = json.loads(path.read_text())
    data["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(data))
    newer = discover.for_others(gqa, strips[:1], SETTINGS, RunOptions(tmp_path))
    assert len({own.path, other.path, newer.path}) == 3


def test_fresh_renews_what_was_made_for_others_once_and_nothing_else(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    own = discover.run(gqa, strips[:1], SETTINGS, RunOptions(tmp_path))
    fresh = RunOptions(tmp_path, fresh=True)
    derived = discover.for_others(gqa, strips[:1], SETTINGS, fresh)
    assert derived.path != own.path
    marked = json.loads((derived.path / "records.jsonl").read_text())
    marked["questions"] = ["marked"]
    (derived.path / "records.jsonl").write_text(json.dumps(marked) + "\n")
    plain = (own.path / "records.jsonl").read_bytes()

    def questions(options: RunOptions) -> list[str]:
        run = discover.for_others(gqa, strips[:1], SETTINGS, options)
        assert run.path == derived.path
        return next(iter(run.records.values()))["questions"]  # type: ignore[no-any-return]

    assert questions(replace(fresh)) == ["marked"]  # renewed already, by the same command
    assert questions(RunOptions(tmp_path, fresh=True)) != ["marked"]
    assert (own.path / "records.jsonl").read_bytes() == plain


def test_the_number_of_heads_follows_from_the_scores_alone(tmp_path: Path) -> None:
    strips = draw_strips(2, 5, 3, size=32)
    settings = SteerVqaSettings((1, 2, 3), ("gaze",))
    vlm = ScriptedVlm(strips, [])
    options = RunOptions(tmp_path)
    steer_vqa.run(vlm, strips, scores(), settings, options, experiment=steer_vqa.SWEEP)  # type: ignore[arg-type]
    assert number_of_heads(scores())[0] == 1  # 8.7% of 16, whatever the sweep found
    told = replace(scores(), provenance={"recommended_k": 3})
    assert number_of_heads(told) == (3, "as these heads recommend")
    silly = replace(scores(), provenance={"recommended_k": 99})
    assert number_of_heads(silly)[0] == 1


def test_of_several_discoveries_a_report_takes_the_commands_own_or_the_one_named(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    options = RunOptions(tmp_path)
    one = discover.for_others(gqa, strips[:1], SETTINGS, options)
    kept, left = one_of_each(find_runs([tmp_path]), [tmp_path])
    assert ([run.path for run in kept], left) == ([one.path], [])
    two = discover.for_others(gqa, strips[:2], SETTINGS, options)
    kept, left = one_of_each(find_runs([tmp_path]), [tmp_path])
    assert (kept, {run.path for run in left}) == ([], {one.path, two.path})
    kept, left = one_of_each(find_runs([two.path]), [two.path])
    assert [run.path for run in kept] == [two.path]
    own = discover.run(gqa, strips, SETTINGS, options)
    kept, left = one_of_each(find_runs([tmp_path]), [tmp_path])
    assert [run.path for run in kept] == [own.path] and len(left) == 2


def test_what_claims_its_own_place_takes_it_only_where_nothing_else_lies(
    gqa: VLM, strips: list[Strip], tmp_path: Path
) -> None:
    options = RunOptions(tmp_path)
    one = discover.for_others(gqa, strips[:1], SETTINGS, options, claims=True)
    assert one.path == tmp_path / "discover" / "tiny-random" and not one.derived
    again = discover.for_others(gqa, strips[:1], SETTINGS, replace(options, fresh=True), True)
    assert again.path == one.path
    two = discover.for_others(gqa, strips[:2], SETTINGS, options, claims=True)
    assert two.path.parent == one.path and two.derived
