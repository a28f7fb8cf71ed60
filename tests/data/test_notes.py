"""captions.jsonl: read as it was meant, or one line that says what is wrong where."""

from __future__ import annotations

import json
import tempfile
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads.data.folders import read_strips, write_strips
from gazeheads.data.strip import Strip
from gazeheads.errors import GazeheadsError, GazeheadsWarning

PANEL = Image.new("RGB", (32, 32))
TEXTS = st.text(
    st.one_of(st.sampled_from('\u2028\u2029\x85\v\f\x1c\r\n\ufeff"\\\ud800'), st.characters())
)
WORDINGS = st.lists(TEXTS, max_size=3).map(tuple)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Two comics of two panels."""
    for comic in ("comic1", "comic2"):
        (tmp_path / comic).mkdir()
        for k in (1, 2):
            PANEL.save(tmp_path / comic / f"p{k}.png")
    return tmp_path


def noted(folder: Path, *lines: Any) -> list[Strip]:
    told = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "captions.jsonl").write_text(told, encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_strips(folder)


def note(comic: Any = "comic1", **panel: Any) -> dict[str, Any]:
    return {"comic": comic, "id": "x", "panels": [panel, panel]}


@given(TEXTS, st.tuples(WORDINGS, WORDINGS), st.one_of(st.none(), st.tuples(TEXTS, TEXTS)))
def test_whatever_captions_labels_and_ids_hold_is_read_back(
    name: str, said: tuple[tuple[str, ...], ...], labels: tuple[str, ...] | None
) -> None:
    strip = Strip(name, (PANEL, PANEL), captions=said, labels=labels)
    with tempfile.TemporaryDirectory() as folder:
        (again,) = read_strips(write_strips(Path(folder) / "s", [strip]))
    assert (again.id, again.captions, again.labels) == (name, said, labels)


@pytest.mark.parametrize("value", ["A cat.", 3, None, True, {"a": 1}, [1], [None], [["A"]], 1.5])
def test_captions_of_a_wrong_type_name_comic_and_panel(own: Path, value: Any) -> None:
    line = note(captions=["A"])
    line["panels"][1] = {"captions": value}
    with pytest.raises(GazeheadsError, match=r"line 1 on comic1 .* captions of panel 2 must be"):
        noted(own, line)


@pytest.mark.parametrize("key", ["caption", "Captions", "captons", "labels", "truths", " captions"])
def test_a_misspelt_key_is_told_with_the_right_one(own: Path, key: str) -> None:
    with pytest.raises(GazeheadsError, match=r"it is .(captions|label|truth)."):
        noted(own, note(**{key: ["A"]}))


def test_other_keys_are_told_and_the_rest_is_read(own: Path) -> None:
    with pytest.warns(GazeheadsWarning, match="'mood' of panel 1 on line 1 is not read") as told:
        (own / "captions.jsonl").write_text(json.dumps(note(captions=["A"], mood="glad")))
        assert read_strips(own)[0].captions == (("A",), ("A",))
    assert len(told) == 1


@pytest.mark.parametrize("name", ["Comic1", "comic_1", "comik1"])
def test_a_note_on_a_comic_that_is_not_there_is_told(own: Path, name: str) -> None:
    with pytest.raises(GazeheadsWarning, match=f"{name!r} on line 2 .is it about comic1"):
        noted(own, {**note("comic2"), "id": "y"}, note(name))


def test_many_unmatched_notes_are_one_line(own: Path) -> None:
    lines = [json.dumps(note(f"other{n}")) for n in range(40)]
    with pytest.warns(GazeheadsWarning, match="and 37 more") as told:
        (own / "captions.jsonl").write_text("\n".join(lines))
        read_strips(own)
    assert len(told) == 1 and "\n" not in str(told[0].message)


def test_two_notes_on_one_comic_or_with_one_id_are_refused(own: Path) -> None:
    with pytest.raises(GazeheadsError, match="line 2 tells of comic1 again, which line 1 does"):
        noted(own, note(), note())
    with pytest.raises(GazeheadsError, match="comic1 and comic2 have the same id 'x'"):
        noted(own, note("comic1"), note("comic2"))


def test_a_value_that_only_some_panels_have_is_told(own: Path) -> None:
    line = note(captions=["A"])
    line["panels"][1] = {}
    with pytest.raises(GazeheadsError, match="panel 2 has no captions, but panel 1 has"):
        noted(own, line)


def test_a_note_on_more_panels_than_there_are_is_told(own: Path) -> None:
    line = note()
    line["panels"].append({})
    with pytest.raises(GazeheadsError, match="comic1 has 2 panels but 3 entries"):
        noted(own, line)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"columns": "2"}, "columns must be a whole number"),
        ({"columns": 0}, "at least 1 column"),
        ({"panel_height": 1.5}, "panel_height must be a whole number"),
        ({"comic": None}, "name of the comic"),
        ({"id": ["x"]}, "the id must be a text"),
        ({"panels": {"1": {}}}, "panels must be a list"),
        ({"panels": ["A", "B"]}, "panel 1 must be an object"),
    ],
)
def test_other_wrong_values_are_named(own: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(GazeheadsError, match=f"line 1.*{told}"):
        noted(own, {**note(), **change})


def test_a_note_needs_no_id_and_takes_numbers_as_names(own: Path) -> None:
    line = note(captions=["A"])
    del line["id"]
    assert noted(own, line)[0].id == "comic1"
    assert noted(own, {**note(), "id": 7})[0].id == "7"


def test_a_name_in_another_form_of_the_same_letters_matches(own: Path) -> None:
    (own / "comic1").rename(own / unicodedata.normalize("NFD", "café"))
    found = noted(own, note(unicodedata.normalize("NFC", "café"), captions=["A"]))
    assert ("x", (("A",), ("A",))) in [(strip.id, strip.captions) for strip in found]
