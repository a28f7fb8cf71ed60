"""Head sets kept for models: found by fingerprint, or by name and said so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

import gazeheads
from gazeheads.errors import GazeheadsError
from gazeheads.head_set import HeadError, HeadSet
from gazeheads.heads_by_default import default_heads, discovered_heads, registered
from gazeheads.heads_registry import add_heads, heads_registered_for, registered_heads
from gazeheads.models import VLM, load

HEADS = HeadSet.of([(1, 0), (2, 3)], "mine")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setenv("GAZEHEADS_HEADS", str(folder))
    return folder


def kept(vlm: VLM, tmp_path: Path, **changed: Any) -> Path:
    heads = replace(HEADS, model=vlm.name, fingerprint=vlm.fingerprint, shape=(4, 4), **changed)
    return heads.save(tmp_path / "heads.json")


def test_heads_are_those_of_the_very_weights(gqa: VLM, tmp_path: Path) -> None:
    assert registered(gqa) is None
    add_heads(kept(gqa, tmp_path, delta=7.0))
    found = default_heads(gqa)
    assert (found.heads, found.delta) == (HEADS.heads, 7.0)
    assert heads_registered_for(gqa.name, "other weights") is None
    assert heads_registered_for("another name", gqa.fingerprint) is not None
    with pytest.raises(GazeheadsError, match="is kept for tiny-random already"):
        add_heads(kept(gqa, tmp_path))
    add_heads(kept(gqa, tmp_path), replace=True)
    assert default_heads(gqa).delta is None


def test_a_set_without_weights_is_taken_by_name_if_the_shape_fits(gqa: VLM, tmp_path: Path) -> None:
    path = replace(HEADS, model="tiny-random").save(tmp_path / "named.json")
    add_heads(path)
    assert default_heads(gqa).heads == HEADS.heads
    other = replace(HEADS, model="tiny-random", shape=(9, 9)).save(tmp_path / "named.json")
    add_heads(other, replace=True)
    with pytest.raises(HeadError, match="was made for tiny-random with 9 layers x 9 heads"):
        default_heads(gqa)


def test_what_cannot_be_kept_or_read_is_told(own_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadError, match="names no model"):
        add_heads(HEADS.save(tmp_path / "h.json"))
    own_folder.mkdir()
    (own_folder / "damaged.json").write_text("{")
    with pytest.raises(GazeheadsError, match=r"damaged\.json"):
        registered_heads()


def test_a_set_grows_by_its_own_ranking_alone() -> None:
    ranked = replace(HEADS, found={"ranking": ["L1H0", "L2H3", "L3H3"], "regions": {"k": 3}})
    assert [str(head) for head in ranked.resized(3)] == ["L1H0", "L2H3", "L3H3"]
    assert ranked.resized(1).heads == HEADS.heads[:1]
    assert len(ranked.for_regions()) == 3 and HEADS.for_regions() is HEADS
    for heads in (ranked, HEADS):
        with pytest.raises(HeadError, match="top 4 of a set of 2 heads does not exist"):
            heads.resized(4)


def test_the_package_keeps_comic_tinys_heads_with_what_they_are_worth() -> None:
    vlm = load("comic-tiny")
    known = registered(vlm)
    assert known is not None and known.source == "this package"
    heads = known.heads
    assert heads.fingerprint == vlm.fingerprint and heads.delta == 100
    found = heads.found
    assert (
        found["accuracy"]["value"] > 0.9 > found["random"]["most"] and found["random"]["sets"] == 20
    )
    assert found["regions"]["accuracy"]["low"] > found["regions"]["unsteered"]["high"]
    # the heads that would be found now are nearly the same
    anew = discovered_heads(vlm, len(heads))
    assert len(set(anew) & set(heads)) >= len(heads) - 2
    assert gazeheads.default_heads(vlm, 20).heads == heads.resized(20).heads


def test_commands_use_what_is_kept_and_say_so(command: Command, model: str, tmp_path: Path) -> None:
    vlm = load(model)
    path = kept(vlm, tmp_path, found={"ranking": ["L1H0", "L2H3", "L3H1"], "regions": {"k": 3}})
    asked = ("describe", "--model", model, "--json", "--max-new-tokens", 2)

    def heads_of(*words: object) -> tuple[list[list[int]], str]:
        code, out, err = command(*asked, *words)
        assert code == 0, err
        return json.loads(out)["pictures"][0]["heads"], err

    found, err = heads_of()
    assert "registered" not in err and len(found) == 1
    assert command("heads", "add", path)[0] == 0
    found, err = heads_of()
    assert found == [[1, 0], [2, 3], [3, 1]] and "Heads: 3 registered for" in err
    assert heads_of("--k", 1)[0] == [[1, 0]]
    assert "registered" not in heads_of("--heads", "discovered")[1]
    assert heads_of("--heads", path)[0] == found
    code, out, _ = command("heads", "list", "--json")
    assert [each["heads"] for each in json.loads(out)] == [2, 12]
    code, out, _ = command("heads", "show", "comic-tiny")
    assert code == 0 and "strength  100" in out and "regions   24 heads" in out
    code, _, err = command("heads", "show", "nothing")
    assert code == 2 and "neither a file nor a model" in err
    code, _, err = command("heads", "add", path)
    assert code == 2 and "add --overwrite" in err
