"""Heatmaps phrase by phrase."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gazeheads.heads import Head
from gazeheads.regions import ImageTokens
from gazeheads.trace import GazeTrace
from gazeheads.trace_figures import contact_sheet, phrases

PIECES = st.lists(st.sampled_from(["a", " a", "b ", "\n", "", "  ", ".", " $x_{$"]), max_size=30)


@given(PIECES, st.integers(1, 12))
def test_phrases_cut_the_steps_without_tearing_words(pieces: list[str], most: int) -> None:
    found = phrases(pieces, most)
    assert list(itertools.chain(*found)) == list(range(len(pieces)))
    assert len(found) <= most and all(found)
    for part in found[1:]:
        joint = pieces[part.start - 1][-1:] + pieces[part.start][:1]
        assert any(character.isspace() for character in joint)


def trace_of(pieces: tuple[str, ...], attention: np.ndarray) -> GazeTrace:
    tokens = ImageTokens.of_grid(range(4), (40, 20), 2, 2)
    return GazeTrace(attention, None, (Head(0, 0),), tokens, pieces)


def test_a_contact_sheet_has_a_map_for_all_words_and_one_per_phrase() -> None:
    attention = np.zeros((3, 1, 4))
    attention[:, 0] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    sheet = contact_sheet(
        trace_of(("one", " two", " three"), attention), Image.new("RGB", (40, 20)), "$x_{$"
    )
    maps = {axes.get_title(): axes.images[1].get_array() for axes in sheet.axes if axes.get_title()}
    assert list(maps) == ["all words", "one", "two", "three"]
    top = np.unravel_index(np.asarray(maps["three"]).argmax(), (20, 40))
    assert top[0] >= 10 and top[1] >= 20  # the lower right token
    assert max(np.asarray(own).max() for own in maps.values()) == 1.0


def test_a_text_of_nothing_and_attention_of_nothing_are_drawn() -> None:
    sheet = contact_sheet(trace_of(("",), np.zeros((1, 1, 4))), Image.new("RGB", (40, 20)))
    assert [axes.get_title() for axes in sheet.axes if axes.get_title()] == ["(nothing)"]
