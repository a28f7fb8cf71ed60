"""Absurd sizes and devices, and missing pictures: one line each, at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import write_strips


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("steer", "IMAGE", "--panels", 10**9), "cannot cut an image into 1000000000 panels"),
        (("--device", "tpu", "tokens", "IMAGE"), "no device 'tpu': name cpu, cuda, cuda:1 or mps"),
    ],
)
def test_what_cannot_be_is_one_line(
    command: Command, tmp_path: Path, words: tuple[object, ...], told: str
) -> None:
    image = tmp_path / "photo.png"
    Image.effect_noise((96, 64), 40).convert("RGB").save(image)
    code, out, err = command(*(image if word == "IMAGE" else word for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert list(tmp_path.iterdir()) == [image]


@pytest.mark.parametrize(
    "words",
    [["tokens"], ["steer"], ["watch"], ["describe", "--box", "0,0,9,9"], ["locate", "cat"]],
)
def test_a_missing_picture_is_told_before_torch_is_loaded(words: list[str]) -> None:
    name, *rest = words
    arguments = ["gazeheads", name, "nowhere.png", *rest]
    script = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from gazeheads.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n"
        "    print(stop.code, 'torch' in sys.modules)"
    )
    line = [sys.executable, "-c", script]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert done.stdout == "2 False\n"
    assert done.stderr == "gazeheads: image not found: nowhere.png\n"


@pytest.mark.parametrize("name", ["steer", "watch"])
@pytest.mark.parametrize("option", ["--panels", "--columns"])
def test_panels_of_a_folder_of_strips_are_known(
    command: Command, tmp_path: Path, name: str, option: str
) -> None:
    """An option that would be ignored is refused."""
    folder = write_strips(tmp_path / "s", draw_strips(1, 0, 2, size=32))
    code, out, err = command(name, folder, option, 3)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"leave {option} out" in err


@pytest.mark.parametrize(
    "words",
    [
        ("steer", "IMAGE", "--panels", 2, "--prompt", "TEXT"),
        ("watch", "IMAGE", "--prompt", "TEXT"),
        ("describe", "--prompt", "TEXT"),
        ("locate", "IMAGE", "TEXT"),
    ],
)
def test_a_question_longer_than_the_model_reads(
    command: Command, tmp_path: Path, words: tuple[object, ...]
) -> None:
    """comic-tiny reads 2,048 tokens."""
    image = tmp_path / "photo.png"
    Image.effect_noise((96, 64), 40).convert("RGB").save(image)
    named = {"IMAGE": image, "TEXT": "why " * 15_000}
    code, out, err = command(*(named.get(str(word), word) for word in words))
    assert (code, out) == (2, "")
    assert "tokens of text, and the model was made for" in err.splitlines()[-1]
