"""What the package warns of is one line on the user's terminal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gazeheads.cli.notes import warnings_in_one_line
from gazeheads.errors import GazeheadsWarning


def test_a_warning_of_the_package_is_told_once_and_others_stay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.warns(UserWarning, match="of somebody else"), warnings_in_one_line():
        for _ in range(2):
            warnings.warn("said\nin two lines", GazeheadsWarning, stacklevel=1)
        warnings.warn("of somebody else", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "gazeheads: note: said in two lines\n"


def test_a_note_on_captions_stands_before_what_a_command_does(command: Any, tmp_path: Path) -> None:
    for k in (1, 2):
        (tmp_path / "s" / "comic1").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "s" / "comic1" / f"p{k}.png")
    (tmp_path / "s" / "captions.jsonl").write_text('{"comic": "Comic1", "panels": [{}, {}]}')
    code, out, err = command("steer", tmp_path / "s", "--panel", "3")
    first, second, end = err.split("\n")
    assert (code, out, end) == (2, "", "")
    assert first.startswith("gazeheads: note: ") and "is it about comic1?" in first
    assert second.startswith("gazeheads: no panel 3")
