"""`gazeheads tune`: number and strength of heads, found on some strips and checked on others."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command

from gazeheads.head_set import HeadSet
from gazeheads.models import load
from gazeheads.study.runs import find_runs

ASKED = ("tune", "--model", "comic-tiny", "--limit", 2)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuned")


def test_what_is_recommended_stands_with_what_it_was_found_on(
    command: Command, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAZEHEADS_HEADS", str(out / "kept"))
    code, said, err = command(*ASKED, "--out", out, "--register")
    assert code == 0, err
    heads = HeadSet.load(out / "heads-comic-tiny.json")
    assert heads.fingerprint == load("comic-tiny").fingerprint and heads.delta is not None
    by_number = heads.found["by_number"]
    assert by_number[str(len(heads))] == max(by_number.values())
    runs = {run.experiment: run for run in find_runs([out])}
    dose = runs["dose"].summary["results"]["recommended"]
    assert heads.delta == dose["delta"]
    # no choice is made on the strips that it is checked on
    checked = {record["unit"] for record in runs["steer-vqa"].ordered()}
    assert not checked & {record["unit"] for record in runs["sweep-k"].ordered()}
    assert not checked & {record["unit"] for record in runs["dose"].ordered()}
    assert f"strength  {heads.delta:g}" in said and "Registered: " in said
    assert (out / "kept").exists()
    before = (out / "heads-comic-tiny.json").read_bytes()
    code, _, err = command(*ASKED, "--out", out)
    assert code == 0 and (out / "heads-comic-tiny.json").read_bytes() == before, err


def test_a_number_and_shards_are_refused(command: Command, tmp_path: Path) -> None:
    for words, told in ((("--k", 3), "leave --k out"), (("--shard", "1/2"), "split into shards")):
        code, _, err = command(*ASKED, "--out", tmp_path, *words)
        assert code == 2 and told in err and err.count("\n") == 1
