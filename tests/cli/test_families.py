"""Discovery, steering, watching and drawing of tokens on a tiny random model of every family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from models.conftest import wrapped
from PIL import Image
from tiny_families import BUILDERS

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.data.folders import write_strips
from gazeheads.heads import HeadScores, HeadSet

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def strips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strips") / "drawn"
    return write_strips(folder, draw_strips(1, 9, 2, size=64))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def saved(name: str) -> Path:
        folder = tmp_path_factory.mktemp("models") / name
        vlm = wrapped(name)
        vlm.model.save_pretrained(folder)
        vlm.processor.save_pretrained(folder)
        return folder

    return saved


@pytest.mark.parametrize("name", list(BUILDERS))
def test_the_whole_command_line(
    command: Command, folders: Callable[[str], Path], strips: Path, tmp_path: Path, name: str
) -> None:
    model = folders(name)
    code, out, err = command(
        "discover", "--model", model, "--strips", strips, "--out", tmp_path, "--k", 2
    )
    assert code == 0, err
    scores = tmp_path / "discover" / name / "scores.json"
    matrices = HeadScores.load(scores).matrices
    assert matrices.shape[-2:] == (2, 2) and (matrices > 0).any()

    about = ("--model", model, "--heads", scores, "--k", 2, "--max-new-tokens", 2)
    code, out, err = command("steer", strips, *about)
    assert code == 0, err
    assert [line.split("  ")[0].strip() for line in out.splitlines() if "  " in line][:2] == [
        "unsteered", "panel 1",
    ]  # fmt: skip
    assert "under no image token" in err

    code, out, err = command("watch", strips, *about, "--out", tmp_path / "watched")
    assert code == 0, err

    picture = strips / "comic1" / "p1.png"
    figure = tmp_path / "tokens.png"
    code, out, err = command("tokens", picture, "--model", model, "-o", figure)
    assert code == 0, err
    assert f"{len(wrapped(name).encode(picture, '').tokens)} image tokens" in out
    with Image.open(figure) as drawn:
        assert np.asarray(drawn.convert("RGB")).std() > 5


def test_a_wide_strip_on_a_square_model(
    command: Command, folders: Callable[[str], Path], strips: Path, tmp_path: Path
) -> None:
    model = folders("llava")
    picture = tmp_path / "wide.png"
    Image.new("RGB", (640, 200), "white").save(picture)
    words = ("steer", picture, "--panels", 4, "--panel", 4, "--model", model, "--k", 2)
    heads = tmp_path / "heads.json"
    HeadSet.of([(0, 1), (2, 3)]).save(heads)
    words = (*words, "--heads", heads, "--max-new-tokens", 2)
    code, out, err = command(*words)
    assert code == 0 and "squashed to 56x56" in err, err
    code, out, err = command("--fit", "grid", *words)
    assert code == 0 and "320x400 pixels, squashed to 56x56" in err, err
    code, out, err = command("--fit", "keep", *words)
    assert (code, out) == (2, "") and "fit='grid'" in err.splitlines()[-1]
    code, out, err = command("--fit", "stretch", *words)
    assert code == 2 and "unknown fit" in err.splitlines()[-1]


def test_models_are_listed(command: Command) -> None:
    code, out, _ = command("models")
    assert code == 0
    for name in ("qwen3_vl", "paligemma", "molmo2", "internvl"):
        assert name in out
    assert "No published checkpoint" in out
