"""`gazeheads describe` and `compare`: regions of pictures, as text, figures and JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from PIL import Image

from gazeheads.heads import HeadSet

SIZE = (192, 64)
CELLS = [f"row 1, column {n}" for n in (1, 2, 3)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        rng = np.random.default_rng(number)
        noise = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def about(model: str, tmp_path: Path) -> tuple[object, ...]:
    HeadSet.of([(1, 0), (2, 3)]).save(tmp_path / "heads.json")
    return ("--model", model, "--heads", tmp_path / "heads.json")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def masked(path: Path, box: tuple[int, int, int, int] | None, size: tuple[int, int] = SIZE) -> Path:
    mask = Image.new("L", size)
    if box is not None:
        mask.paste(255, box)
    mask.save(path)
    return path


def test_regions_are_described_beside_the_plain_answer(
    command: Command, about: Any, photos: Path, tmp_path: Path
) -> None:
    mask = masked(tmp_path / "m.png", (0, 0, 64, 64))
    code, out, err = command(
        "describe", photos / "0.png", "--region", "0,0,64,64", "--mask", mask, "--grid", "1x3",
        *about, "--max-new-tokens", 4, "--json",
    )  # fmt: skip
    assert code == 0, err
    (record,) = json.loads(out)["pictures"]
    regions = {each["name"]: each["text"] for each in record["regions"]}
    assert list(regions) == [
        "box 0,0,64,64",
        "mask m.png",
        *CELLS,
    ]
    same = {regions["box 0,0,64,64"], regions["mask m.png"], regions["row 1, column 1"]}
    assert len(same) == 1 and record["size"] == list(SIZE) and record["note"] is None


def test_many_pictures_are_one_stream_that_goes_on(
    command: Command, about: Any, photos: Path, tmp_path: Path
) -> None:
    out_folder = tmp_path / "out"
    about = (*about, "--max-new-tokens", 3, "-o", out_folder)
    asked = ("describe", photos, "--region", "0,0,64,64", *about)
    code, out, err = command(*asked, "--jsonl")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [Path(line["picture"]).name for line in lines] == ["0.png", "1.png", "2.png"]
    whole = files(out_folder)
    (out_folder / "1.png.json").unlink()
    (out_folder / "descriptions.jsonl").unlink()
    before = (out_folder / "0.png.json").stat().st_mtime_ns
    assert command(*asked)[0] == 0
    again = files(out_folder)
    assert (out_folder / "0.png.json").stat().st_mtime_ns == before
    assert {name: data for name, data in again.items() if name.endswith(("json", "jsonl"))} == {
        name: data for name, data in whole.items() if name.endswith(("json", "jsonl"))
    }
    code, _, err = command(*asked, "--prompt", "What else?")
    assert code == 2 and "another prompt" in err and len(err.strip().splitlines()) == 1
    assert files(out_folder) == again
    assert command(*asked, "--prompt", "What else?", "--overwrite")[0] == 0
    with Image.open(out_folder / "2.png.regions.png") as figure:
        assert min(figure.size) > 100


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("none.png", "--region", "0,0,9,9"), "not found"),
        (("photos/0.png",), "which regions?"),
        (("photos/0.png", "--region", "0,0,900,9"), "sticks out|outside"),
        (("photos/0.png", "--region", "a,b"), "--region wants"),
        (("photos/0.png", "--units", "relative", "--grid", "2x2"), "name a --region"),
        (("photos/0.png", "--grid", "0x2"), "--grid wants ROWSxCOLUMNS"),
        (("photos/0.png", "--mask", "empty.png"), "is empty"),
        (("photos/0.png", "--mask", "small.png"), "mask is 32x32 pixels"),
        (("photos/0.png", "--mask", "photos/1.png"), "black and white"),
        (("photos/0.png", "--mask", "heads.json"), "no picture"),
        (("photos/0.png", "--mask", "clear.png"), "transparent"),
        (("photos/0.png", "photos/0.png", "--grid", "1x1"), "named twice"),
        (("nothing", "--grid", "1x1"), "no picture in"),
        (("photos/0.png", "--grid", "1x1", "--json", "--jsonl"), "not both"),
        (("huge.png", "--grid", "1x1"), "too large"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(
    command: Command, photos: Path, tmp_path: Path, words: Any, told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    masked(tmp_path / "empty.png", None)
    masked(tmp_path / "small.png", (0, 0, 9, 9), (32, 32))
    Image.new("RGBA", SIZE, (255, 255, 255, 100)).save("clear.png")
    Path("heads.json").write_text("{}")
    Path("nothing").mkdir()
    if words[0] == "huge.png":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
        Image.new("L", (64, 64)).save("huge.png")
    code, out, err = command("describe", *words, "--model", "never loaded", "--out", "out")
    assert code == 2 and out == "" and re.search(told, err), err
    assert len(err.strip().splitlines()) == 1 and not Path("out").exists()


def test_regions_are_ranked_by_how_likely_the_answer_is(
    command: Command, about: Any, photos: Path
) -> None:
    asked = ("compare", photos / "0.png", "--answer", "a dog", "--grid", "1x3", *about)
    code, out, err = command(*asked, "--json")
    assert code == 0, err
    data = json.loads(out)
    values = [each["log_prob"] for each in data["regions"]]
    assert values == sorted(values, reverse=True) and len(set(values)) == 3 and max(values) < 0
    for each in data["regions"]:
        assert each["difference"] == pytest.approx(each["log_prob"] - data["unsteered"])
    code, out, _ = command(*asked)
    assert code == 0 and [line.split("  ")[0] for line in out.splitlines()] == [
        "region", *(each["name"] for each in data["regions"]), "unsteered",
    ]  # fmt: skip
    code, out, err = command("compare", photos / "0.png", "--grid", "1x2", "--answer", " ")
    assert (code, out) == (2, "") and "--answer" in err


def test_comic_tiny_is_doubted_on_a_photo_and_not_on_its_own_scene(
    command: Command, photos: Path, tmp_path: Path
) -> None:
    HeadSet.of([(1, 0), (2, 3)]).save(tmp_path / "heads.json")
    own = ("--heads", tmp_path / "heads.json", "--max-new-tokens", 2)
    for words in (
        ("describe", photos / "0.png", "--grid", "1x1", "--json", *own),
        ("steer", photos / "0.png", "--box", "0,0,64,64", *own),
        ("watch", photos / "0.png", "-o", tmp_path / "watched", *own),
    ):
        code, out, err = command(*words)
        assert code == 0 and err.count("comic-tiny has seen only the pictures") == 1, err
    assert "comic-tiny has seen" in (tmp_path / "watched" / "gaze.json").read_text()
    code, out, err = command("describe", "--json", *own)
    (record,) = json.loads(out)["pictures"]
    assert code == 0 and record["note"] is None and "has seen only" not in err
