"""Names made from ids, and text files as editors save them."""

from __future__ import annotations

import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazeheads.errors import GazeheadsError
from gazeheads.files import (
    LONGEST_NAME,
    file_name,
    json_text,
    read_json,
    read_lines,
    read_text,
    write_json,
)

# ids as users have them: any text, and texts that are likely to be confused with each other
SIMILAR = st.text(st.sampled_from("aA .-_/\\:~é\u0301e猫犬²\uff10$"), max_size=6)
IDS = st.one_of(
    st.text(max_size=40), SIMILAR, st.sampled_from(["con", "CON", "nul.txt", "..", "."])
)


@given(IDS, IDS)
def test_different_ids_never_share_a_file_on_any_file_system(one: str, other: str) -> None:
    def seen(name: str) -> str:  # by a file system that knows neither case nor how é is written
        return unicodedata.normalize("NFC", file_name(name).casefold())

    assert (seen(one) == seen(other)) == (one == other)


@given(IDS)
def test_a_name_is_one_visible_component_that_every_system_takes(name: str) -> None:
    made = file_name(name)
    assert 0 < len(made.encode()) <= LONGEST_NAME
    assert not set(made) & set('/\\:*?"<>|\0\n') and made not in (".", "..")
    assert made[0] != "." and made[-1] not in ". "
    assert made.split(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / made).write_text("x")
        assert [path.name for path in Path(folder).iterdir()] == [made]


@pytest.mark.parametrize("name", ["drawn-3-0000", "comic10", "7", "a_b.c-d", "_x"])
def test_ids_that_are_safe_keep_their_name(name: str) -> None:
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("name", "begins"),
    [("my comic", "my-comic~"), ("猫", "猫~"), ("Qwen/Qwen3-VL", "Qwen-Qwen3-VL~"), ("../x", "x~")],
)
def test_other_ids_stay_readable(name: str, begins: str) -> None:
    assert file_name(name).startswith(begins)


def test_long_ids_that_differ_at_their_end_do_not_meet() -> None:
    assert file_name("x" * 400 + "a") != file_name("x" * 400 + "b")
    assert file_name("猫" * 400 + "a") != file_name("猫" * 400 + "b")


@given(st.lists(st.text(max_size=20)))
def test_lines_of_json_come_back_whatever_their_texts_hold(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl"
        for ending, mark in (("\n", b""), ("\r\n", b"\xef\xbb\xbf")):
            lines = "".join(json_text({"text": text}) + ending for text in texts)
            path.write_bytes(mark + lines.encode())
            assert [json.loads(line)["text"] for _, line in read_lines(path)] == texts


def test_half_a_character_is_written_and_read_back(tmp_path: Path) -> None:
    path = write_json(tmp_path / "x.json", {"kind": "k", "name": "a\udcff"})
    assert read_json(path, "k")["name"] == "a\udcff"


def test_files_that_were_put_together_keep_no_mark_inside(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf1\n\xef\xbb\xbf2\n\n3")
    assert read_lines(tmp_path / "x") == [(1, "1"), (2, "2"), (4, "3")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("caption".encode("utf-16"), r"not UTF-8 text \(UTF-16\): save it as UTF-8"),
        ("é".encode("latin-1"), r"not UTF-8 text \(byte 0xe9 at 0\)"),
    ],
)
def test_another_encoding_is_named(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(GazeheadsError, match=told):
        read_text(tmp_path / "x")
    with pytest.raises(GazeheadsError, match=told):
        read_json(tmp_path / "x", "k")


def test_a_marked_json_file_is_read_and_a_deep_one_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'\xef\xbb\xbf{"kind": "k"}')
    assert read_json(tmp_path / "x", "k") == {"kind": "k"}
    (tmp_path / "x").write_text("[" * 100_000)
    with pytest.raises(GazeheadsError, match="not a JSON file"):
        read_json(tmp_path / "x", "k")
