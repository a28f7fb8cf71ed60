"""Sampling a corpus that was made up."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from gazeheads.data.comics import ComicsCorpus, Window
from gazeheads.errors import GazeheadsError


def corpus(root: Path, comics: dict[str, dict[int, list[int]]]) -> Path:
    """Comics of pages of panels; the picture of a panel is as wide as its number plus 10."""
    for comic, pages in comics.items():
        (root / comic).mkdir(parents=True)
        for page, panels in pages.items():
            for panel in panels:
                picture = Image.new("L", (panel + 10, 12))
                picture.save(root / comic / f"{page}_{panel}.jpg")
    return root


def test_windows_are_consecutive_panels_of_one_page(tmp_path: Path) -> None:
    root = corpus(
        tmp_path,
        {
            "0": {0: [0, 1, 2], 1: [0, 1, 3, 4], 10: [5, 6, 7, 8]},
            "1": {3: [0, 1]},
            "2": {},
        },
    )
    (tmp_path / "0" / "notes.txt").write_text("")
    found = ComicsCorpus(root).sample(3, seed=1, panels=3)
    assert set(found) == {
        Window("0", 0, 0, 3),
        Window("0", 10, 5, 3),
        Window("0", 10, 6, 3),
    }
    strip = ComicsCorpus(root).strip(Window("0", 10, 6, 3))
    assert [panel.width for panel in strip.panels] == [16, 17, 18]
    assert strip.panels[0].mode == "RGB" and strip.id == "comics-0-10-6"


def test_ends_of_long_comics_are_left_out(tmp_path: Path) -> None:
    pages = {page: [0, 1] for page in range(13)}
    root = corpus(tmp_path, {"long": pages, "short": {page: [0, 1] for page in range(10)}})
    found = ComicsCorpus(root).sample(13, seed=0, panels=2)
    counts = Counter(window.comic for window in found)
    assert counts == {"long": 3, "short": 10}
    assert {w.page for w in found if w.comic == "long"} == {5, 6, 7}


def test_a_seed_names_a_sample(tmp_path: Path) -> None:
    root = corpus(tmp_path, {str(c): {p: [0, 1, 2] for p in range(4)} for c in range(4)})
    first = ComicsCorpus(root).sample(6, seed=3, panels=2)
    assert ComicsCorpus(root).sample(6, seed=3, panels=2) == first
    assert ComicsCorpus(root).sample(6, seed=4, panels=2) != first
    assert len(set(first)) == 6


def test_a_corpus_that_is_too_small_or_none(tmp_path: Path) -> None:
    root = corpus(tmp_path / "c", {"0": {0: [0, 1, 2]}})
    with pytest.raises(GazeheadsError, match="found only 2 windows of 2 panels"):
        ComicsCorpus(root).sample(3, seed=0, panels=2)
    (root / "0" / "0_1.jpg").write_bytes(b"no picture")
    with pytest.raises(GazeheadsError, match="not a readable image"):
        ComicsCorpus(root).strip(Window("0", 0, 0, 2))
    with pytest.raises(GazeheadsError, match="no folder"):
        ComicsCorpus(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GazeheadsError, match="no comics"):
        ComicsCorpus(tmp_path / "empty")
