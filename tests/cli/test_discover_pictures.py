"""Discovery on pictures and with questions of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command

from gazeheads.data.drawn.strips import draw_strips
from gazeheads.discovery.gaze import DiscoveryError, discover
from gazeheads.heads import HeadScores
from gazeheads.models import VLM

ORDINALS = "1st,2nd,3rd,4th,5th,6th"
STUDYS = (
    "Look carefully at this six-panel comic strip. What is happening in the {region} panel from "
    "the left? Answer briefly."
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for strip in draw_strips(3, 77):
        strip.image.save(folder / f"{strip.id}.png")
    return folder


def test_cells_named_as_panels_give_the_scores_of_strips(
    command: Command, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    code, said, err = command(
        "discover-pictures", pictures, "--grid", "1x6", "--names", ORDINALS, "--question", STUDYS,
        "-o", out,
    )  # fmt: skip
    assert code == 0 and "look at the region asked about more than chance" in said, err
    found = HeadScores.load(out)
    from gazeheads.models import load

    strips = discover(load("comic-tiny"), draw_strips(3, 77))
    assert found.provenance["questions"] == strips.provenance["questions"]
    assert np.abs(found.scores - strips.scores).max() < 0.05
    assert len(set(found.top(10)) & set(strips.top(10))) >= 9
    code, _, err = command("discover-pictures", pictures, "--grid", "1x6", "-o", out)
    assert code == 2 and "exists: choose another --out" in err


def test_a_question_that_is_not_followed_is_doubted_or_refused(
    command: Command, pictures: Path, model: str, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    code, _, err = command("discover-pictures", pictures, "--grid", "1x6", "-o", out)
    assert (code == 0 and "hardly followed" in err) or (code == 2 and "no head of" in err)
    # a random model follows nothing
    asked = ("--model", model, "--grid", "1x6", "--overwrite", "--names", ORDINALS)
    code, _, err = command("discover-pictures", pictures, *asked, "-o", tmp_path / "other.json")
    assert code == 2 and "more than chance" in err and not (tmp_path / "other.json").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "which regions?"),
        (("--region", "0,0,9,9"), "--region wants NAME=x0,y0,x1,y1"),
        (("--region", "a=0,0,90,90"), "2 regions or more"),
        (("--grid", "1x2", "--names", "a,b,c"), "--names has 3 names for the 2 cells"),
        (("--region", "a=0,0,90,90", "--names", "a"), "--names names the cells of a --grid"),
        (("--grid", "1x2", "--question", "What?"), "--question must hold {region}"),
    ],
)
def test_what_is_wrong_is_one_line(
    command: Command, pictures: Path, words: Any, told: str, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    code, _, err = command("discover-pictures", pictures, *words, "-o", out)
    assert code == 2 and told in err and err.count("\n") == 1 and not out.exists()


def test_regions_asked_about_by_name_have_the_same_names_everywhere(
    gqa: VLM, make_strip: Any
) -> None:
    class Renamed:
        id, image = "b", make_strip("b").image
        regions = tuple(
            replace(each, name=f"other {each.name}") for each in make_strip("b").regions
        )

        def __len__(self) -> int:
            return len(self.regions)

    first, second = make_strip("a"), Renamed()
    with pytest.raises(DiscoveryError, match="have the same names in all pictures"):
        discover(gqa, [first, second], "What is in the {region}?")
    with pytest.raises(DiscoveryError, match=r"may only contain \{k\}, \{n\} and \{region\}"):
        discover(gqa, [first], "What is in {where}?")
