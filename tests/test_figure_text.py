"""Text in figures is shown as it is written, and nothing is said about missing glyphs."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from gazeheads.errors import GazeheadsError
from gazeheads.figure_text import LONGEST, legend_label, plain_text, save_figure, shown
from gazeheads.models.token_figure import draw_tokens
from gazeheads.regions import ImageTokens
from gazeheads.study.report import charts
from gazeheads.study.report.theme import save
from gazeheads.trace import PanelTrace

TEXTS = st.text(
    st.one_of(st.sampled_from("$_^{}\\%#&~ 猫😀\n\t\0\u2028\u202e\ud800"), st.characters())
)
NASTY = ["$x_{$", r"\frac{$", "猫😀", "a\nb\tc\0", "\udcff.png", "_x", "$", "", "x" * 500]


@given(TEXTS)
def test_a_shown_text_is_one_line_that_the_font_can_draw(text: str) -> None:
    line = shown(text)
    assert len(line.splitlines()) <= 1 and "\t" not in line
    assert len(line) <= LONGEST * len("[U+10FFFF]")
    line.encode()  # no half characters


def test_plain_words_are_shown_as_they_are() -> None:
    assert shown("Ein Bär, 3 ≤ $x_{$ in ∑") == "Ein Bär, 3 ≤ $x_{$ in ∑"
    assert shown("a\u2028b\n c") == "a b c"
    assert legend_label("_x").strip() == "_x" and not legend_label("_x").startswith("_")


def test_a_character_of_no_font_is_told_by_its_code() -> None:
    assert shown("\U000f0000.png") == "[U+F0000].png"


@settings(max_examples=15)
@given(TEXTS, TEXTS)
def test_a_staircase_of_any_names_is_drawn_without_a_warning(title: str, name: str) -> None:
    trace = PanelTrace(np.random.default_rng(0).random((4, 2)), (name, "b"), ("x", "y", "z", ""))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        trace.plot(Path(folder) / "x.png", title)
        trace.plot(title=title).savefig(io.BytesIO())  # and later, by somebody else


@pytest.mark.parametrize("text", NASTY)
def test_figures_of_the_report_and_of_tokens_take_any_text(tmp_path: Path, text: str) -> None:
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6}
    tokens = ImageTokens.of_grid(range(4), (40, 40), 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_tokens(Image.new("RGB", (40, 40)), tokens, tmp_path / "tokens.png", text)
        save(
            tmp_path,
            "chart",
            lambda theme: charts.estimates(
                theme, [text, "b"], {f"gaze {text}": [estimate, None]}, xlabel=text
            ),
        )
        save(
            tmp_path,
            "curves",
            lambda theme: charts.curves(theme, [0, 1], {text: [0, 1]}, xlabel=text, ylabel=text),
        )
    made = {path.name for path in tmp_path.iterdir()}
    assert {"tokens.png", "chart.png", "chart-dark.png", "chart.pdf", "curves.png"} <= made


def test_a_dollar_is_drawn_as_a_dollar() -> None:
    with plain_text():
        figure = Figure()
        title = figure.suptitle("$a$")
    assert not title.get_parse_math() and title.get_text() == "$a$"


@pytest.mark.parametrize("name", ["x.nothing", "missing/x.png"])
def test_a_figure_that_cannot_be_saved_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(GazeheadsError, match="cannot save the figure"):
        save_figure(Figure(), tmp_path / name)
