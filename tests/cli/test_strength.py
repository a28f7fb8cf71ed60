"""Strength, mode and schedules on the command line: they do what the library does with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Command

from gazeheads import HeadSet, Schedule, Steering
from gazeheads.data.drawn.strips import draw_strips

if TYPE_CHECKING:
    from gazeheads.models import VLM

HEADS = HeadSet.of([(1, 0), (3, 2), (2, 1)])
QUESTION = "what happens?"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A picture of three panels, and the heads in a file beside it."""
    folder = tmp_path_factory.mktemp("strength")
    (strip,) = draw_strips(1, 3, panels=3, size=32)
    strip.image.save(folder / "strip.png")
    HEADS.save(folder / "heads.json")
    return folder, strip


def steered(command: Command, model: str, folder: Path, *words: str) -> dict[str, Any]:
    code, out, err = command(
        "steer", str(folder / "strip.png"), "--model", model, "--panels", "3", "--json",
        "--heads", str(folder / "heads.json"), "--prompt", QUESTION,
        "--max-new-tokens", "9", *words,
    )  # fmt: skip
    assert code == 0, err
    data: dict[str, Any] = json.loads(out)
    return data


@pytest.mark.parametrize(
    ("words", "how"),
    [
        (["--delta", "3"], {"delta": 3.0}),
        (["--delta", "inf"], {}),
        (["--mode", "within", "--when", "decode"], {"mode": "within", "when": "decode"}),
        (["--mode", "paper"], {"mode": "paper"}),
        (["--delta", "2", "--mode", "soft"], {"delta": 2.0}),
    ],
)  # fmt: skip
def test_strength_and_mode(
    command: Command, model: str, gqa: VLM, shown: Any, words: list[str], how: dict[str, Any]
) -> None:
    folder, strip = shown
    data = steered(command, model, folder, "--panel", "2", *words)
    steering = Steering(HEADS, strip.panel(2), **how)
    encoded = gqa.encode(strip.image, QUESTION)
    plain, own = gqa.generate([(encoded, ()), (encoded, steering)], max_new_tokens=9)
    assert [each["text"] for each in data["answers"]] == [plain.text, own.text]
    told = "inf" if steering.delta == float("inf") else steering.delta
    assert (data["delta"], data["mode"], data["when"]) == (told, steering.mode, steering.when)


def test_a_schedule(command: Command, model: str, gqa: VLM, shown: Any) -> None:
    folder, strip = shown
    data = steered(command, model, folder, "--schedule", "3,1", "--every", "4")
    turns = Schedule.every(4, [strip.panel(3), strip.panel(1)])
    encoded = gqa.encode(strip.image, QUESTION)
    own = gqa.generate((encoded, Steering(HEADS, turns)), max_new_tokens=9)[0]
    answer = data["answers"][1]
    assert (answer["name"], answer["text"]) == ("schedule 3,1", own.text)
    assert answer["steered_to"] == list(own.steered_to) == ["panel 3"] * 4 + ["panel 1"] * 5


def test_a_watched_schedule(command: Command, model: str, shown: Any, tmp_path: Path) -> None:
    folder, _ = shown
    code, out, err = command(
        "watch", str(folder / "strip.png"), "--model", model, "--panels", "3", "--json",
        "--heads", str(folder / "heads.json"), "--schedule", "3,1", "--every", "2",
        "--max-new-tokens", "5", "--out", str(tmp_path / "w"),
    )  # fmt: skip
    assert code == 0, err
    data = json.loads(out)
    assert data["steered_to"] == ["panel 3"] * 2 + ["panel 1"] * 3
    assert Path(data["page"]).is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--delta", "nan"], "not nan"),
        (["--delta", "inf", "--mode", "soft"], "finite --delta"),
        (["--mode", "soft"], "name a --delta"),
        (["--delta", "3", "--mode", "hard"], "--mode hard means --delta inf"),
        (["--schedule", "3,9"], "no panel 9"),
        (["--schedule", "3;1"], "numbers of panels"),
        (["--every", "3"], "name that too"),
        (["--schedule", "1", "--panel", "2"], "not both"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Command, model: str, shown: Any, words: list[str], told: str
) -> None:
    folder, _ = shown
    code, out, err = command(
        "steer", str(folder / "strip.png"), "--model", model, "--panels", "3",
        "--heads", str(folder / "heads.json"), *words,
    )  # fmt: skip
    assert code == 2 and out == "" and told in err.splitlines()[-1]


def test_a_described_folder_knows_its_strength(
    command: Command, model: str, shown: Any, tmp_path: Path
) -> None:
    """Texts of one strength are never taken for those of another."""
    folder, _ = shown
    words = [
        "describe", str(folder / "strip.png"), "--region", "0,0,32,32", "--model", model, "--heads",
        str(folder / "heads.json"), "--max-new-tokens", "4", "--out", str(tmp_path / "d"),
    ]  # fmt: skip
    assert command(*words, "--delta", "3")[0] == 0
    code, _, err = command(*words)
    assert code == 2 and "delta" in err
    assert command(*words, "--delta", "3")[0] == 0
