"""`gazeheads watch` on pictures with and without panels, with any name; the text comes first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gazeheads.heads import HeadSet
from gazeheads.trace_files import load_trace

SIZE = (192, 64)


@pytest.fixture
def heads(tmp_path: Path, model: str) -> Path:
    path = tmp_path / "heads.json"
    HeadSet.of([(1, 0), (2, 3)]).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def watch(command: Any, model: str, heads: Path, tmp_path: Path) -> Any:
    def call(*words: object) -> tuple[int, str, str]:
        about = ("--model", model, "--heads", heads, "--max-new-tokens", "5")
        found: tuple[int, str, str] = command("watch", *words, *about, "--out", tmp_path / "out")
        return found

    return call


def numbers(folder: Path, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return data


def test_a_photo_is_watched_over_the_whole_image(watch: Any, photo: Path, tmp_path: Path) -> None:
    code, out, err = watch(photo)
    assert code == 0 and "Warning" not in err
    data = numbers(tmp_path / "out", "gaze.json")
    assert data["kind"] == "gaze-over-image" and data["size"] == list(SIZE)
    attention = np.array(data["attention"])
    assert attention.shape == (len(data["pieces"]), len(data["boxes"]))
    assert (attention >= 0).all() and (attention.sum(1) < 1.001).all()
    assert out.startswith(data["text"].strip()[:10]) and "gaze.png" in out
    with Image.open(tmp_path / "out" / "gaze.png") as figure:
        assert min(figure.size) > 100


def test_boxes_of_a_photo_are_told_with_the_rest_of_it(
    watch: Any, photo: Path, tmp_path: Path
) -> None:
    code, _, _ = watch(photo, "--box", "0,0,64,64", "--box", "64,0,128,64")
    data = numbers(tmp_path / "out", "staircase.json")
    assert code == 0
    assert data["panels"] == ["box 0,0,64,64", "box 64,0,128,64", "elsewhere"]
    assert np.array(data["attention"]).sum(1) == pytest.approx(1)


def test_panels_of_a_photo_are_told_as_before(watch: Any, photo: Path, tmp_path: Path) -> None:
    code, _, _ = watch(photo, "--panels", "3")
    data = numbers(tmp_path / "out", "staircase.json")
    assert (code, data["kind"], data["panels"]) == (
        0,
        "gaze-by-panel",
        ["panel 1", "panel 2", "panel 3"],
    )
    assert (tmp_path / "out" / "staircase.png").exists()


@pytest.mark.parametrize("name", ["$x_{$.png", "猫.png", "_^\\.png", "a\nb.png", "😀\u202e.png"])
def test_a_picture_of_any_name_is_watched_without_a_warning(
    watch: Any, photo: Path, name: str
) -> None:
    own = photo.rename(photo.with_name(name))
    for words in ((own,), (own, "--panels", "3")):
        code, out, err = watch(*words)
        assert code == 0 and "Warning" not in err and out.strip(), err


@pytest.mark.parametrize("words", [(), ("--panels", "3")])
def test_the_text_and_the_numbers_are_kept_when_the_figure_fails(
    watch: Any, photo: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    name = "staircase" if words else "gaze"
    (tmp_path / "out" / f"{name}.png").mkdir(parents=True)  # a folder stands in its place
    code, out, err = watch(photo, *words)
    assert (code, err.count("gazeheads: cannot save the figure")) == (2, 1)
    data = numbers(tmp_path / "out", f"{name}.json")
    assert " ".join(data["text"].split()) == " ".join(out.split())


def test_the_page_and_its_files_stand_where_the_user_said(
    command: Any, model: str, heads: Path, photo: Path, tmp_path: Path
) -> None:
    about = ("--model", model, "--heads", heads, "--max-new-tokens", 5)
    code, out, err = command("watch", photo, *about, "-o", tmp_path / "new" / "cow.html")
    assert code == 0, err
    made = {path.name for path in (tmp_path / "new").iterdir()}
    assert made == {"cow.html", "cow.png", "cow.json", "cow.npz"}
    assert f"Page: {tmp_path / 'new' / 'cow.html'}" in out
    data, trace = (
        numbers(tmp_path / "new", "cow.json"),
        load_trace(tmp_path / "new" / "cow.npz"),
    )
    assert (trace.pieces, trace.heads) == (tuple(data["pieces"]), ((1, 0), (2, 3)))
    mean = trace.without(data["sinks"]).values(value_weighted=False) / 2
    assert mean == pytest.approx(np.array(data["attention"]), rel=2e-3)


def test_another_text_is_never_replaced_unasked(watch: Any, photo: Path, tmp_path: Path) -> None:
    assert watch(photo)[0] == 0
    before = (tmp_path / "out" / "gaze.json").read_bytes()
    assert watch(photo)[0] == 0  # the same again
    code, _, err = watch(photo, "--prompt", "What else?")
    assert code == 2 and "--overwrite" in err and len(err.strip().splitlines()) == 1
    assert (tmp_path / "out" / "gaze.json").read_bytes() == before
    assert watch(photo, "--prompt", "What else?", "--overwrite")[0] == 0
    assert (tmp_path / "out" / "gaze.json").read_bytes() != before


def test_spans_of_ones_own(watch: Any, photo: Path, tmp_path: Path) -> None:
    assert watch(photo)[0] == 0
    text = numbers(tmp_path / "out", "gaze.json")["text"].strip()
    (tmp_path / "spans.txt").write_text(f"{text}\n", encoding="utf-8")
    code, _, err = watch(photo, "--spans", tmp_path / "spans.txt")
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert code == 0 and page.count('class="span"') == 1, err
    (tmp_path / "spans.txt").write_text("what it never says\n", encoding="utf-8")
    code, out, err = watch(photo, "--spans", tmp_path / "spans.txt")
    assert code == 2 and "does not say 'what it never says'" in err and text[:10] in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--spans", "sentences"), "--spans is phrases, words, or a text file"),
        (("--sinks", "hide"), "Invalid value for '--sinks'"),
    ],
)
def test_wrong_choices_are_one_line(
    watch: Any, photo: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    code, out, err = watch(photo, *words)
    assert (code, out) == (2, "") and told in err and not (tmp_path / "out").exists()
