"""Where `steer` looks: boxes in any unit, small objects, and pictures of any kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from PIL import Image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    noise = np.random.default_rng(0).integers(0, 255, (160, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    path = tmp_path / "heads.json"
    known = {"kind": "head-set", "name": "h", "model": "tiny-random", "shape": [4, 4]}
    path.write_text(json.dumps({**known, "heads": [[1, 0]]}))
    return path


def test_the_same_box_in_every_unit_steers_the_same(
    command: Command, model: str, photo: Path, heads: Path
) -> None:
    answers = []
    for box, units in (
        ("32,16,160,80", "pixels"),
        ("0.1,0.1,0.5,0.5", "relative"),
        ("100,100,500,500", "per-mille"),
        ("(32, 16, 160, 80)", "pixels"),
    ):
        code, out, err = command(
            "steer", photo, "--model", model, "--heads", heads, "--box", box, "--units", units,
            "--max-new-tokens", 5,
        )  # fmt: skip
        assert code == 0, err
        answers.append(out.splitlines()[1].removeprefix(f"box {box}").strip())
    assert len(set(answers)) == 1


def test_advice_for_a_small_box_can_be_followed(
    command: Command, model: str, photo: Path, heads: Path
) -> None:
    asked = ("steer", photo, "--model", model, "--heads", heads, "--box", "3,3,10,10")
    code, _, err = command(*asked)
    assert code == 2 and "no image token" in err
    advice = re.search(r"gazeheads steer (--rule overlap --threshold \S+)", err)
    assert advice is not None
    code, out, err = command(*asked, *advice[1].split(), "--max-new-tokens", 3)
    assert code == 0 and "box 3,3,10,10" in out, err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--box", "0.1,0.1,0.5,0.5"), "units='relative'"),
        (("--box", "10,10,900,100"), "sticks out"),
        (("--box", "400,10,900,100"), "outside the image of 320x160"),
        (("--box", "10,10,90"), "x0,y0,x1,y1 in pixels"),
        (("--box", "10,10,90,x", "--units", "per-mille"), "x0,y0,x1,y1 in per-mille"),
        (("--box", "90,10,10,100"), "is empty"),
        (("--box", "10,20,90,100", "--units", "relative"), "is it in pixels"),
        (("--box", "10,20,90,100", "--units", "feet"), "per-mille"),
        (("--panels", "2", "--units", "relative"), "name a --box"),
        (("--box", "10,20,90,100", "--threshold", "0.5"), "--rule overlap"),
        (("--box", "10,20,90,100", "--rule", "overlap", "--threshold", "2"), "at most 1"),
    ],
)
def test_a_box_that_cannot_be_meant_is_one_line(
    options: tuple[str, ...], told: str, command: Command, photo: Path
) -> None:
    code, out, err = command("steer", photo, "--model", "never loaded", *options)
    assert code == 2 and out == "" and told in err
    assert len(err.strip().splitlines()) == 1


def test_pictures_that_cannot_be_read_are_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    for path, told in (
        ("https://example.org/a.png", "download it first"),
        (tmp_path / "none.png", "not found"),
        (tmp_path / "empty.png", "empty"),
    ):
        code, _, err = command("steer", path, "--box", "1,2,30,40")
        assert code == 2 and told in err and len(err.strip().splitlines()) == 1
